"""The live picture of a cast on the terminal: a row with a bar per seat; nothing where there is no terminal."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console, ConsoleRenderable, Group, RichCast
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from broadcaster.alarms import loudest_alarm
from broadcaster.report import SessionReport
from broadcaster.roster import INCOMPLETE, LOST, STALLED, Seat
from broadcaster.service import Broadcast
from protocol.messages import ReceiverState, SessionPhase
from protocol.wire import TOI_DISK
from slatecast.cli.words import bytes_in_words, rate_in_words, seconds_in_words

REFRESH_PER_SECOND = 4
"""Twice the rate of the reports: nothing is shown later than it is known."""

_ICONS = {
    ReceiverState.VERIFIED.value: ("✔", "green"),
    ReceiverState.REFUSED.value: ("✘", "red"),
    ReceiverState.FAILED.value: ("✘", "red"),
    ReceiverState.DAMAGED.value: ("✘", "red"),
    LOST: ("?", "yellow"),
    STALLED: ("!", "yellow"),
    INCOMPLETE: ("✘", "red"),
}
_WORDS = {
    ReceiverState.PLANNED.value: "planned",
    ReceiverState.ARMING.value: "counting down",
    ReceiverState.READY.value: "ready",
    ReceiverState.RECEIVING.value: "receiving",
    ReceiverState.VERIFYING.value: "reading back",
}


@contextmanager
def room_display(broadcast: Broadcast, console: Console, waiting: RichCast) -> Iterator[None]:
    """Show the room while the context is open; on a terminal only, since a log wants lines, not pictures.

    ``waiting`` shows who asks to be let in.
    """
    if not console.is_terminal:
        yield
        return
    picture = Group(waiting, _Picture(broadcast))
    with Live(picture, console=console, refresh_per_second=REFRESH_PER_SECOND, transient=True):
        yield


class _Picture:
    """Drawn anew at each refresh from the session as it then is."""

    def __init__(self, broadcast: Broadcast) -> None:
        self._broadcast = broadcast
        self._last = (time.monotonic(), 0)
        self._bits_per_second = 0.0

    def __rich__(self) -> ConsoleRenderable:
        session, now = self._broadcast.session, time.monotonic()
        table = Table(box=None, pad_edge=False)
        for heading in ("seat", "", "", "missing", "loss", ""):
            table.add_column(heading, justify="right" if heading in ("missing", "loss") else "left")
        for seat in sorted(session.roster.seats(), key=lambda seat: seat.report.seat):
            table.add_row(*_seat_row(seat, now))
        alarm = loudest_alarm(seat.report for seat in session.roster.seats())
        return Group(self._headline(now), table, *([Text(alarm, style="bold red")] if alarm else []))

    def _headline(self, now: float) -> Text:
        session = self._broadcast.session
        image = session.announcement.image
        elapsed = now - session.started_at if session.started_at is not None else 0.0
        if session.phase is SessionPhase.WAITING:
            ready = len(session.roster.armed(now))
            arming = len(session.roster.awaited(now)) - ready
            counting = f", {arming} counting down" if arming else ""
            return Text(f"{image.name}: waiting for seats, {ready} ready{counting}")
        plan = session.plan(TOI_DISK)
        if session.phase is SessionPhase.MANIFEST:
            return Text(f"{image.name}: looking for what the disks hold already, {seconds_in_words(elapsed)}")
        return Text(
            f"{image.name}: {plan.departed_count} of {plan.planned_count} blocks have left, "
            f"{seconds_in_words(elapsed)}{self._time_left(elapsed, now)}, "
            f"sending {rate_in_words(self._measured_rate(now))} of {rate_in_words(session.rate.rate_bits_per_second)} "
            f"({session.rate.reason})"
        )

    def _time_left(self, elapsed: float, now: float) -> str:
        """Until the last seat has received everything, at the pace so far; its read-back comes on top."""
        reports = [seat.report for seat in self._broadcast.session.roster.awaited(now)]
        missing, total = max(((each.blocks_missing, each.blocks_total) for each in reports), default=(0, 0))
        done = total - missing
        return f", about {seconds_in_words(elapsed * missing / done)} left" if done and missing else ""

    def _measured_rate(self, now: float) -> float:
        then, bytes_then = self._last
        if now - then >= 1.0:
            self._bits_per_second = (self._broadcast.bytes_sent - bytes_then) * 8 / (now - then)
            self._last = (now, self._broadcast.bytes_sent)
        return self._bits_per_second


def _seat_row(seat: Seat, now: float) -> tuple[ConsoleRenderable | str, ...]:
    """What a seat does, how far it is, and what keeps it."""
    report, outcome = seat.report, seat.outcome(now)
    icon, style = _ICONS.get(outcome, ("•", "cyan"))
    done, total = report.blocks_total - report.blocks_missing, report.blocks_total
    words = _WORDS.get(outcome, outcome)
    if outcome == ReceiverState.RECEIVING.value and report.blocks_scanned < report.blocks_to_scan:
        words, done, total = "scanning", report.blocks_scanned, report.blocks_to_scan
    elif outcome == ReceiverState.VERIFYING.value:
        done = min(report.blocks_total, report.bytes_verified * report.blocks_total // max(1, report.bytes_to_verify))
    loss = f"{report.symbols_lost / report.symbols_expected:.2%}" if report.symbols_expected else ""
    return (
        Text(report.seat),
        Text(f"{icon} {words}", style=style),
        ProgressBar(total=max(1, total), completed=done, width=30),
        f"{report.blocks_missing}",
        loss,
        Text(_what_keeps(seat), style="yellow"),
    )


def _what_keeps(seat: Seat) -> str:
    if seat.is_on_catch_up:
        return f"catching up: {seat.slow_because}"
    return seat.report.reason if seat.is_arming else seat.incomplete_because


def print_report(report: SessionReport, console: Console) -> None:
    """The final table, and the totals in one line."""
    table = Table(title=f"image {report.image} version {report.version}, session {report.session}")
    for heading in ("seat", "outcome", "time", "rate", "loss", "repaired", "verified"):
        table.add_column(heading, justify="left" if heading in ("seat", "outcome") else "right")
    for seat in report.seats:
        taken = seat.bytes_received + seat.catch_up_bytes
        rate = taken * 8 / seat.seconds if seat.verified and seat.seconds else 0.0
        table.add_row(
            Text(seat.seat),
            Text(f"{seat.outcome}: {seat.reason}" if seat.reason else seat.outcome),
            seconds_in_words(seat.seconds),
            rate_in_words(rate) if rate else "",
            f"{seat.loss_ratio:.2%}",
            str(seat.repaired),
            "yes" if seat.verified else "no",
        )
    console.print(table)
    verified = sum(seat.verified for seat in report.seats)
    repair_ratio = report.repair_datagrams / report.datagrams_sent if report.datagrams_sent else 0.0
    fetched = f", {bytes_in_words(report.catch_up_bytes)} were fetched by single seats" if report.catch_up_bytes else ""
    console.print(
        f"{verified} of {len(report.seats)} seats verified in {seconds_in_words(report.seconds)}; "
        f"{bytes_in_words(report.bytes_on_wire)} on the wire for {bytes_in_words(report.stored_bytes)} stored, "
        f"{repair_ratio:.2%} of the datagrams were repair{fetched}.",
        highlight=False,
    )
    if alarm := loudest_alarm(report.seats):
        console.print(Text(alarm, style="bold red"))


def say(text: str) -> None:
    """One plain line for people and logs."""
    print(text, file=sys.stderr, flush=True)
