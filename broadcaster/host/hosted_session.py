"""One session of a host from its plan to its report: a broadcast with a link of its own, run in a task of its own.

    planned --start--> started --it ends, or is stopped--> ended, report kept
       '--dropped--> ended                '--suspended--> left to the next start of the host

Whatever goes wrong in it ends this session, tells why, and leaves the others alone.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import msgspec

from broadcaster.audit import AUDIT_FILE, AuditLog
from broadcaster.cast_audit import CastAudit
from broadcaster.cast_config import CastConfig
from broadcaster.cast_record import CastRecord
from broadcaster.control_side import BrokerInUse, Control
from broadcaster.host.config import HostConfig
from broadcaster.host.happenings import Happenings
from broadcaster.host.hosting import Hosting, encode_hosting
from broadcaster.host.kept_reports import KeptReports, with_absent
from broadcaster.host.news import ABSENT, SessionFacts, is_startable, seats_of, session_news, startable
from broadcaster.host.places import Places, machine_of
from broadcaster.keys import KeyStore
from broadcaster.library.library import Library
from broadcaster.library.signing import signed_by
from broadcaster.readiness import StartPolicy
from broadcaster.report import SessionReport, seal_report
from broadcaster.service import Broadcast
from protocol.commands import PlannedSeat
from protocol.errors import LibraryError, RefusedError, SlatecastError
from protocol.manifest import Manifest
from protocol.messages import Presence, ReceiverState, SessionPhase
from protocol.operators import SeatNews, SeatsNews, SessionNews, Severity

RESUME_WAIT: Final = 20.0
"""[s] A session that had begun before a restart waits so long for seats that are not back; others take two."""

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class HostParts:
    """What all sessions of a host share."""

    library: Library
    keys: KeyStore
    config: HostConfig
    control: Control
    broker: BrokerInUse
    reports: KeptReports
    on_change: Callable[[], None]
    """told when operators should hear of something at once"""


class HostedSession:
    """One session; ``opened`` first, then ``run`` in a task.

    Args:
        parts: of the host.
        manifest: of the image.
        record: of a new session, or of one that goes on.
        hosting: for whom it is.
        role: name of the session's own connection to the broker, see ``access.SESSION_ROLES``.

    Raises:
        LibraryError: the image is not signed by a key that this room knows.
    """

    def __init__(self, parts: HostParts, manifest: Manifest, record: CastRecord, hosting: Hosting, role: str) -> None:
        self.tsi: Final = record.tsi_text
        self.role: Final = role
        self.manifest: Final = manifest
        self.failure = ""
        """why it ended, where it did not end by itself"""
        self.ended_at: float | None = None
        """monotonic seconds, when its report was kept"""
        self._parts = parts
        self._record = record
        self._places = Places(hosting)
        self._happenings = Happenings()
        self._is_suspended = False
        self._closed = asyncio.Event()
        self._opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._audit = CastAudit(
            AuditLog(parts.library.root / AUDIT_FILE, parts.keys.director),
            parts.keys.director,
            operator=hosting.ordered_by,
        )
        signature = signed_by(parts.library, manifest, parts.keys.trust)
        record.hosting = encode_hosting(hosting)
        self._config = self._cast_config()
        self.broadcast: Final = Broadcast(
            parts.library,
            manifest,
            self._config,
            record=record,
            broker=parts.broker.address,
            credentials=parts.control.credentials(parts.broker, signature, role),
            on_order=self._audit.ordered,
            is_held=True,
            is_wanted=self._is_wanted,
        )

    @property
    def hosting(self) -> Hosting:
        """For whom it is, as it now stands."""
        return self._places.hosting

    @property
    def is_open(self) -> bool:
        """Whether it goes on, or its report is not kept yet."""
        return self.ended_at is None

    @property
    def is_over(self) -> bool:
        """Whether nothing can be ordered of it any more."""
        return not self.is_open or (self.has_opened and self.broadcast.session.phase is SessionPhase.ENDED)

    async def closed(self) -> None:
        """Wait until its report is kept."""
        await self._closed.wait()

    # --- its life ------------------------------------------------------------------------------------------------

    async def opened(self) -> None:
        """Wait until receivers can take part.

        Raises:
            SlatecastError: they never can.
        """
        await asyncio.shield(self._opened)

    async def run(self) -> None:
        """From the first announcement to the kept report; what goes wrong is told to operators, never raised."""
        try:
            with self._parts.library.in_use(self.manifest):
                async with self.broadcast.link(f"{self.role}-{self.tsi}"), self.broadcast:
                    self._begin()
                    await self._keep(await self._cast())
        except SlatecastError as error:
            self._fail(str(error), error)
        except Exception as error:
            _logger.exception("session %s failed", self.tsi)
            self._fail("that went wrong inside the broadcaster: its log says how", error)
        finally:
            await asyncio.to_thread(self._audit.close, self.failure)
            self.ended_at = time.monotonic()
            self._closed.set()
            if not self._opened.done():
                self._opened.cancel()
            self._parts.on_change()

    def suspend(self) -> None:
        """Leave it to the next start of the host; a plan is dropped instead."""
        if not self.has_opened:
            return
        if self.broadcast.session.is_held:
            self.broadcast.abort("the broadcaster ended before the plan was started")
            return
        self._is_suspended = True
        self._audit.suspended()
        self.broadcast.suspend()

    def _begin(self) -> None:
        if self._record.resumed is not None:
            self._happenings.take_over(self.seats())
            self.note("the broadcaster was started again, and goes on with the session", Severity.WARNING)
        if not self.broadcast.session.is_held:
            self._write_start()
        self._opened.set_result(None)

    async def _cast(self) -> SessionReport:
        try:
            return await self.broadcast.run()
        except SlatecastError as error:  # what became of the seats until then is worth keeping
            self._fail(str(error), error)
        except asyncio.CancelledError:
            if not self._is_suspended:
                raise
        return self.broadcast.report()

    async def _keep(self, report: SessionReport) -> None:
        if self._is_suspended:
            return
        absent = [seat.seat for seat in self.seats() if seat.outcome == ABSENT]
        report = with_absent(msgspec.structs.replace(report, end_reason=self.failure or report.end_reason), absent)
        was_started = self.hosting.expected_seats > 0
        if was_started:
            report = await self._audit.finished(report)
        else:
            report = seal_report(report, self._parts.keys.director)
        try:
            await asyncio.to_thread(self._parts.reports.keep, report, self.hosting)
        except LibraryError as error:
            _logger.warning("%s", error)
            self.note(str(error), Severity.ERROR)

    def _fail(self, text: str, error: Exception) -> None:
        self.failure = self.failure or text
        if not self._opened.done():
            self._opened.set_exception(error if isinstance(error, SlatecastError) else RefusedError(text))
            self._opened.exception()  # whoever waits is told; that nobody does is no fault
        _logger.warning("session %s of %s: %s", self.tsi, self.hosting.room, text)
        self.note(text, Severity.ERROR)

    # --- what operators do ---------------------------------------------------------------------------------------

    def start(self, expected_seats: int, operator: str) -> None:
        """Order its seats to be overwritten.

        Raises:
            RefusedError: it was started before, or there are not so many.
        """
        session = self.broadcast.session
        if not session.is_held:
            raise RefusedError("it has been started already")
        there = startable(self.seats())
        if there != expected_seats:
            raise RefusedError(
                f"{there} seats would be overwritten, not {expected_seats}: look at the plan again, and type the "
                "number that you see there"
            )
        self._audit.operator = operator
        expected = expected_seats + len(session.roster.settled_ids())
        self._places.change(ordered_by=operator, expected_seats=expected)
        self._remember()
        self._write_start()
        self.broadcast.release(expected_seats)
        self.note(f"{operator} started it: {expected_seats} seats are overwritten")

    def add_seat(self, seat: PlannedSeat, operator: str) -> None:
        """Take one more machine into a session that was started: it joins late, as any seat may.

        Raises:
            RefusedError: it is here already.
        """
        if self.holds(seat.machine):
            raise RefusedError(f"{seat.seat} takes part in session {self.tsi} already")
        self._places.add(seat)
        self._places.change(expected_seats=self.hosting.expected_seats + 1)
        self._remember()
        self.note(f"{operator}: {seat.seat} joins")

    def back_up(self, backups: dict[str, str]) -> None:
        """These captures, by machine, must be in the library before it is started."""
        self._places.change(backups={**self.hosting.backups, **backups})
        self._remember()

    def note(self, text: str, severity: Severity = Severity.INFO, receiver_id: str | None = None) -> None:
        """Add to the list of what happened."""
        self._happenings.note(text, time.time(), severity, receiver_id)
        self._parts.on_change()

    # --- who takes part ------------------------------------------------------------------------------------------

    def holds(self, machine: str) -> bool:
        """Whether this machine belongs to it: the session is for it, goes on, and its seat is not done."""
        if self.is_over or not self._places.is_for(machine):
            return False
        receiver_id = self._places.receiver_at(machine)
        seat = self.broadcast.session.roster.get(receiver_id) if receiver_id and self.has_opened else None
        return seat is None or not (seat.is_settled or seat.is_dismissed)

    def release_machine(self, machine: str) -> None:
        """Another session takes this machine over."""
        if self._places.release(machine):
            self._remember()

    def has_looked(self) -> bool:
        """Whether each planned seat that is there has looked at its disk."""
        return all(seat.has_scanned for seat in self.seats() if seat.outcome == ReceiverState.PLANNED.value)

    def machines_to_overwrite(self) -> list[str]:
        """Machines of the seats that are there, neither refused nor done."""
        return [seat.machine for seat in self.seats() if is_startable(seat)]

    def takes_part(self) -> list[str]:
        """Ids of the receivers that it goes on for."""
        if not self.is_open or not self.has_opened:
            return []
        now = self.broadcast.now()
        return [seat.report.receiver_id for seat in self.broadcast.session.roster.awaited(now)]

    def _is_wanted(self, presence: Presence) -> bool:
        machine = machine_of(presence)
        if not self._places.is_for(machine):
            return False
        if presence.is_online and self._places.came(presence.receiver_id, machine):
            self._remember()
        return True

    def name_of(self, receiver_id: str) -> str:
        """The seat of a receiver, as its room calls it.

        Raises:
            RefusedError: it does not take part.
        """
        seat = self.broadcast.session.roster.get(receiver_id)
        if seat is None:
            raise RefusedError(f"no receiver {receiver_id} takes part in this session: it may have been started again")
        planned = self._places.seat_of(receiver_id)
        return seat.report.seat if planned is None else planned.seat

    # --- what operators see --------------------------------------------------------------------------------------

    def seats(self) -> list[SeatNews]:
        """All seats as they now stand."""
        return seats_of(
            self.broadcast.session,
            self._places,
            self.broadcast.now(),
            earlier_seconds=self._record.earlier_seconds,
        )

    def news(self, generation: str, sequence: int) -> list[SessionNews | SeatsNews]:
        """Its pages of seats and the session as a whole; nothing before it is open."""
        if not self.has_opened:
            return []
        seats = self.seats()
        *pages, whole = session_news(
            self.broadcast.session,
            self._facts(),
            seats,
            self._happenings.newest(),
            generation=generation,
            sequence=sequence,
            now=self.broadcast.now(),
        )
        assert isinstance(whole, SessionNews)
        if self._happenings.look(whole, seats, time.time()):
            whole = msgspec.structs.replace(whole, happenings=self._happenings.newest())
        return [*pages, whole]

    def _facts(self) -> SessionFacts:
        return SessionFacts(
            room=self.hosting.room,
            ordered_by=self.hosting.ordered_by,
            opened_at=self.hosting.opened_at,
            expected_seats=len(self.hosting.seats),
            block_count=len(self.manifest),
            cap_bits_per_second=self._config.ceiling_bits_per_second,
            bytes_on_wire=self.broadcast.bytes_sent,
            catch_up_bytes=self.broadcast.catch_up_bytes,
            earlier_seconds=self._record.earlier_seconds,
            backs_up=self.hosting.backs_up,
            failure=self.failure,
        )

    # --- its own affairs -----------------------------------------------------------------------------------------

    def _cast_config(self) -> CastConfig:
        config, hosting, resumed = self._parts.config, self.hosting, self._record.resumed
        had_begun = resumed is not None and resumed.elapsed_seconds > 0
        policy = StartPolicy(
            hosting.expected_seats or len(hosting.seats),
            min(hosting.wait_seconds, RESUME_WAIT) if had_begun else hosting.wait_seconds,
        )
        return CastConfig(
            interface=config.interface,
            policy=policy,
            rate_bits_per_second=config.rate_for(hosting.rate_bits_per_second),
            start_rate_bits_per_second=config.start_rate_for(hosting.rate_bits_per_second),
            use_ipv6=config.use_ipv6,
            max_rate_bits_per_second=config.max_rate_bits_per_second,
        )

    def _remember(self) -> None:
        self._record.hosting = encode_hosting(self.hosting)

    def _write_start(self) -> None:
        self._audit.started(
            self.broadcast.session.announcement,
            expected_seats=self.hosting.expected_seats,
            is_resumed=self._record.resumed is not None,
        )

    @property
    def has_opened(self) -> bool:
        """Whether receivers can, or could, take part."""
        return self._opened.done() and not self._opened.cancelled() and self._opened.exception() is None
