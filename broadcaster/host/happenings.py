"""What happened in a session, in words for its operators: told by comparing how it stands from look to look. Pure.

Of many seats to which the same happens between two looks one sentence is said. Only the newest MAX_HAPPENINGS are kept:
a room that means well fills them with nothing but what an operator wants to read, and one that does not gets no more.
"""

from collections import defaultdict, deque
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from broadcaster.host.news import ABSENT
from broadcaster.roster import ABORTED, INCOMPLETE, LOST, STALLED
from protocol.fields import MAX_LONG_TEXT
from protocol.messages import ReceiverState, SessionPhase
from protocol.operators import MAX_HAPPENINGS, Happening, SeatNews, SessionNews, SessionStep, Severity

TOLD_ONE_BY_ONE: Final = 3
"""[seats] Of more to which the same happens at once, one sentence is said."""

NAMES_LENGTH: Final = 250
"""[characters] of names in one sentence; the rest is a number."""

RATE_STEP: Final = 0.75
"""A rate below this share of the one that was told last is told; smaller steps are every session's daily life."""

RATE_PATIENCE: Final = 10.0
"""[s] between two words on the rate: it goes down and up again while the room is busy."""


class _Event(NamedTuple):
    """What can happen to a seat; those that are equal are told together."""

    severity: Severity
    one: str
    """of one seat, after its name"""
    many: str
    """of several, after their names"""
    reason: str = ""


_WORDS: Final = {
    ReceiverState.ARMING.value: _Event(
        Severity.INFO, "counts down to its first write", "count down to their first write"
    ),
    ReceiverState.VERIFIED.value: _Event(
        Severity.GOOD, "is written, read back and verified", "are written, read back and verified"
    ),
    ReceiverState.REFUSED.value: _Event(Severity.ERROR, "refused", "refused"),
    ReceiverState.FAILED.value: _Event(Severity.ERROR, "failed", "failed"),
    ReceiverState.DAMAGED.value: _Event(Severity.ERROR, "is damaged", "are damaged"),
    LOST: _Event(Severity.WARNING, "is lost", "are lost"),
    STALLED: _Event(Severity.WARNING, "is stuck", "are stuck"),
    INCOMPLETE: _Event(Severity.ERROR, "cannot be completed", "cannot be completed"),
}
_JOINED: Final = _Event(Severity.INFO, "joined", "joined")
_RETURNED: Final = _Event(Severity.INFO, "returned after a restart", "returned after a restart")
_BACK: Final = _Event(Severity.GOOD, "is back", "are back")
_SLOW: Final = _Event(Severity.WARNING, "catches up by itself", "catch up by themselves")
_QUICK: Final = _Event(Severity.INFO, "is back with the others", "are back with the others")
_AWAY: Final = frozenset({LOST, STALLED})


class Happenings:
    """What happened in one session, newest last."""

    def __init__(self) -> None:
        self._all: deque[Happening] = deque(maxlen=MAX_HAPPENINGS)
        self._seats: dict[str, SeatNews] = {}
        self._step: SessionStep | None = None
        self._has_told_start = False
        self._told_rate = 0
        self._rate_told_at = 0.0
        self._alarms: set[str] = set()

    def newest(self) -> tuple[Happening, ...]:
        """The newest, newest last."""
        return tuple(self._all)

    def note(self, text: str, at: float, severity: Severity = Severity.INFO, receiver_id: str | None = None) -> None:
        """Add what is known otherwise, such as what an operator did; ``at`` in seconds since 1970."""
        short = text if len(text) <= MAX_LONG_TEXT else f"{text[: MAX_LONG_TEXT - 3]}..."
        self._all.append(Happening(at=at, severity=severity, text=short, receiver_id=receiver_id))

    def take_over(self, seats: Iterable[SeatNews]) -> None:
        """These seats were there before this process: that they are is nothing new."""
        self._seats = {seat.machine: seat for seat in seats}
        self._has_told_start = True

    def look(self, session: SessionNews, seats: Sequence[SeatNews], at: float) -> bool:
        """Compare with the last look; whether anything happened.

        Args:
            session: as it is about to be told.
            seats: all of them.
            at: seconds since 1970.
        """
        before = len(self._all), self._all[-1] if self._all else None
        self._look_at_seats(seats, at)
        self._look_at_rate(session, at)
        self._look_at_session(session, seats, at)
        return before != (len(self._all), self._all[-1] if self._all else None)

    def _look_at_seats(self, seats: Iterable[SeatNews], at: float) -> None:
        happened: dict[_Event, list[SeatNews]] = defaultdict(list)
        for seat in seats:
            for event in _changes(self._seats.get(seat.machine), seat):
                happened[event].append(seat)
            self._look_at_alarm(seat, at)
            self._seats[seat.machine] = seat
        for event, those in happened.items():
            if len(those) > TOLD_ONE_BY_ONE:
                self.note(_sentence(_names(those), event.many, event.reason), at, event.severity)
            else:
                for seat in those:
                    self.note(_sentence(seat.seat, event.one, event.reason), at, event.severity, seat.receiver_id)

    def _look_at_alarm(self, seat: SeatNews, at: float) -> None:
        what = seat.alarm.partition(";")[0]
        if what and what not in self._alarms and len(self._alarms) < MAX_HAPPENINGS:
            self._alarms.add(what)
            self.note(f"ALARM at {seat.seat}: {seat.alarm}", at, Severity.ERROR, seat.receiver_id)

    def _look_at_rate(self, session: SessionNews, at: float) -> None:
        rate, told = session.rate_bits_per_second, self._told_rate
        if session.step is not SessionStep.RUNNING or abs(at - self._rate_told_at) < RATE_PATIENCE:
            return
        if told and rate < told * RATE_STEP:
            text = f"rate down from {_mbit(told)} to {_mbit(rate)} Mbit/s"
            self.note(_sentence("", text, session.rate_reason), at, Severity.WARNING)
        elif told and rate * RATE_STEP > told:
            self.note(f"rate up from {_mbit(told)} to {_mbit(rate)} Mbit/s", at)
        elif told:
            return
        self._told_rate, self._rate_told_at = rate, at

    def _look_at_session(self, session: SessionNews, seats: Sequence[SeatNews], at: float) -> None:
        step, self._step = self._step, session.step
        # A small image may be sent between two looks.
        has_begun = session.phase is SessionPhase.DISK or session.position > 0
        if has_begun and not self._has_told_start:
            self._has_told_start = True
            self.note(f"sending began at {_mbit(session.rate_bits_per_second)} Mbit/s", at)
        if session.step is SessionStep.ENDED and step is not SessionStep.ENDED:
            verified = sum(seat.outcome == ReceiverState.VERIFIED.value for seat in seats)
            is_good = bool(seats) and verified == len(seats)
            words = f"session ended with {verified} of {len(seats)} seats verified"
            self.note(_sentence("", words, session.end_reason), at, Severity.GOOD if is_good else Severity.WARNING)


def _changes(old: SeatNews | None, new: SeatNews) -> Iterable[_Event]:
    """What happened to a seat since the last look."""
    if new.outcome == ABSENT:
        return
    if old is None or old.outcome == ABSENT:
        yield _JOINED
        old = None
    elif old.receiver_id != new.receiver_id:
        yield _RETURNED
        old = None
    has_changed = old is None or old.outcome != new.outcome
    if has_changed and new.outcome in _WORDS:
        yield _WORDS[new.outcome]._replace(reason=new.reason)
    elif has_changed and old is not None and old.outcome in _AWAY and new.outcome != ABORTED:
        yield _BACK
    was_slow = old is not None and old.is_on_catch_up
    if new.is_on_catch_up and not was_slow:
        yield _SLOW._replace(reason=new.reason)
    elif was_slow and not new.is_on_catch_up and new.outcome not in _WORDS:
        yield _QUICK


def _sentence(who: str, what: str, reason: str) -> str:
    text = f"{who} {what}".strip()
    return f"{text}: {reason}" if reason else text


def _names(seats: Sequence[SeatNews]) -> str:
    names, count = "", 0
    for seat in seats:
        if len(names) + len(seat.seat) > NAMES_LENGTH:
            break
        names += f"{', ' if names else ''}{seat.seat}"
        count += 1
    rest = len(seats) - count
    return f"{len(seats)} seats ({names}{f' and {rest} more' if rest else ''})"


def _mbit(bits_per_second: int) -> str:
    return f"{bits_per_second / 1e6:.0f}"
