"""What a cast writes into the audit log, in order and beside the cast: the loop never waits for the disk here.

A log that cannot be written (a full disk, a lock that somebody holds) is told in one line, once, and the cast goes on:
what protects the disks of the room is the tickets, not the record of them. Then the report carries no ``audit_head``.
"""

import asyncio
import logging
import os
import pwd
import socket
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from types import TracebackType
from typing import Final, Self

from broadcaster.audit import LOCK_PATIENCE, AuditEvent, AuditLog
from broadcaster.report import SessionReport, seal_report
from protocol.certificate import certificate_digest
from protocol.errors import LibraryError
from protocol.messages import Announcement
from protocol.signing import SigningKey

AUDIT_PATIENCE: Final = LOCK_PATIENCE + 5.0
"""[s] How long the end of a cast waits for its last entries: a lock that is held, and a disk that is slow."""

_logger = logging.getLogger(__name__)


def utc_now() -> datetime:
    """The time that entries tell."""
    return datetime.now(UTC)


def note(log: AuditLog, event: AuditEvent, now: datetime, fields: Mapping[str, str | int]) -> str:
    """Write one entry and give its head; where that cannot be, say so in one line and give an empty text. Blocks."""
    try:
        return log.append(event, fields, now)
    except LibraryError as error:
        _logger.warning("%s", error)
        return ""


def who_orders() -> dict[str, str]:
    """The operating system's user and host that this process runs as, for the fields of an entry."""
    uid = os.getuid()
    try:
        user = pwd.getpwuid(uid).pw_name
    except KeyError:
        user = str(uid)
    behind = os.environ.get("SUDO_USER", "") if uid == 0 else ""
    return {"user": f"{user} (sudo by {behind})" if behind else user, "host": socket.gethostname()}


class CastAudit:
    """The entries of one cast. Enter it, or ``close`` it; the other methods but ``finished`` return at once."""

    operator: str
    """who orders from now on, by the name that the console knows; empty where no console does"""

    def __init__(
        self, log: AuditLog, director: SigningKey, clock: Callable[[], datetime] = utc_now, *, operator: str = ""
    ) -> None:
        self.operator = operator
        self._log = log
        self._director = director
        self._clock = clock
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="audit")
        self._ordered: set[tuple[str, str]] = set()
        self._session: dict[str, str | int] = {}
        self._lost = 0
        self._is_ended = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _type: type[BaseException] | None, error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        """As ``close``."""
        self.close("" if error is None else str(error) or type(error).__name__)

    def close(self, reason: str) -> None:
        """An entry ends every cast that was started; one without a report says what ended it. Blocks on the disk."""
        if self._session and not self._is_ended:
            self._is_ended = True
            self._write(AuditEvent.CAST_ENDED, {**self._session, "reason": reason})
        self._writer.shutdown(wait=True)

    def suspended(self) -> None:
        """The cast does not end with this process: the next one writes down that it goes on."""
        self._is_ended = True

    def started(self, announcement: Announcement, *, expected_seats: int, is_resumed: bool = False) -> None:
        """A session begins, or goes on where another process was killed."""
        image = announcement.image
        self._session = {"session": announcement.tsi}
        self._write(
            AuditEvent.CAST_STARTED,
            {
                **self._session,
                **who_orders(),
                **self._operator(),
                "image": image.name,
                "version": image.version,
                "manifest_digest": announcement.manifest_digest.hex(),
                "expected_seats": expected_seats,
                "resumed": int(is_resumed),
            },
        )

    def admitted(self, receiver_id: str, seat: str, how: str) -> None:
        """A receiver was let into the room; ``how`` is token or operator."""
        self._write(AuditEvent.RECEIVER_ADMITTED, {**self._session, "receiver": receiver_id, "seat": seat, "how": how})

    def ordered(self, receiver_id: str, seat: str) -> None:
        """A receiver is given its ticket; that it is given it again is not written down."""
        if (receiver_id, seat) not in self._ordered:
            self._ordered.add((receiver_id, seat))
            fields = {"receiver": receiver_id, "seat": seat}
            self._write(AuditEvent.ORDER_GIVEN, {**self._session, **self._operator(), **fields})

    async def finished(self, report: SessionReport) -> SessionReport:
        """The cast has come to ``report``: write that down, and give the report back signed, with the log's head."""
        self._is_ended = True
        for seat in report.seats:
            if seat.receiver:
                digest = certificate_digest(seat.certificate) if seat.certificate else ""
                fields = {"receiver": seat.receiver, "seat": seat.seat, "outcome": seat.outcome, "reason": seat.reason}
                self._write(AuditEvent.SEAT_ENDED, {**self._session, **fields, "certificate_digest": digest})
        verified = sum(seat.verified for seat in report.seats)
        fields = {"reason": report.end_reason}
        last = self._write(AuditEvent.CAST_ENDED, {**self._session, **fields, "seats_verified": verified})
        head = ""
        try:
            async with asyncio.timeout(AUDIT_PATIENCE):
                head = await asyncio.shield(asyncio.wrap_future(last))  # late is better than not at all
        except TimeoutError:
            _logger.warning("the report names no audit entry: %s takes too long", self._log.path)
        return seal_report(report, self._director, head)

    def _operator(self) -> dict[str, str]:
        return {"operator": self.operator} if self.operator else {}

    def _write(self, event: AuditEvent, fields: Mapping[str, str | int]) -> Future[str]:
        """Hand one entry to the writer; the future gives the head, or an empty text."""
        now = self._clock()
        return self._writer.submit(self._append, event, fields, now)

    def _append(self, event: AuditEvent, fields: Mapping[str, str | int], now: datetime) -> str:
        """Runs in the writer, one entry after the other."""
        # Who has held the lock for too long once is not waited for again, or a room of entries would take minutes.
        patience = 0.0 if self._lost else LOCK_PATIENCE
        if self._lost and event is AuditEvent.CAST_ENDED:
            fields = {**fields, "entries_lost": self._lost}
        try:
            return self._log.append(event, fields, now, patience=patience)
        except LibraryError as error:
            self._lost += 1
            if self._lost == 1:
                _logger.warning("the cast goes on, but %s", error)
            return ""
