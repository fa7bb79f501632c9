"""The reports of ended sessions, in a folder of the library, until newer ones take their place.

    reports/TSI.json       the signed report, as it was made
    reports/TSI.session    for whom the session was; see ``hosting``
    reports/TSI.aftercare  what was done to its disks afterwards; see ``configurations.aftercare``. Secret

A file is there whole or not at all. Every method blocks on the disk.
"""

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from broadcaster.host.hosting import Hosting, decode_hosting, encode_hosting
from broadcaster.report import SessionReport, absent_seat
from broadcaster.report_check import MAX_REPORT_LENGTH
from protocol.errors import LibraryError, RefusedError
from protocol.link.whole_file import sync_folder

REPORTS_FOLDER: Final = "reports"
"""Name of the folder in the library."""

MAX_REPORTS: Final = 500
"""[sessions] a room a day for two years; 150 KB each where a room has 60 seats."""

_REPORT: Final = ".json"
_SESSION: Final = ".session"
_AFTERCARE: Final = ".aftercare"
_PART: Final = ".part"

MAX_AFTERCARE_LENGTH: Final = 16 << 20
"""[bytes] of one such file; a room of 60 with ten steps each has 80 KB."""


def with_absent(report: SessionReport, names: Sequence[str]) -> SessionReport:
    """The report with the names of the planned seats that never came, in the place of their numbers."""
    there = [seat for seat in report.seats if seat.receiver]
    absent = [msgspec.structs.replace(absent_seat(number), seat=name) for number, name in enumerate(names, 1)]
    return msgspec.structs.replace(report, seats=sorted((*there, *absent), key=lambda seat: seat.seat))


class KeptReports:
    """The reports in ``folder``, which is made when it is needed."""

    def __init__(self, folder: Path, max_reports: int = MAX_REPORTS) -> None:
        self._folder = folder
        self._max_reports = max_reports

    def keep(self, report: SessionReport, hosting: Hosting) -> None:
        """Keep one more; the oldest goes when there are too many.

        Raises:
            LibraryError: the folder cannot be written; nothing of it is there.
        """
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            _put(self._folder / f"{report.session}{_SESSION}", encode_hosting(hosting))
            _put(self._folder / f"{report.session}{_REPORT}", msgspec.json.format(msgspec.json.encode(report)))
            sync_folder(self._folder)
            self._forget_the_oldest()
        except OSError as error:
            raise LibraryError(f"the report cannot be kept in {self._folder}: {error.strerror or error}") from error

    def report(self, tsi: str) -> bytes:
        """The JSON of a report.

        Raises:
            RefusedError: there is none of this session, or it cannot be read.
        """
        encoded = self._read(tsi, _REPORT)
        if encoded is None:
            raise RefusedError(f"there is no report of session {tsi}: it never ran, or {self._max_reports} ended since")
        return encoded

    def hosting(self, tsi: str) -> Hosting:
        """For whom an ended session was.

        Raises:
            RefusedError: nobody remembers this session.
        """
        encoded = self._read(tsi, _SESSION)
        hosting = None if encoded is None else decode_hosting(encoded)
        if hosting is None:
            raise RefusedError(f"session {tsi} is not known any more: open a new plan for its seats")
        return hosting

    def keep_aftercare(self, tsi: str, encoded: bytes) -> None:
        """Keep what is known of the disks of a session, open or ended.

        Raises:
            LibraryError: the folder cannot be written; what was kept before is there.
        """
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            _put(self._folder / f"{tsi}{_AFTERCARE}", encoded)
        except OSError as error:
            raise LibraryError(f"{self._folder}/{tsi}{_AFTERCARE}: {error.strerror or error}") from error

    def all_aftercare(self) -> dict[str, bytes]:
        """What is kept of the disks of all sessions, by tsi; what cannot be read is left out."""
        found = {}
        for path in self._folder.glob(f"*{_AFTERCARE}"):
            with suppress(OSError), path.open("rb") as file:
                found[path.stem] = file.read(MAX_AFTERCARE_LENGTH)
        return found

    def _read(self, tsi: str, suffix: str) -> bytes | None:
        path = self._folder / f"{tsi}{suffix}"
        try:
            with path.open("rb") as file:
                return file.read(MAX_REPORT_LENGTH)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise RefusedError(f"{path} cannot be read: {error.strerror or error}") from error

    def _forget_the_oldest(self) -> None:
        reports = sorted(self._folder.glob(f"*{_REPORT}"), key=_age, reverse=True)
        for path in reports[self._max_reports :]:
            path.with_suffix(_SESSION).unlink(missing_ok=True)
            path.with_suffix(_AFTERCARE).unlink(missing_ok=True)
            path.unlink(missing_ok=True)


def _age(path: Path) -> float:
    with suppress(OSError):
        return path.lstat().st_mtime
    return 0.0


def _put(path: Path, content: bytes) -> None:
    """A file in the place of the last one, whole or not at all."""
    part = path.with_name(path.name + _PART)
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        with os.fdopen(os.open(part, flags, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise
