"""A fleet as a console sees it: one room being cast, one at rest, a receiver without a place."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from dashboards.fleet.views import FleetView, Health, RoomView, Sample, SeatState, SeatView, SessionView, Spread
from protocol.operators import HostNews, SessionStep

TSI = "00000000000000aa"
GIB = 1 << 30


def seat(name: str, state: SeatState = SeatState.RECEIVING, **values: Any) -> SeatView:
    return SeatView(**{"machine": f"mac-{name}", "receiver_id": name[:1] * 32, **values, "name": name, "state": state})


def sample(**values: float) -> Sample:
    defaults: dict[str, Any] = {
        "at": 1000.0,
        "rate_bits_per_second": 80_000_000.0,
        "cap_bits_per_second": 800_000_000,
        "set_rate_bits_per_second": 400_000_000,
        "catch_up_bits_per_second": 0.0,
        "repair_ratio": 0.02,
        "loss_ratio": 0.01,
        "worst_loss_ratio": 0.2,
        "progress_median": 0.5,
    }
    return Sample(**{**defaults, **values})


def session(seats: Sequence[SeatView], tsi: str = TSI, room: str = "lab", **values: Any) -> SessionView:
    defaults: dict[str, Any] = {
        "image": "win11",
        "version": 3,
        "disk_size": 64 * GIB,
        "stored_bytes": 20 * GIB,
        "ordered_by": "kim",
        "opened_at": 900.0,
        "step": SessionStep.RUNNING,
        "elapsed_seconds": 60.0,
        "eta_seconds": 90.0,
        "rate_bits_per_second": 400_000_000,
        "wire_bits_per_second": 80_000_000.0,
        "cap_bits_per_second": 800_000_000,
        "rate_reason": "",
        "bytes_on_wire": 5_000,
        "catch_up_bytes": 70,
        "datagrams_sent": 100,
        "repair_datagrams": 2,
        "expected_seats": len(seats),
        "end_reason": "",
        "spread": Spread(0.1, 0.5, 0.9),
        "happenings": (),
        "backs_up": False,
        "samples": (sample(),),
        "age_seconds": 0.4,
    }
    return SessionView(**{**defaults, **values, "tsi": tsi, "room": room, "seats": tuple(seats)})


def host(**values: Any) -> HostNews:
    defaults: dict[str, Any] = {
        "generation": "1" * 32,
        "sequence": 5,
        "version": "0.1.0",
        "at": 1000.0,
        "started_at": 500.0,
        "interface": "eth0",
        "address": "192.0.2.1",
        "front_door": "192.0.2.1:8884",
        "broker": "mqtts://192.0.2.1:8883",
        "link_bits_per_second": 1_000_000_000,
        "is_link_up": True,
        "library_path": "/var/lib/slatecast",
        "library_bytes_free": 300 * GIB,
        "library_bytes_total": 1000 * GIB,
        "sessions": (TSI,),
        "receiver_count": 3,
        "applicants": (),
        "configurations": (),
        "can_boot": False,
        "warnings": (),
    }
    return HostNews(**{**defaults, **values})


def health(**values: Any) -> Health:
    defaults: dict[str, Any] = {
        "is_broker_connected": True,
        "broker_text": "mqtts://192.0.2.1:8883",
        "host": host(),
        "age_seconds": 0.5,
        "is_broadcaster_heard": True,
        "problems": (),
    }
    return Health(**{**defaults, **values})


def room(name: str, seats: Sequence[SeatView], **values: Any) -> RoomView:
    counts = tuple(Counter(each.state for each in seats).items())
    return RoomView(**{"counts": counts, **values, "name": name, "seats": tuple(seats)})


def fleet(**values: Any) -> FleetView:
    seats = (
        seat("one", progress=0.5, rate_bits_per_second=8000.0, eta_seconds=30.0, missing_bytes=77, bytes_received=900),
        seat("two", SeatState.FAILED, progress=0.1, reason="disk error at sector 7", loss_ratio=0.2, is_slow=True),
    )
    defaults: dict[str, Any] = {
        "at": 1000.0,
        "health": health(),
        "rooms": (
            room("lab", seats, tsi=TSI, step=SessionStep.RUNNING, spread=Spread(0.1, 0.5, 0.9), eta_seconds=90.0),
            room("hall", (seat("front", SeatState.OFF), seat("rear", SeatState.EMPTY, machine=""))),
        ),
        "tray": (seat("stray", SeatState.IDLE),),
        "sessions": (session(seats),),
        "applicants": (),
        "images": (),
    }
    return FleetView(**{**defaults, **values})
