"""The rooms of this console: the file in force, edits by hand, saves, and the last revisions to go back to.

    FOLDER/rooms.toml          the rooms; whoever edits it by hand is heeded at the next look
    FOLDER/rooms.d/0007.toml   the revisions, the last MAX_REVISIONS of them, as they stood in rooms.toml

A revision is a number that only grows. rooms.toml is written before its copy in rooms.d: when a power cut comes between
them, the next look makes the copy. A file that cannot be read, or contradicts itself, is told by ``problem``; the rooms
that were last in force stay, and nothing is written over it. Threads may call everything at the same time; a look costs
a stat(2), and a save two fsyncs.
"""

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from dashboards.rooms.rooms import Room, Rooms, RoomSeat, check_rooms, room_named, same_name
from dashboards.rooms.rooms_file import (
    Origin,
    StoredRooms,
    joined,
    read_bytes,
    replace_file,
    rooms_from_toml,
    rooms_to_toml,
    split,
)
from protocol.errors import MessageError, RefusedError
from protocol.link.whole_file import sync_folder

MAX_REVISIONS: Final = 50
"""that are kept: a term of edits, and no folder that grows for ever"""

BY_HAND: Final = "somebody who edited the file by hand"
"""Who saved what this console did not."""

SETTLED_AFTER: Final = 2.0
"""[s] A file system may tell two writes within its tick (FAT: 2 s) by nothing but what they wrote."""

KEEP_AGAIN_AFTER: Final = 10.0
"""[s] Chosen: a folder that could not be written is tried again soon enough for whoever made room on the disk."""

_NAME: Final = re.compile(r"(\d{4,9})\.toml")


class _Seen(NamedTuple):
    """What a look at the file found, to know whether it has to be read again."""

    inode: int
    size: int
    modified_ns: int
    is_settled: bool


class RoomBook:
    """Rooms as they are in force, read from ``folder`` and saved there.

    Args:
        folder: is made when something is saved.
        clock: seconds since 1970.
        now: monotonic seconds.
    """

    def __init__(
        self,
        folder: Path,
        clock: Callable[[], float] = time.time,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._file = folder / "rooms.toml"
        self._kept = folder / "rooms.d"
        self._clock = clock
        self._monotonic = now
        self._lock = threading.RLock()
        self._seen: _Seen | None = None
        self._body: bytes | None = None
        self._rooms = Rooms()
        self._origin = Origin(0, datetime.fromtimestamp(0, UTC), BY_HAND)
        self._problem = ""
        self._is_blocked = False
        self._keep_problem = ""
        self._keep_again_at = 0.0
        self._begin()

    @property
    def problem(self) -> str:
        """What an operator should mend, in one sentence; empty when all is well."""
        problem = self._problem or self._keep_problem
        return f"{problem}." if problem else ""

    def current(self) -> Rooms:
        """The rooms in force; never raises, ``problem`` tells what is wrong with the file."""
        with self._lock:
            self._look()
            return self._rooms

    def save(self, rooms: Rooms, by: str) -> Rooms:
        """Replace all rooms; ``rooms.revision`` names the revision that was edited. Returns what is in force now.

        Raises:
            MessageError: the rooms contradict themselves.
            RefusedError: somebody else saved meanwhile, the file is broken, or it cannot be written.
        """
        with self._lock:
            present = self.current()
            if rooms.revision != present.revision:
                raise RefusedError(
                    f"the rooms were saved meanwhile: revision {present.revision} is in force and {rooms.revision} was"
                    " edited; load them again and repeat the change"
                )
            if self._is_blocked:
                raise RefusedError(f"{self._problem}; nothing was saved")
            return self._put(check_rooms(rooms), by)

    def place(self, room: str, seat: str, machine: str, by: str) -> Rooms:
        """Put a machine on a seat, and take it off where it was; an empty machine clears the seat.

        Raises:
            MessageError: the machine's name cannot be.
            RefusedError: there is no such room or seat, or as ``save``.
        """
        with self._lock:
            present = self.current()
            found = room_named(present, room)
            if found is None:
                raise RefusedError(f"there is no room '{room[:64]}': choose one of the rooms, or make it first")
            if not any(same_name(each.name, seat) for each in found.seats):
                raise RefusedError(f"room '{found.name}' has no seat '{seat[:64]}': choose one of its seats")

            def placed(where: Room, each: RoomSeat) -> RoomSeat:
                if where is found and same_name(each.name, seat):
                    return msgspec.structs.replace(each, machine=machine)
                if machine and same_name(each.machine, machine):
                    return msgspec.structs.replace(each, machine="")
                return each

            changed = tuple(
                msgspec.structs.replace(each, seats=tuple(placed(each, one) for one in each.seats))
                for each in present.rooms
            )
            return self.save(msgspec.structs.replace(present, rooms=changed), by)

    def revisions(self) -> tuple[Origin, ...]:
        """Those that are kept, the newest first."""
        with self._lock:
            self._look()
            stored = ((number, self._stored(number)) for number in reversed(self._numbers()))
            return tuple(each.origin._replace(revision=number) for number, each in stored if each and each.origin)

    def revision(self, number: int) -> Rooms:
        """The rooms as they were in one revision.

        Raises:
            RefusedError: it is not kept, or cannot be read.
        """
        with self._lock:
            stored = self._stored(number)
            if stored is None:
                raise RefusedError(f"revision {number} is not kept: choose one of the last {MAX_REVISIONS}")
            try:
                return rooms_from_toml(stored.body, number)
            except MessageError as error:
                raise RefusedError(f"revision {number} cannot be read ({error}): choose another one") from None

    def restore(self, revision: int, by: str) -> Rooms:
        """Make the rooms of an earlier revision those in force, as a new revision. A broken file is put aside first.

        Raises:
            RefusedError: the revision is not kept or cannot be read, or the file cannot be written.
        """
        with self._lock:
            earlier = self.revision(revision)
            self._look()
            if self._is_blocked:
                with _told(self._file):
                    stamp = datetime.fromtimestamp(self._clock(), UTC).strftime("%Y%m%dT%H%M%SZ")
                    self._file.rename(self._file.with_name(f"{self._file.name}.broken-{stamp}"))
            return self._put(earlier, by)

    def _begin(self) -> None:
        """What was in force when the console last ran, until the file is seen."""
        for number in reversed(self._numbers()):
            stored = self._stored(number)
            try:
                if stored is not None:
                    self._rooms = rooms_from_toml(stored.body, number)
                    self._body = stored.body
                    self._origin = (stored.origin or self._origin)._replace(revision=number)
                    return
            except MessageError:
                continue

    def _look(self) -> None:
        """Heed the file when it is another one than it was."""
        if self._keep_problem and self._monotonic() >= self._keep_again_at:
            self._keep()
        try:
            found = self._file.stat()
            mark = (found.st_ino, found.st_size, found.st_mtime_ns)
            if self._seen is not None and self._seen[:3] == mark and self._seen.is_settled:
                return
            self._seen = _Seen(*mark, abs(self._clock() - found.st_mtime) > SETTLED_AFTER)
            stored = split(read_bytes(self._file))
        except FileNotFoundError:
            self._seen = None
            self._problem = self._loss()
            self._is_blocked = False
            return
        except OSError as error:
            self._seen = None
            self._problem = f"{self._file} cannot be read ({error.strerror}): mend that; the rooms stay as they were"
            self._is_blocked = True
            return
        if stored.body == self._body:
            self._problem, self._is_blocked = "", False
        else:
            self._heed(stored)

    def _loss(self) -> str:
        if self._body is None:
            return ""
        return (
            f"{self._file} is gone: the rooms of revision {self._rooms.revision} stay in force, and saving them writes"
            " it again"
        )

    def _heed(self, stored: StoredRooms) -> None:
        newest = max(self._rooms.revision, *self._numbers(), 0)
        origin = stored.origin
        # Believed only of a save that a power cut stopped before its copy, and where no copies are left at all.
        if origin is None or (origin.revision != newest + 1 and newest):
            origin = Origin(newest + 1, self._now(), BY_HAND)
        try:
            self._rooms = rooms_from_toml(stored.body, origin.revision)
        except MessageError as error:
            self._problem = f"{self._file}: {error}; the rooms of revision {self._rooms.revision} stay in force"
            self._is_blocked = True
            return
        self._body, self._origin, self._problem, self._is_blocked = stored.body, origin, "", False
        self._keep()

    def _put(self, rooms: Rooms, by: str) -> Rooms:
        newest = max(self._rooms.revision, *self._numbers(), 0)
        origin = Origin(newest + 1, self._now(), by)
        body = rooms_to_toml(rooms)
        with _told(self._file):
            replace_file(self._file, joined(origin, body))
        self._rooms = msgspec.structs.replace(rooms, revision=origin.revision)
        self._body, self._origin, self._seen = body, origin, None
        self._problem, self._is_blocked = "", False
        self._keep()
        return self._rooms

    def _keep(self) -> None:
        """A copy to go back to, and no more of them than MAX_REVISIONS; what fails is tried again at the next look."""
        try:
            path = self._path(self._origin.revision)
            if self._body is not None and not path.exists():
                replace_file(path, joined(self._origin, self._body))
            for number in self._numbers()[:-MAX_REVISIONS]:
                self._path(number).unlink(missing_ok=True)
            sync_folder(self._kept)
            self._keep_problem = ""
        except OSError as error:
            self._keep_again_at = self._monotonic() + KEEP_AGAIN_AFTER
            self._keep_problem = (
                f"{self._kept} cannot be written ({error.strerror}): mend that; the rooms are saved, and cannot be"
                " gone back to"
            )

    def _numbers(self) -> list[int]:
        """Of the revisions that are kept, ascending."""
        try:
            found = (_NAME.fullmatch(path.name) for path in self._kept.iterdir())
            return sorted(int(match[1]) for match in found if match)
        except OSError:
            return []

    def _stored(self, number: int) -> StoredRooms | None:
        try:
            return split(read_bytes(self._path(number)))
        except OSError:
            return None

    def _path(self, number: int) -> Path:
        return self._kept / f"{number:04}.toml"

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)


@contextmanager
def _told(file: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RefusedError(f"{file} cannot be written ({error.strerror}): mend that; nothing was saved") from None
