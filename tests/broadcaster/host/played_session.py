"""Sessions for tests of what is told of them: a sender session on the bench, and seats as words."""

from typing import Any

import msgspec

from broadcaster.host.news import SessionFacts
from protocol.messages import SessionPhase
from protocol.operators import SeatNews, SessionNews, SessionStep
from tests.sample_messages import TSI, receiver_id

GENERATION = "0" * 32

FACTS = SessionFacts(
    room="R1",
    ordered_by="anna",
    opened_at=1.7e9,
    expected_seats=2,
    block_count=4,
    cap_bits_per_second=900_000_000,
    bytes_on_wire=5,
    catch_up_bytes=6,
    earlier_seconds=0.0,
    backs_up=True,
)


def seat_news(number: int = 1, outcome: str = "receiving", **changes: Any) -> SeatNews:
    """A seat to which nothing special happens."""
    counters = dict.fromkeys(SeatNews.__struct_fields__, 0)
    words = {
        "receiver_id": receiver_id(number),
        "machine": f"machine-{number}",
        "seat": f"PC {number}",
        "outcome": outcome,
        "reason": "",
        "is_on_catch_up": False,
        "has_scanned": False,
        "target": "/dev/sda",
        "alarm": "",
    }
    return SeatNews(**{**counters, **words, **changes})


def session_news(step: SessionStep = SessionStep.RUNNING, **changes: Any) -> SessionNews:
    """A session in which nothing special happens."""
    plain = SessionNews(
        generation=GENERATION,
        tsi=TSI,
        sequence=1,
        room="R1",
        image="classroom",
        version=3,
        disk_size=1,
        stored_bytes=1,
        block_count=1,
        ordered_by="anna",
        opened_at=1.7e9,
        step=step,
        phase=SessionPhase.DISK,
        position=0,
        elapsed_seconds=0.0,
        rate_bits_per_second=900_000_000,
        cap_bits_per_second=900_000_000,
        rate_reason="",
        bytes_on_wire=0,
        catch_up_bytes=0,
        datagrams_sent=0,
        repair_datagrams=0,
        expected_seats=1,
        pages=1,
        end_reason="",
        happenings=(),
        backs_up=False,
    )
    return msgspec.structs.replace(plain, **changes)
