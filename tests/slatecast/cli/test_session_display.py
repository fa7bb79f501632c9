import io
from dataclasses import replace

import pytest
from rich.console import Console, ConsoleRenderable

from dashboards.fleet.views import SeatState, SeatView, SessionView, Spread
from protocol.operators import SessionStep
from slatecast.cli.session_display import (
    exit_code,
    headline,
    is_plan_complete,
    plan_table,
    session_picture,
    sessions_table,
)

HOSTILE = "[bold red]x[/]\x1b[2J\x07\u202e"


def seat(name: str, state: SeatState, **fields: object) -> SeatView:
    return replace(SeatView(name, f"machine of {name}", "0" * 32, state), **fields)  # type: ignore[arg-type]  # by name


def session(*seats: SeatView, step: SessionStep = SessionStep.RUNNING) -> SessionView:
    return SessionView(
        tsi="0123456789abcdef",
        room="Room 1",
        image="lab",
        version=3,
        disk_size=1 << 30,
        stored_bytes=1 << 29,
        ordered_by="otto",
        opened_at=0.0,
        step=step,
        elapsed_seconds=61.0,
        eta_seconds=125.0,
        rate_bits_per_second=900_000_000,
        wire_bits_per_second=850_000_000.0,
        cap_bits_per_second=900_000_000,
        rate_reason="",
        bytes_on_wire=0,
        catch_up_bytes=0,
        datagrams_sent=0,
        repair_datagrams=0,
        expected_seats=len(seats),
        end_reason="",
        seats=seats,
        spread=Spread(0.1, 0.5, 1.0),
        happenings=(),
        samples=(),
        age_seconds=0.0,
    )


def shown(picture: ConsoleRenderable) -> str:
    console = Console(file=io.StringIO(), width=200, color_system=None)
    console.print(picture)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_plan_says_what_would_happen_to_each_seat() -> None:
    planned = seat("pc-01", SeatState.PLANNED, target="/dev/sda ST500", missing_bytes=1_500_000_000)
    refused = seat("pc-02", SeatState.REFUSED, reason="the disk is mounted")
    lines = shown(plan_table(session(planned, refused, step=SessionStep.PLANNED))).splitlines()
    (first,) = [line for line in lines if "pc-01" in line]
    (second,) = [line for line in lines if "pc-02" in line]
    assert "planned" in first
    assert "/dev/sda ST500" in first
    assert "1.5 GB" in first
    assert "✘ refused" in second
    assert "the disk is mounted" in second


def test_a_picture_has_a_row_for_each_seat() -> None:
    slow = seat("pc-01", SeatState.RECEIVING, reason="catching up: link 100 Mb/s", rate_bits_per_second=95e6)
    text = shown(session_picture(session(slow, seat("pc-02", SeatState.VERIFIED))))
    assert "catching up: link 100 Mb/s" in text
    assert "95 Mbit/s" in text
    assert "✔ verified" in text
    assert "1 of 2 seats verified" in text


def test_the_headline() -> None:
    assert headline(session(seat("pc-01", SeatState.RECEIVING))) == (
        "lab version 3 to Room 1: running, 0 of 1 seats verified, 850 Mbit/s of 900 Mbit/s, 1 min 01 s so far, "
        "about 2 min 05 s left"
    )
    ended = replace(session(seat("pc-01", SeatState.ABORTED), step=SessionStep.ENDED), end_reason="stopped by otto")
    assert headline(ended).endswith("0 of 1 seats verified, 1 min 01 s so far, stopped by otto")


def test_the_list() -> None:
    assert "0123456789abcdef" in shown(sessions_table([session(seat("pc-01", SeatState.VERIFIED))]))


def test_texts_of_strangers_are_shown_and_not_obeyed() -> None:
    bad = seat(HOSTILE, SeatState.REFUSED, reason=HOSTILE, target=HOSTILE, alarm=HOSTILE)
    view = replace(session(bad), image=HOSTILE, room=HOSTILE, end_reason=HOSTILE, rate_reason=HOSTILE)
    for picture in (plan_table(view), session_picture(view), sessions_table([view])):
        text = shown(picture)
        assert "[bold red]x[/]" in text
        assert not set(text) & {"\x1b", "\x07", "\u202e"}


@pytest.mark.parametrize(
    ("states", "expected", "is_complete"),
    [
        ([SeatState.PLANNED, SeatState.PLANNED], None, True),
        ([SeatState.PLANNED, SeatState.REFUSED], None, True),
        ([SeatState.PLANNED, SeatState.SCANNING], 1, False),
        ([SeatState.PLANNED, SeatState.OFF], None, False),
        ([SeatState.PLANNED, SeatState.OFF], 1, True),
        ([SeatState.PLANNED, SeatState.OFF], 2, False),
    ],
)
def test_when_a_plan_is_complete(states: list[SeatState], expected: int | None, is_complete: bool) -> None:
    view = session(*(seat(f"pc-{number}", state) for number, state in enumerate(states)), step=SessionStep.PLANNED)
    assert is_plan_complete(view, expected) is is_complete


@pytest.mark.parametrize(
    ("states", "code"),
    [
        ([SeatState.VERIFIED, SeatState.VERIFIED], 0),
        ([SeatState.VERIFIED, SeatState.DAMAGED], 5),
        ([SeatState.INCOMPLETE, SeatState.LOST], 5),
        ([SeatState.REFUSED, SeatState.OFF], 3),
        ([SeatState.VERIFIED, SeatState.REFUSED], 4),
        ([SeatState.ABORTED], 4),
    ],
)
def test_exit_codes_are_those_of_a_cast(states: list[SeatState], code: int) -> None:
    assert exit_code(session(*(seat("pc", state) for state in states))) == code
