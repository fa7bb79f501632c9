"""Sessions of a console on the terminal: plans and seats as tables, and a live picture of one session."""

from collections.abc import Iterable
from typing import Final

from rich.console import ConsoleRenderable, Group
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from dashboards.desk_rules import to_overwrite
from dashboards.fleet.views import SeatState, SeatView, SessionView
from protocol.operators import SessionStep
from slatecast.cli.proof import one_line
from slatecast.cli.words import bytes_in_words, rate_in_words, seconds_in_words

_ICONS: Final = {
    SeatState.VERIFIED: ("✔", "green"),
    SeatState.LOST: ("?", "yellow"),
    SeatState.STALLED: ("!", "yellow"),
}
_WORDS: Final = {SeatState.ARMING: "counting down", SeatState.VERIFYING: "reading back"}
_WRONG: Final = frozenset({SeatState.DAMAGED, SeatState.INCOMPLETE})
_UNTOUCHED: Final = frozenset({SeatState.REFUSED, SeatState.OFF, SeatState.EMPTY})


def plan_table(session: SessionView) -> Table:
    """What would happen to each seat."""
    title = f"plan {session.tsi}: {session.image} version {session.version} for {session.room}"
    table = Table(title=Text(one_line(title)), title_justify="left")
    for heading in ("seat", "state", "disk to be overwritten", "to be sent", ""):
        table.add_column(heading, justify="right" if heading == "to be sent" else "left")
    for seat in session.seats:
        missing = "" if seat.missing_bytes is None else bytes_in_words(seat.missing_bytes)
        table.add_row(_text(seat.name), _state(seat), _text(seat.target), missing, _text(seat.reason))
    return table


def sessions_table(sessions: Iterable[SessionView]) -> Table:
    """One line for each session."""
    table = Table(box=None, pad_edge=False)
    for heading in ("session", "room", "image", "step", "verified", "progress", "rate", "left"):
        table.add_column(heading, justify="right" if heading in ("verified", "progress", "rate", "left") else "left")
    for session in sessions:
        is_running = session.step is SessionStep.RUNNING
        table.add_row(
            session.tsi,
            _text(session.room),
            _text(f"{session.image}@{session.version}"),
            _text(f"{session.step}: {session.end_reason}" if session.end_reason else session.step),
            f"{verified_count(session)}/{len(session.seats)}",
            f"{session.spread.median:.0%}",
            rate_in_words(session.wire_bits_per_second) if is_running else "",
            "" if session.eta_seconds is None else seconds_in_words(session.eta_seconds),
        )
    return table


def session_picture(session: SessionView) -> ConsoleRenderable:
    """One session with a row for each seat."""
    table = Table(box=None, pad_edge=False)
    for heading in ("seat", "", "", "missing", "rate", "loss", ""):
        table.add_column(heading, justify="right" if heading in ("missing", "rate", "loss") else "left")
    for seat in session.seats:
        table.add_row(
            _text(seat.name),
            _state(seat),
            ProgressBar(total=1.0, completed=seat.progress, width=30),
            "" if seat.missing_bytes is None else bytes_in_words(seat.missing_bytes),
            rate_in_words(seat.rate_bits_per_second) if seat.rate_bits_per_second else "",
            f"{seat.loss_ratio:.2%}" if seat.bytes_received else "",
            Text(one_line(seat.reason or seat.alarm), style="yellow"),
        )
    return Group(Text(headline(session)), table)


def headline(session: SessionView) -> str:
    """How a session is doing, in a line."""
    parts = [f"{session.image} version {session.version} to {session.room}: {session.step}"]
    parts.append(f"{verified_count(session)} of {len(session.seats)} seats verified")
    if session.step is SessionStep.RUNNING:
        parts.append(f"{rate_in_words(session.wire_bits_per_second)} of {rate_in_words(session.cap_bits_per_second)}")
        if session.rate_reason:
            parts[-1] += f" ({session.rate_reason})"
    if session.elapsed_seconds:
        parts.append(f"{seconds_in_words(session.elapsed_seconds)} so far")
    if session.eta_seconds is not None and session.step is not SessionStep.ENDED:
        parts.append(f"about {seconds_in_words(session.eta_seconds)} left")
    if session.end_reason:
        parts.append(session.end_reason)
    return one_line(", ".join(parts))


def verified_count(session: SessionView) -> int:
    """Seats that are done."""
    return sum(seat.state is SeatState.VERIFIED for seat in session.seats)


def is_plan_complete(session: SessionView, expected: int | None) -> bool:
    """Whether every seat has looked at its disk or refused to, or as many as are expected have."""
    if any(seat.state is SeatState.SCANNING for seat in session.seats):
        return False
    if expected is not None and len(to_overwrite(session)) == expected:
        return True
    return all(seat.state is SeatState.PLANNED or seat.state.is_final for seat in session.seats)


def exit_code(session: SessionView) -> int:
    """As of a cast: 0 all verified, 5 wrong bytes somewhere, 3 nothing was written anywhere, 4 otherwise."""
    states = {seat.state for seat in session.seats}
    if states == {SeatState.VERIFIED}:
        return 0
    if states & _WRONG:
        return 5
    return 3 if states <= _UNTOUCHED else 4


def _state(seat: SeatView) -> Text:
    icon, style = _ICONS.get(seat.state, ("✘", "red") if seat.state.is_trouble else ("•", "cyan"))
    return Text(f"{icon} {_WORDS.get(seat.state, seat.state)}", style=style)


def _text(text: str) -> Text:
    return Text(one_line(text))
