"""Notices in one picture after the other what somebody may have to be told: a seat failed, a session ended. Pure.

What had happened before the first look at a session is old news, except that it ended: the broadcaster tells the end
once, and a console that was just started may be the only one to hear it. The end is told at the look after the one that
first saw it, when the last word on each seat has come as well. Each is told once.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from dashboards.fleet.views import SeatState, SeatView, SessionView
from protocol.operators import SessionStep

MAX_REMEMBERED: Final = 512
"""[sessions] that have ended and are not told again; more than are ever in a picture"""

_FAILED: Final = frozenset({SeatState.FAILED, SeatState.DAMAGED, SeatState.INCOMPLETE})


@dataclass(frozen=True, slots=True)
class SessionEnded:
    """A session has ended, as a plan that was dropped does not."""

    session: SessionView


@dataclass(frozen=True, slots=True)
class SeatFailed:
    """A seat of a session will not be finished in it."""

    session: SessionView
    seat: SeatView


class SessionWatch:
    """Compares each picture with the one before."""

    def __init__(self) -> None:
        self._failed: dict[str, set[str]] = {}
        self._ending: set[str] = set()
        self._ended: dict[str, None] = {}

    def look(self, sessions: Iterable[SessionView], *, is_last: bool = False) -> list[SessionEnded | SeatFailed]:
        """What is new in ``sessions``, which have been more than plans; when it ``is_last``, all of it."""
        events: list[SessionEnded | SeatFailed] = []
        for session in sessions:
            if session.tsi in self._ended:
                continue
            failed = {seat.machine or seat.receiver_id: seat for seat in session.seats if seat.state in _FAILED}
            known = self._failed.setdefault(session.tsi, set(failed))
            events += [SeatFailed(session, failed[machine]) for machine in failed if machine not in known]
            known.update(failed)
            if session.step is not SessionStep.ENDED:
                self._ending.discard(session.tsi)
            elif session.tsi not in self._ending and not is_last:
                self._ending.add(session.tsi)
            else:
                events.append(SessionEnded(session))
                self._ended[session.tsi] = None
                self._ending.discard(session.tsi)
                del self._failed[session.tsi]
        for tsi in list(self._ended)[:-MAX_REMEMBERED]:
            del self._ended[tsi]
        return events
