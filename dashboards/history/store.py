"""The history as the console uses it: never in the way, whatever happens to its file.

``record`` returns at once; a thread of our own writes, reads and mends. What cannot be written now (locked, read-only,
disk full) waits in memory, is shown from there, and is tried again every RETRY_INTERVAL seconds; the oldest is dropped
when too many wait. A damaged file is put aside and a new one begun. A file of a newer schema, or of another program,
is left alone. All of it is told in ``problems``, one sentence each; no call raises for it.
"""

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from datetime import UTC, datetime
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Final, TypeVar

from dashboards.history.archive import USUAL_RETENTION, Archive, Retention, packed_report, unpacked_report
from dashboards.history.records import PastSession, SeatRun
from dashboards.history.schema import Trouble, open_engine, trouble_of
from dashboards.history.waiting import Task, Waiting
from protocol.errors import RefusedError
from protocol.fields import printable

RETRY_INTERVAL: Final = 10.0
"""[s] Chosen: soon enough for whoever just made room on the disk, and no load on one that is broken."""

READ_PATIENCE: Final = 10.0
"""[s] A read takes milliseconds; a disk that hangs must not hold a page for longer."""

CLOSE_PATIENCE: Final = 5.0
"""[s] What is not written by then is not; the console has to end."""

MAX_LISTED: Final = 1000
"""[sessions] of one list"""

MAX_PUT_ASIDE: Final = 3
"""[files] in one run: a disk that damages every file would be filled with them"""

_Value = TypeVar("_Value")
_Read = Callable[[Archive | None], _Value]


class History:
    """Ended sessions in the file at ``path``, which is made when it is not there.

    Args:
        path: of the SQLite file.
        retention: how much is kept.
        clock: seconds since 1970.
        retry_interval: seconds between two attempts to use a file that cannot be used.
    """

    def __init__(
        self,
        path: Path,
        *,
        retention: Retention = USUAL_RETENTION,
        clock: Callable[[], float] = time.time,
        retry_interval: float = RETRY_INTERVAL,
    ) -> None:
        self._path = path
        self._retention = retention
        self._clock = clock
        self._retry_interval = retry_interval
        self._jobs: SimpleQueue[Callable[[], object] | None] = SimpleQueue()
        self._waiting = Waiting()
        self._archive: Archive | None = None
        self._inode = 0
        self._try_again_at = 0.0
        self._trouble = ""
        self._put_aside: list[str] = []
        self._unfit = ""
        self._thread = threading.Thread(target=self._run, name="history", daemon=True)
        self._thread.start()
        self._jobs.put(self._write_waiting)

    @property
    def problems(self) -> tuple[str, ...]:
        """What an operator should mend or know, one sentence each; empty when all is well."""
        told = [
            f"The history was damaged: it is kept as {name}, and a new one has begun" for name in list(self._put_aside)
        ]
        if trouble := self._trouble:
            count = self._waiting.count
            told.append(
                f"The history {self._path} cannot be used: {trouble}"
                + (f"; ended sessions that wait in memory: {count}" if count else "")
            )
        if self._waiting.dropped:
            told.append(f"The history has lost {self._waiting.dropped} sessions that could not be written in time")
        if unfit := self._unfit:
            told.append(f"The history could not keep something: {unfit}")
        return tuple(f"{printable(text)}." for text in told)

    def record(self, session: PastSession, report: dict[str, Any] | None = None) -> None:
        """Keep a session, in place of an earlier record of it; returns at once."""
        self._waiting.add(Task(session.tsi, session, self._packed(session.tsi, report)))
        self._jobs.put(self._write_waiting)

    def record_report(self, tsi: str, report: dict[str, Any]) -> None:
        """Keep the report of a session that is recorded, or will be; returns at once."""
        packed = self._packed(tsi, report)
        if packed is not None:
            self._waiting.add(Task(tsi, None, packed))
            self._jobs.put(self._write_waiting)

    async def sessions(self, room: str = "", limit: int = 100, before: float | None = None) -> list[PastSession]:
        """Ended sessions, the newest first, without seats and timelines.

        Args:
            room: only those in this room; empty for all.
            limit: at most so many, up to MAX_LISTED.
            before: only those that ended before this time, seconds since 1970.
        """
        return await self._awaited(self._listing(room, limit, before))

    def sessions_now(self, room: str = "", limit: int = 100, before: float | None = None) -> list[PastSession]:
        """As ``sessions``, for a caller that may block for some milliseconds, or READ_PATIENCE when the disk hangs."""
        read = self._listing(room, limit, before)
        try:
            return self._submitted(read).result(READ_PATIENCE)
        except TimeoutError:
            return self._without_file(read)

    async def session(self, tsi: str) -> PastSession | None:
        """One ended session with all that is known of it."""

        def read(archive: Archive | None) -> PastSession | None:
            return self._waiting.session(tsi) or (archive.session(_text(tsi)) if archive else None)

        return await self._awaited(read)

    async def report(self, tsi: str) -> dict[str, Any] | None:
        """The report of a session as JSON values."""

        def read(archive: Archive | None) -> bytes | None:
            return self._waiting.report(tsi) or (archive.report(_text(tsi)) if archive else None)

        cell = await self._awaited(read)
        return None if cell is None else unpacked_report(cell)

    async def seat_history(self, machine: str, limit: int = 100) -> list[SeatRun]:
        """The sessions of one machine, the newest first."""
        most = _bounded(limit)

        def read(archive: Archive | None) -> list[SeatRun]:
            waiting = self._waiting.seat_history(machine)
            known = {run.tsi for run in waiting}
            stored = archive.seat_history(_text(machine), most) if archive else []
            runs = [*waiting, *(run for run in stored if run.tsi not in known)]
            return sorted(runs, key=lambda run: -run.ended_at)[:most]

        return await self._awaited(read)

    def close(self) -> None:
        """Write what waits, if that can be done in time, and let go of the file; blocks for CLOSE_PATIENCE at most."""
        self._try_again_at = 0.0
        self._jobs.put(self._write_waiting)
        self._jobs.put(None)
        self._thread.join(CLOSE_PATIENCE)

    # --- any thread ---

    def _packed(self, tsi: str, report: dict[str, Any] | None) -> bytes | None:
        if report is None:
            return None
        try:
            return packed_report(report)
        except (TypeError, ValueError, RecursionError):
            self._unfit = f"what came as the report of session {tsi} is none"
            return None

    def _listing(self, room: str, limit: int, before: float | None) -> _Read[list[PastSession]]:
        most = _bounded(limit)

        def read(archive: Archive | None) -> list[PastSession]:
            waiting = self._waiting.sessions(room, before)
            stored = archive.sessions(_text(room), most, before) if archive else []
            both = {past.tsi: past for past in stored} | waiting
            return sorted(both.values(), key=lambda past: (-past.ended_at, past.tsi))[:most]

        return read

    async def _awaited(self, read: _Read[_Value]) -> _Value:
        try:
            async with asyncio.timeout(READ_PATIENCE):
                return await asyncio.wrap_future(self._submitted(read))
        except TimeoutError:
            return self._without_file(read)

    def _submitted(self, read: _Read[_Value]) -> Future[_Value]:
        future: Future[_Value] = Future()

        def answer() -> None:
            if future.set_running_or_notify_cancel():
                future.set_result(self._tried(read))

        if self._thread.is_alive():
            self._jobs.put(answer)
        else:
            future.set_result(read(None))
        return future

    def _without_file(self, read: _Read[_Value]) -> _Value:
        self._trouble = "the disk does not answer: see to the disk"
        return read(None)

    # --- the thread of the file ---

    def _run(self) -> None:
        while True:
            is_idle = not self._trouble and not self._waiting.count
            patience = max(0.0, self._try_again_at - time.monotonic())
            try:
                job = self._jobs.get(timeout=None if is_idle else patience)
            except Empty:
                job = self._write_waiting
            if job is None:
                break
            job()
            # However often somebody reads meanwhile, what waits has its turn.
            if self._waiting.count and time.monotonic() >= self._try_again_at:
                self._write_waiting()
        if self._archive is not None:
            self._archive.close()

    def _tried(self, read: _Read[_Value]) -> _Value:
        try:
            archive = self._opened()
            if archive is not None:
                found = read(archive)
                if not self._waiting.count:
                    self._trouble = ""
                return found
        except Exception as error:  # whatever a file of any origin makes SQLite or its bindings raise
            self._failed(error)
        return read(None)

    def _write_waiting(self) -> None:
        try:
            archive = self._opened()
            if archive is None or time.monotonic() < self._try_again_at:
                return
            for task in self._waiting.tasks():
                try:
                    is_there = archive.write(task.session, task.tsi, task.report, self._retention, self._clock())
                except Exception as error:
                    if trouble_of(error)[0] is not Trouble.UNFIT:
                        raise
                    self._failed(error)
                    is_there = True
                self._waiting.settle(task, is_orphan=not is_there)
            self._trouble = ""
        except Exception as error:  # as above
            self._failed(error)

    def _opened(self) -> Archive | None:
        """The file; None while it cannot be used."""
        if self._archive is not None and self._inode != _inode(self._path):
            # Somebody has moved or removed it: what is written to it would be lost.
            self._let_go()
        if self._archive is None and time.monotonic() >= self._try_again_at:
            try:
                self._archive = Archive(open_engine(self._path))
            except Exception as error:  # as above
                self._failed(error, is_opened=False)
            else:
                self._inode = _inode(self._path)
        return self._archive

    def _failed(self, error: Exception, *, is_opened: bool = True) -> None:
        kind, words = (Trouble.UNUSABLE, str(error)) if isinstance(error, RefusedError) else trouble_of(error)
        if kind is Trouble.UNFIT and is_opened:
            self._unfit = words
            return
        self._try_again_at = time.monotonic() + self._retry_interval
        self._trouble = words
        if kind is Trouble.PASSING:
            # On a full disk it might not be opened again; so it can be read at least.
            return
        self._let_go()
        if kind is Trouble.DAMAGED:
            self._trouble = f"it is damaged ({words})"
            self._begin_anew()

    def _begin_anew(self) -> None:
        if len(self._put_aside) >= MAX_PUT_ASIDE:
            return
        stamp = datetime.fromtimestamp(self._clock(), UTC).strftime("%Y%m%dT%H%M%SZ")
        aside = self._path.with_name(f"{self._path.name}.damaged-{stamp}-{len(self._put_aside) + 1}")
        try:
            self._path.rename(aside)
            # They belong to the damaged file; SQLite would apply them to the new one.
            for ending in ("-wal", "-shm"):
                if (beside := Path(f"{self._path}{ending}")).exists():
                    beside.rename(f"{aside}{ending}")
        except OSError as error:
            self._trouble = f"it is damaged, and cannot be put aside: {trouble_of(error)[1]}"
            return
        self._put_aside.append(aside.name)
        self._try_again_at = 0.0
        self._jobs.put(self._write_waiting)

    def _let_go(self) -> None:
        if self._archive is not None:
            self._archive.close()
            self._archive = None


def _inode(path: Path) -> int:
    try:
        return path.stat().st_ino
    except OSError:
        return 0


def _bounded(limit: int) -> int:
    return max(1, min(limit, MAX_LISTED))


def _text(text: str) -> str:
    # What SQLite cannot even be asked for is not there.
    return text.encode("utf-8", "replace").decode("utf-8")
