"""Ended sessions that are not in the file yet: bounded, and readable meanwhile. Any thread may call it."""

import threading
from dataclasses import dataclass, replace
from typing import Final

from dashboards.history.records import PastSession, SeatRun

MAX_WAITING: Final = 200
"""[sessions] that wait in memory: days of casts, some hundred KB each at the worst"""


@dataclass(frozen=True, slots=True)
class Task:
    """What is to be written of one session."""

    tsi: str
    session: PastSession | None = None
    report: bytes | None = None
    """packed"""


class Waiting:
    """The tasks that are to be done, the oldest first; that of one session is one task."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tasks: dict[str, Task] = {}
        self._orphans: set[str] = set()
        self._dropped = 0

    @property
    def dropped(self) -> int:
        """Sessions that had to make room."""
        return self._dropped

    @property
    def count(self) -> int:
        """Tasks that can be done; the report of a session that is not recorded yet is none."""
        with self._lock:
            return len(self._tasks) - len(self._orphans)

    def add(self, task: Task) -> None:
        """Add to what is known of the session."""
        with self._lock:
            known = self._tasks.pop(task.tsi, None) or Task(task.tsi)
            self._orphans.discard(task.tsi)
            self._tasks[task.tsi] = replace(
                known, session=task.session or known.session, report=task.report or known.report
            )
            if len(self._tasks) > MAX_WAITING:
                oldest = self._tasks.pop(next(iter(self._tasks)))
                self._orphans.discard(oldest.tsi)
                self._dropped += oldest.session is not None

    def tasks(self) -> list[Task]:
        """Those that can be done."""
        with self._lock:
            return [task for tsi, task in self._tasks.items() if tsi not in self._orphans]

    def settle(self, task: Task, *, is_orphan: bool) -> None:
        """A task is done, or waits for its session; nothing when more of the session came meanwhile."""
        with self._lock:
            if self._tasks.get(task.tsi) is not task:
                return
            if is_orphan:
                self._orphans.add(task.tsi)
            else:
                del self._tasks[task.tsi]

    def sessions(self, room: str, before: float | None) -> dict[str, PastSession]:
        """As lists show them."""
        with self._lock:
            return {
                tsi: replace(task.session, has_report=task.report is not None, seats=(), happenings=(), samples=())
                for tsi, task in self._tasks.items()
                if task.session is not None
                and (not room or task.session.room == room)
                and (before is None or task.session.ended_at < before)
            }

    def session(self, tsi: str) -> PastSession | None:
        """One session, whole."""
        with self._lock:
            task = self._tasks.get(tsi)
            if task is None or task.session is None:
                return None
            return replace(task.session, has_report=task.report is not None)

    def report(self, tsi: str) -> bytes | None:
        """One report, packed."""
        with self._lock:
            task = self._tasks.get(tsi)
            return None if task is None else task.report

    def seat_history(self, machine: str) -> list[SeatRun]:
        """The sessions of one machine."""
        with self._lock:
            return [
                SeatRun(past.tsi, past.room, past.image, past.version, past.ended_at, seat)
                for past in (task.session for task in self._tasks.values())
                if past is not None
                for seat in past.seats
                if seat.machine == machine
            ]
