"""How the operator of one cast lets receivers in: what waits is shown with its words, answers are typed.

    a         let in all that wait, if they are as many as seats are missing
    3         let in number 3 of the list
    r 3       refuse number 3

Lines are read from standard input, so a script can answer as well; where there is none, receivers need the token.
"""

import asyncio
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

from rich.console import ConsoleRenderable, Group
from rich.table import Table
from rich.text import Text

from broadcaster.waiting_room import Applicant, Left, RoomEvent, Settled, Waiting, WaitingRoom, WrongToken
from protocol.enrolment import VerdictState
from protocol.errors import ConfigError
from slatecast.cli.room_display import say

MAX_LINE: Final = 256
"""[bytes] read at once, and kept of a line that does not end; the longest answer has ten."""

WRONG_TOKEN_INTERVAL: Final = 5.0
"""[s] At most one line about wrong tokens in so long: whoever guesses must not fill the screen."""

_ANSWER: Final = re.compile(r"(?P<all>a(?:ccept all)?)|(?P<refuse>r)?\s*(?P<number>\d{1,4})")


class Admitting:
    """The operator's side of a cast's waiting room."""

    def __init__(self, expected_seats: int, write: Callable[[str], None] = say) -> None:
        self._expected_seats = expected_seats
        self._write = write
        self._room: WaitingRoom | None = None
        self._numbers: dict[str, int] = {}
        self._unfinished = b""
        """of a line that was read in part"""
        self._told_of_guesses_at = float("-inf")

    @property
    def pending(self) -> list[tuple[int, Applicant]]:
        """Number and receiver of those who wait; a number stays with its receiver."""
        return [] if self._room is None else [(self._number(each), each) for each in self._room.pending]

    def on_event(self, event: RoomEvent) -> None:
        """What happened in the waiting room, as lines for people and logs."""
        match event:
            case Waiting(applicant):
                self._write(
                    f"{self._number(applicant)}: seat {_quoted(applicant.seat)} ({applicant.address}) "
                    f"asks to be let in; its screen must show: {applicant.words} "
                    f"(type {self._number(applicant)} to let it in, a for all)"
                )
            case Settled(applicant) if applicant.state is VerdictState.REFUSED:
                self._write(f"seat {_quoted(applicant.seat)} ({applicant.address}) was refused")
            case Left(applicant):
                self._write(f"seat {_quoted(applicant.seat)} ({applicant.address}) no longer asks to be let in")
            case WrongToken(address, seat, may_go_on):
                now = time.monotonic()
                if now - self._told_of_guesses_at >= WRONG_TOKEN_INTERVAL:
                    self._told_of_guesses_at = now
                    more = "" if may_go_on else "; it has to wait before it may try again"
                    self._write(f"seat {_quoted(seat)} ({address}) presented a wrong token{more}")
            case _:
                pass

    @contextmanager
    def open(self, room: WaitingRoom) -> Iterator[None]:
        """Let the operator answer while the context is open; in the event loop."""
        self._room = room
        loop = asyncio.get_running_loop()
        descriptor = _standard_input()
        is_reading = False
        if descriptor is not None:
            with suppress(OSError):  # a file or /dev/null cannot be waited for, and nobody types there
                loop.add_reader(descriptor, self._read, descriptor)
                is_reading = True
        try:
            yield
        finally:
            if is_reading and descriptor is not None:
                loop.remove_reader(descriptor)

    def answer(self, line: str) -> None:
        """Do what the operator typed; what cannot be is said."""
        room = self._room
        match = _ANSWER.fullmatch(line.strip())
        if room is None or not line.strip():
            return
        if match is None:
            self._write(
                f"{line.strip()!r} is no answer: type a to let in all that wait, 3 for number 3, r 3 to refuse it"
            )
            return
        try:
            if match["all"]:
                room.accept_all(max(1, self._expected_seats - len(room.admitted)))
                return
            receiver_id = self._receiver_with(int(match["number"]))
            if match["refuse"]:
                room.refuse(receiver_id)
            else:
                room.accept(receiver_id)
        except ConfigError as error:
            self._write(str(error))

    def _read(self, descriptor: int) -> None:
        if os.isatty(descriptor) and os.tcgetpgrp(descriptor) != os.getpgrp():
            return  # in the background a read would stop the cast
        text = os.read(descriptor, MAX_LINE)
        if not text:
            asyncio.get_running_loop().remove_reader(descriptor)
        # A pipe gives what there is: half a number would be another one.
        *lines, self._unfinished = (self._unfinished + (text or b"\n")).split(b"\n")
        if len(self._unfinished) > MAX_LINE:
            lines, self._unfinished = [*lines, self._unfinished[:MAX_LINE]], b""
        for line in lines:
            self.answer(line.decode(errors="replace"))

    def _number(self, applicant: Applicant) -> int:
        return self._numbers.setdefault(applicant.receiver_id, len(self._numbers) + 1)

    def _receiver_with(self, number: int) -> str:
        for one, applicant in self.pending:
            if one == number:
                return applicant.receiver_id
        raise ConfigError(f"number {number} does not wait")

    def __rich__(self) -> ConsoleRenderable:
        """The list of those who wait; nothing when nobody does."""
        pending = self.pending
        if not pending:
            return Text("")
        table = Table(box=None, pad_edge=False)
        for heading in ("", "asks to be let in", "address", "its screen must show"):
            table.add_column(heading)
        for number, applicant in pending:
            table.add_row(
                str(number), Text(applicant.seat), Text(applicant.address), Text(applicant.words, style="bold")
            )
        return Group(table, Text("a and Enter: let all in, a number: one, r and a number: refuse", style="cyan"))


def _quoted(seat: str) -> str:
    """A stranger chose it: with blanks in it, it could read like the rest of the line, words to compare included."""
    return seat if seat.split() == [seat] else repr(seat)


def _standard_input() -> int | None:
    try:
        return sys.stdin.fileno()
    except (AttributeError, OSError, ValueError):
        return None
