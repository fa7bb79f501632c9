"""The sessions of a host: opened, found again after a restart, told apart, and ended together.

Invariant: a machine belongs to one open session at most, and each open session has a name of its own at the broker.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from broadcaster.access import SESSION_ROLES
from broadcaster.cast_record import CastRecord
from broadcaster.host.attendance import Attendance
from broadcaster.host.backup_gate import BackupGate
from broadcaster.host.hosted_session import HostedSession, HostParts
from broadcaster.host.hosting import Hosting, decode_hosting
from broadcaster.report_check import decode_report
from broadcaster.saved_cast import CastStore, OpenCast
from protocol.commands import PlannedSeat
from protocol.errors import RefusedError, SlatecastError, TransportError
from protocol.messages import ReceiverState
from protocol.operators import Severity

LINGER: Final = 10.0
"""[s] An ended session is still told for so long: whoever was cut off for a moment shall see how it ended."""

SUSPEND_PATIENCE: Final = 8.0
"""[s] in which sessions save their state when the host ends; what is not done by then is as after a power cut."""

_NAMED: Final = 5
"""[seats] that a refusal names; the rest is a number."""

_logger = logging.getLogger(__name__)


class Sessions:
    """All sessions of one host, open or ended a moment ago."""

    def __init__(
        self, parts: HostParts, store: CastStore, attendance: Attendance, backup_gate: BackupGate | None = None
    ) -> None:
        self._parts = parts
        self._store = store
        self._attendance = attendance
        self._backup_gate = backup_gate
        self._sessions: dict[str, HostedSession] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    # --- which there are -----------------------------------------------------------------------------------------

    def all(self) -> Iterable[HostedSession]:
        """In the order in which they were opened; the ended ones for LINGER."""
        now = time.monotonic()
        for tsi, session in list(self._sessions.items()):
            if session.ended_at is not None and now - session.ended_at > LINGER:
                del self._sessions[tsi], self._tasks[tsi]
        return self._sessions.values()

    def open(self) -> list[HostedSession]:
        """The open ones; may be called from any thread, and changes nothing."""
        return [session for session in list(self._sessions.values()) if session.is_open]

    def need(self, tsi: str) -> HostedSession:
        """This open session.

        Raises:
            RefusedError: there is no such session, or it has ended.
        """
        session = self._sessions.get(tsi)
        if session is None:
            raise RefusedError(f"there is no session {tsi}: look again, it may have ended")
        if session.is_over:
            raise RefusedError("the session has ended")
        return session

    def users(self) -> dict[tuple[str, int], tuple[str, ...]]:
        """The open sessions of each image that has any, by name and version."""
        users: dict[tuple[str, int], tuple[str, ...]] = {}
        for session in self.open():
            image = session.manifest.header.name, session.manifest.header.version
            users[image] = (*users.get(image, ()), session.tsi)
        return users

    def using(self, name: str, version: int) -> tuple[str, ...]:
        """The open sessions of an image."""
        return self.users().get((name, version), ())

    def by_receiver(self) -> dict[str, str]:
        """The session that each receiver takes part in."""
        return {receiver_id: session.tsi for session in self.open() for receiver_id in session.takes_part()}

    def verified_machines(self) -> set[tuple[str, str]]:
        """Session and machine of each seat that is verified, of sessions that are open or ended a moment ago."""
        return {
            (session.tsi, seat.machine)
            for session in self._sessions.values()
            if session.has_opened
            for seat in session.seats()
            if seat.outcome == ReceiverState.VERIFIED.value
        }

    def hosting_of(self, tsi: str) -> Hosting:
        """For whom a session is or was, open or ended; reads a file when it has ended.

        Raises:
            RefusedError: nobody remembers it.
        """
        session = self._sessions.get(tsi)
        return self._parts.reports.hosting(tsi) if session is None else session.hosting

    def outcomes_of(self, tsi: str) -> dict[str, str]:
        """The outcome of each machine of a session, open or ended; reads a file when it has ended.

        Raises:
            RefusedError: nobody remembers it.
        """
        session = self._sessions.get(tsi)
        if session is not None:
            return {seat.machine: seat.outcome for seat in session.seats()}
        hosting, report = self._parts.reports.hosting(tsi), decode_report(self._parts.reports.report(tsi))
        return {hosting.comers.get(seat.receiver, ""): seat.outcome for seat in report.seats}

    def note(self, tsi: str, text: str, severity: Severity, receiver_id: str) -> None:
        """Add to what happened in a session, as long as it is told."""
        session = self._sessions.get(tsi)
        if session is not None:
            session.note(text, severity, receiver_id)

    # --- opening -------------------------------------------------------------------------------------------------

    async def plan(self, hosting: Hosting) -> str:
        """Open a plan; gives its tsi once receivers can look at their disks.

        Raises:
            RefusedError: a machine is not there, named twice or in another session, or too many sessions are open.
            LibraryError: no such image, or it is not signed by a key that this room knows.
            TransportError: the group or the broker cannot be used.
        """
        library = self._parts.library
        self._check(hosting.seats)
        manifest = await asyncio.to_thread(library.load, hosting.image, hosting.version or None)
        self._check(hosting.seats)  # once more: others were not kept from planning meanwhile
        comers = {}
        for seat in hosting.seats:
            there = self._attendance.at(seat.machine)
            if there is not None:
                comers[there.receiver_id] = seat.machine
        complete = msgspec.structs.replace(
            hosting, image=manifest.header.name, version=manifest.header.version, comers=comers
        )
        session = HostedSession(
            self._parts, manifest, CastRecord(self._store, manifest, None), complete, self._free_role()
        )
        for seat in hosting.seats:
            for other in self.open():
                other.release_machine(seat.machine)
        session.note(f"{hosting.ordered_by} planned {manifest.header.name} for {len(hosting.seats)} seats")
        self._run(session)
        await session.opened()
        if self._backup_gate is not None:
            try:
                session.back_up(self._backup_gate.order(session.hosting))
            except RefusedError as error:
                session.broadcast.abort(str(error))
                raise
        return session.tsi

    def why_not_backed_up(self, session: HostedSession) -> str:
        """Why the backups of a plan keep it from being started; empty when they do not."""
        if self._backup_gate is None:
            return "backups are not taken here" if session.hosting.backs_up else ""
        return self._backup_gate.why_not(session.hosting, session.machines_to_overwrite())

    def _run(self, session: HostedSession) -> None:
        self._sessions[session.tsi] = session
        self._tasks[session.tsi] = asyncio.create_task(session.run(), name=f"session {session.tsi}")

    def _check(self, seats: Iterable[PlannedSeat]) -> None:
        seats = list(seats)
        for what, names in (("machine", [each.machine for each in seats]), ("seat", [each.seat for each in seats])):
            twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
            _refuse(twice, f"the plan names a {what} twice: {{}}")
        absent = [each for each in seats if self._attendance.at(each.machine) is None]
        _refuse(map(_in_words, absent), "not there: {}; switch them on, or leave them out")
        for session in self.open():
            busy = [each for each in seats if session.holds(each.machine)]
            where = f"session {session.tsi} of room {session.hosting.room}"
            _refuse(map(_in_words, busy), f"in {where} already: {{}}; stop that first, or leave them out")

    def _free_role(self) -> str:
        used = {session.role for session in self.open()}
        free = next((role for role in SESSION_ROLES if role not in used), None)
        if free is None:
            raise RefusedError(f"{len(SESSION_ROLES)} sessions are open already: end one first")
        return free

    # --- the beginning and the end of the host -------------------------------------------------------------------

    async def resume(self, clear_announcement: Callable[[str], None]) -> None:
        """Take up what another process left open; plans are dropped.

        ``clear_announcement`` is told sessions that do not go on, so that no broker announces them for ever.
        """
        for cast in await asyncio.to_thread(self._store.find_hosted):
            try:
                await self._take_up(cast)
            except TransportError as error:
                _logger.warning("session %s is not resumed, but kept for the next start: %s", cast.saved.tsi, error)
                await asyncio.to_thread(cast.close)
            except SlatecastError as error:
                _logger.warning("session %s is not resumed: %s", cast.saved.tsi, error)
                await asyncio.to_thread(cast.finish)
                clear_announcement(cast.saved.tsi)

    async def _take_up(self, cast: OpenCast) -> None:
        saved, hosting = cast.saved, decode_hosting(cast.saved.hosting)
        if hosting is None:
            raise RefusedError("what it was for cannot be read")
        if not saved.is_released:
            raise RefusedError("it was only planned")
        if saved.interface_name != self._parts.config.interface.name:
            raise RefusedError(f"it ran on {saved.interface_name}, and this is {self._parts.config.interface.name}")
        manifest = await asyncio.to_thread(self._parts.library.load, saved.image_name, saved.image_version)
        if manifest.digest != saved.manifest_digest:
            raise RefusedError("its image has been replaced meanwhile")
        record = CastRecord(self._store, manifest, cast)
        session = HostedSession(self._parts, manifest, record, hosting, self._free_role())
        self._run(session)
        await session.opened()

    async def close(self) -> None:
        """Suspend what was started, drop what was only planned."""
        for session in self.open():
            if session.has_opened:
                session.suspend()
            else:
                self._tasks[session.tsi].cancel()
        tasks = list(self._tasks.values())
        if tasks:
            await asyncio.wait(tasks, timeout=SUSPEND_PATIENCE)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _in_words(seat: PlannedSeat) -> str:
    return seat.seat if seat.seat == seat.machine else f"{seat.seat} ({seat.machine})"


def _refuse(names: Iterable[str], text: str) -> None:
    """Raises RefusedError with the first of these names, if there are any."""
    listed = list(names)
    if listed:
        rest = f" and {len(listed) - _NAMED} more" if len(listed) > _NAMED else ""
        raise RefusedError(text.format(", ".join(listed[:_NAMED]) + rest))
