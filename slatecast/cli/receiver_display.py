"""One receiver on its own screen: what it is about to do and how to stop it, then one bar; lines where no terminal is.

Esc stops it until the first write. Afterwards the key does nothing, and the screen says so.
"""

import asyncio
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from rich.box import HEAVY
from rich.console import Console, ConsoleRenderable, Group
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from protocol.messages import ReceiverState
from receiver.service import Receiver
from receiver.session import ReceiverSession
from slatecast.cli.keyboard import ESCAPE, keyboard
from slatecast.cli.words import bytes_in_words

REFRESH_PER_SECOND = 4

POLL_SECONDS: Final = 0.1
"""[s] How late a line may say that a countdown began or ended."""


@contextmanager
def receiver_display(receiver: Receiver, console: Console, words: str = "") -> Iterator[None]:
    """Show the receiver while the context is open, and listen for Esc; ``words`` are those that it was paired by."""

    def pressed(key: str) -> None:
        if key == ESCAPE and receiver.session is not None:
            receiver.session.abort(time.monotonic())

    with keyboard(pressed) as has_keyboard:
        if console.is_terminal:
            picture = _Picture(receiver, words, has_keyboard=has_keyboard)
            with Live(picture, console=console, refresh_per_second=REFRESH_PER_SECOND, transient=True):
                yield
            return
        teller = asyncio.create_task(_tell(receiver, has_keyboard=has_keyboard))
        try:
            yield
        finally:
            teller.cancel()


async def _tell(receiver: Receiver, *, has_keyboard: bool) -> None:
    """One line when a countdown begins, and one when it is over; how it was stopped is said by whoever ends."""
    before: ReceiverState | None = None
    while True:
        session = receiver.session
        state = None if session is None else session.state
        if session is not None and state is not before:
            if state is ReceiverState.PLANNED:
                how = _how_to_stop(has_keyboard)
                say(f"seat {session.seat}: {session.target} is not written before the operator starts it, {how}")
            elif state is ReceiverState.ARMING:
                left = session.arming.seconds_left(time.monotonic())
                say(f"seat {session.seat}: writes to {session.target} in {left} s, {_how_to_stop(has_keyboard)}")
            elif before is ReceiverState.ARMING and not session.state.is_final:
                say(f"seat {session.seat}: the countdown is over, {session.target} will be overwritten")
        before = state
        await asyncio.sleep(POLL_SECONDS)


def say(text: str) -> None:
    """One plain line for people and logs."""
    print(text, file=sys.stderr, flush=True)


def _how_to_stop(has_keyboard: bool) -> str:
    return "press Esc to stop" if has_keyboard else "end this program to stop"


class _Picture:
    """Drawn anew at each refresh from the session as it then is."""

    def __init__(self, receiver: Receiver, words: str = "", *, has_keyboard: bool = True) -> None:
        self._receiver = receiver
        self._words = words
        self._has_keyboard = has_keyboard

    def __rich__(self) -> ConsoleRenderable:
        session = self._receiver.session
        words = [Text(f"paired by the words: {self._words}")] if self._words else []
        if session is None:
            return Group(*words, Text("waiting for a session"))
        alarm = [Text(session.poison.alarm, style="bold red")] if session.poison.alarm else []
        seat = Text(f"seat {session.seat}", style="bold")
        return Group(seat, *words, self._warning(session), *alarm, _progress(session))

    def _warning(self, session: ReceiverSession) -> ConsoleRenderable:
        """What happens to the disk, in the largest type that a terminal has."""
        how = _how_to_stop(self._has_keyboard)
        if session.state.is_final:
            return Text(session.reason)
        if not session.arming.may_be_stopped:
            return Text(f"{session.target} is being overwritten; it is too late to stop it by a key")
        if session.state is ReceiverState.PLANNED:
            return _panel(f"{session.target} is not written before the operator starts it, {how}", "bold yellow")
        if session.state is ReceiverState.ARMING:
            left = session.arming.seconds_left(time.monotonic())
            return _panel(f"writes to {session.target} in {left} s, {how}", "bold white on red")
        return _panel(f"writes to {session.target} when the image comes, {how}", "bold yellow")


def _panel(text: str, style: str) -> Panel:
    return Panel(Text(text, justify="center"), box=HEAVY, style=style, padding=(1, 2))


def _progress(session: ReceiverSession) -> ConsoleRenderable:
    stage, done, total = progress_of(session)
    counters = session.counters
    received = bytes_in_words(counters.bytes_received + counters.catch_up_bytes)
    row = Table.grid(padding=(0, 1))
    row.add_row(
        Text(session.announcement.image.name),
        Text(stage, style="cyan"),
        ProgressBar(total=max(1, total), completed=done, width=40),
        f"{session.blocks_missing} blocks missing, {received} received",
    )
    return row


def progress_of(session: ReceiverSession) -> tuple[str, int, int]:
    """What it is doing, and how much of that is done of how much, in blocks or bytes."""
    counters = session.counters
    if session.state is ReceiverState.RECEIVING and counters.blocks_scanned < counters.blocks_to_scan:
        return "scanning", counters.blocks_scanned, counters.blocks_to_scan
    if session.state is ReceiverState.VERIFYING:
        return session.state.value, counters.bytes_verified, counters.bytes_to_verify
    return session.state.value, session.blocks_total - session.blocks_missing, session.blocks_total
