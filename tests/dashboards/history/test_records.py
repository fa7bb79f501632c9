from dataclasses import fields

from dashboards.fleet.views import SeatState, SeatView, SessionView, Spread
from dashboards.history.records import LARGEST_NUMBER, MAX_TEXT, past_session
from protocol.operators import SessionStep


def view(*seats: SeatView, **texts: str) -> SessionView:
    return SessionView(
        tsi="00" * 8,
        room=texts.get("room", "Lab"),
        image="windows-11",
        version=3,
        disk_size=1 << 40,
        stored_bytes=1 << 35,
        ordered_by="alice",
        opened_at=10.0,
        step=SessionStep.ENDED,
        elapsed_seconds=25.5,
        eta_seconds=None,
        rate_bits_per_second=9,
        wire_bits_per_second=8.0,
        cap_bits_per_second=7,
        rate_reason="",
        bytes_on_wire=1 << 70,
        catch_up_bytes=5,
        datagrams_sent=4,
        repair_datagrams=3,
        expected_seats=2,
        end_reason=texts.get("end_reason", "done"),
        seats=seats,
        spread=Spread(),
        happenings=(),
        samples=(),
        age_seconds=0.0,
    )


def seat(name: str, state: SeatState) -> SeatView:
    return SeatView(name=name, machine="m", receiver_id="ab" * 16, state=state, reason="why", target="/dev/sda")


def test_a_picture_becomes_a_record() -> None:
    past = past_session(view(seat("01", SeatState.VERIFIED), seat("02", SeatState.FAILED)), ended_at=99.0)
    assert (past.tsi, past.room, past.opened_at, past.ended_at) == ("00" * 8, "Lab", 10.0, 99.0)
    assert (past.seat_count, past.verified_count, past.has_report) == (2, 1, False)
    assert [(each.name, each.outcome, each.is_verified) for each in past.seats] == [
        ("01", "verified", True),
        ("02", "failed", False),
    ]
    assert past.seats[1].reason == "why"


def test_what_is_kept_fits_the_file() -> None:
    past = past_session(view(room="x" * 1_000_000, end_reason="\ud800"), ended_at=99.0)
    assert len(past.room) == MAX_TEXT
    assert past.end_reason == "?"
    assert past.bytes_on_wire == LARGEST_NUMBER


def test_every_field_is_filled() -> None:
    past = past_session(view(seat("01", SeatState.VERIFIED)), ended_at=99.0)
    assert all(getattr(past, field.name) is not None for field in fields(past))
