"""Sessions, orders and offers as a seat sees them, filled in sensibly for tests."""

from typing import Any

import msgspec

from protocol.messages import ReceiverState
from protocol.seat_api import CaptureOrder, RestoreOffer, Work
from slatecast.seat.events import (
    DoorFound,
    Enrolled,
    Event,
    Joined,
    KeyPressed,
    NetworkSeen,
    SessionView,
    TargetSeen,
    WorkSeen,
)
from slatecast.seat.seat_state import SeatState

TSI = "0123456789abcdef"
OTHER_TSI = "fedcba9876543210"
NETWORK = NetworkSeen("eth0", "192.0.2.7", has_link=True, speed_bits_per_second=10**9)
TARGET = TargetSeen("/dev/sda", "/dev/sda (Samsung 980, nvme, 512.1 GB)")
ORDER = CaptureOrder(capture_id="1" * 16, image="classroom", is_backup=False, target="")
OFFER = RestoreOffer(image="classroom", version=3, created="2026-11-20T10:00:00Z")
WORK = Work(seat="pc-14", room="Lab 2")


def session(state: ReceiverState = ReceiverState.RECEIVING, **changes: Any) -> SessionView:
    """Of one session in this state."""
    facts: dict[str, Any] = {
        "tsi": TSI,
        "image": "classroom",
        "version": 3,
        "target": "/dev/sda",
        "state": state,
        "stage": state.value,
        "done": None,
        "may_be_stopped": state in (ReceiverState.PLANNED, ReceiverState.ARMING, ReceiverState.READY),
    }
    return SessionView(**{**facts, **changes})


def work(**changes: Any) -> WorkSeen:
    """What the broadcaster has for this seat."""
    return WorkSeen(msgspec.structs.replace(WORK, **changes))


def joined(state: SeatState, *more: Event, now: float = 0.0) -> SeatState:
    """A seat that waits for orders; its actions up to now are taken."""
    for event in (NETWORK, TARGET, DoorFound("192.0.2.1:8884"), Enrolled(), Joined(), work(), *more):
        state.handle(event, now)
    actions(state)
    return state


def press(state: SeatState, keys: str, now: float = 0.0) -> None:
    """One key after the other."""
    for key in keys:
        state.handle(KeyPressed(key), now)


def actions(state: SeatState) -> list[object]:
    """What is to be done, lines for the log left out."""
    found: list[object] = []
    while (action := state.next_action()) is not None:
        found.append(action)
    return [action for action in found if type(action).__name__ != "Say"]
