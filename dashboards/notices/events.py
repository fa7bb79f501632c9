"""What somebody is told who is not looking, in plain words. Pure.

Texts are what receivers and operators wrote: ``clean`` takes from them what would act on a header, a terminal or the
reading direction. An event says no more than its fields: no address, no key, no disk's content.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from protocol.fields import printable

MAX_SEATS_NAMED: Final = 50
"""of one event; a mail with a thousand lines is not read"""
MAX_TEXT: Final = 200
"""[characters] of one text that somebody else wrote"""


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A seat that was not verified."""

    seat: str
    outcome: str
    """a word of ``SeatState``"""
    reason: str


@dataclass(frozen=True, slots=True)
class SessionEnded:
    """A session is over."""

    tsi: str
    room: str
    image: str
    version: int
    at: float
    """seconds since 1970"""
    elapsed_seconds: float
    end_reason: str
    seat_count: int
    verified_count: int
    unfinished: tuple[Unfinished, ...]
    """at most MAX_SEATS_NAMED"""

    @property
    def id(self) -> str:
        """The same for the same event, whoever tells it again."""
        return f"{self.tsi}/ended"

    @property
    def subject(self) -> str:
        """One line."""
        return f"{clean(self.room)}: {self.verified_count} of {self.seat_count} seats verified"

    @property
    def text(self) -> str:
        """A few lines."""
        lines = [
            f"The session in room {clean(self.room)} with image {clean(self.image)}, version {self.version}, has ended"
            f" after {_duration(self.elapsed_seconds)}.",
            f"{self.verified_count} of {self.seat_count} seats are verified.",
        ]
        if self.end_reason:
            lines.append(f"Why it ended: {clean(self.end_reason)}")
        lines += [_line(each) for each in self.unfinished]
        more = self.seat_count - self.verified_count - len(self.unfinished)
        if more > 0:
            lines.append(f"and {more} more; see the session in the console.")
        return "\n".join([*lines, "", f"{_time(self.at)}, session {clean(self.tsi)}", ""])

    def as_json(self) -> dict[str, Any]:
        """The fields for a program."""
        return {
            "event": "session_ended",
            "id": self.id,
            "at": _time(self.at),
            "text": self.subject,
            "session": clean(self.tsi),
            "room": clean(self.room),
            "image": clean(self.image),
            "version": self.version,
            "elapsed_seconds": round(self.elapsed_seconds, 1),
            "end_reason": clean(self.end_reason),
            "seat_count": self.seat_count,
            "verified_count": self.verified_count,
            "unfinished": [
                {"seat": clean(each.seat), "outcome": clean(each.outcome), "reason": clean(each.reason)}
                for each in self.unfinished
            ],
        }


@dataclass(frozen=True, slots=True)
class SeatFailed:
    """A seat of a running session will not finish."""

    tsi: str
    room: str
    image: str
    machine: str
    """stable name of the PC, for ``id`` only"""
    at: float
    """seconds since 1970"""
    failure: Unfinished

    @property
    def id(self) -> str:
        """The same for the same event, whoever tells it again."""
        return f"{self.tsi}/{clean(self.machine)}/failed"

    @property
    def subject(self) -> str:
        """One line."""
        return f"{clean(self.room)}: seat {clean(self.failure.seat)} {clean(self.failure.outcome)}"

    @property
    def text(self) -> str:
        """A few lines."""
        return "\n".join(
            [
                f"In room {clean(self.room)}, while image {clean(self.image)} is cast:",
                _line(self.failure),
                "The session goes on for the other seats.",
                "",
                f"{_time(self.at)}, session {clean(self.tsi)}",
                "",
            ]
        )

    def as_json(self) -> dict[str, Any]:
        """The fields for a program."""
        return {
            "event": "seat_failed",
            "id": self.id,
            "at": _time(self.at),
            "text": self.subject,
            "session": clean(self.tsi),
            "room": clean(self.room),
            "image": clean(self.image),
            "seat": clean(self.failure.seat),
            "outcome": clean(self.failure.outcome),
            "reason": clean(self.failure.reason),
        }


Event = SessionEnded | SeatFailed


def clean(text: str) -> str:
    """One line of bounded length in which every character can be seen."""
    shown = printable(text[:MAX_TEXT])
    return f"{shown}…" if len(text) > MAX_TEXT else shown


def _line(each: Unfinished) -> str:
    reason = f": {clean(each.reason)}" if each.reason else ""
    return f"Seat {clean(each.seat)} {clean(each.outcome)}{reason}"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
