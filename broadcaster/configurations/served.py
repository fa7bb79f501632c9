"""Hands verified seats what they do to their disks, and remembers what became of it; the seat API asks it.

A seat gets its own configuration and nothing else: it must have been ordered into the session, and be verified there.
It may ask before its last report has arrived, so it is waited for. Files are served while the seat works on its steps;
those that templates made are kept in a folder that only this process may enter, and go with it.
"""

import asyncio
import logging
import tempfile
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol, Self

import msgspec

from broadcaster.configurations.aftercare import AftercareRecords, SeatAftercare
from broadcaster.configurations.beacons import Beacons
from broadcaster.configurations.rendering import Rendered
from broadcaster.configurations.shelf import ConfigurationShelf
from broadcaster.configurations.steps import SeatFacts
from broadcaster.host.hosting import Hosting
from broadcaster.host.kept_reports import KeptReports
from protocol.commands import PlannedSeat
from protocol.configuration import Beacon, StepReport, StepState, decode_step_report
from protocol.errors import ConfigError, RefusedError, SlatecastError
from protocol.fields import MAX_LONG_TEXT
from protocol.messages import ReceiverState
from protocol.operators import Severity

VERIFIED_PATIENCE: Final = 15.0
"""[s] for which the report of a seat that asks is waited for: it is repeated every few seconds."""

LOOK_INTERVAL: Final = 0.25
"""[s] between two looks whether it has arrived"""

MAX_RENDERED_SEATS: Final = 512
"""[seats] whose files are served at a time; the one that asked first gives way, and is rendered anew when it asks."""

_logger = logging.getLogger(__name__)


class OrderedSessions(Protocol):
    """What is asked of the sessions of a host: ``broadcaster.host.sessions.Sessions``. Both may read files."""

    def hosting_of(self, tsi: str) -> Hosting:
        """For whom a session is or was; raises RefusedError."""

    def outcomes_of(self, tsi: str) -> dict[str, str]:
        """The outcome of each machine; raises RefusedError."""

    def note(self, tsi: str, text: str, severity: Severity, receiver_id: str) -> None:
        """Tell operators, while the session is open."""


class ServedConfigurations:
    """The configurations of a host's sessions; enter it.

    Args:
        shelf: where configurations lie.
        reports: beside which the records are kept.
        sessions: of the host.
        host: address at which seats reach this broadcaster.
        on_change: told when operators should hear of something.
    """

    def __init__(
        self,
        shelf: ConfigurationShelf,
        reports: KeptReports,
        sessions: OrderedSessions,
        host: str,
        on_change: Callable[[], object] = lambda: None,
    ) -> None:
        self.beacons = Beacons(host, self._booted)
        self.records = AftercareRecords(reports, self.beacons.expect)
        self._shelf = shelf
        self._sessions = sessions
        self._host = host
        self._on_change = on_change
        self._rendered: OrderedDict[tuple[str, str], dict[bytes, Path]] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        """Read the records, and listen for beacons."""
        self._scratch = tempfile.TemporaryDirectory(prefix="slatecast-rendered-")  # which nobody else may enter
        await self.beacons.__aenter__()
        await self.records.load()
        return self

    async def __aexit__(self, *error: object) -> None:
        """Stop listening, and forget what was rendered."""
        await self.beacons.__aexit__()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._scratch.cleanup()

    # --- asked by the seat API -----------------------------------------------------------------------------------

    async def configuration(self, tsi: str, receiver_id: str) -> bytes | None:
        """JSON of what this receiver does to its disk; None where it has nothing to do in this session.

        Raises:
            RefusedError: its disk is not verified, or what it is to do cannot be made any more.
            LibraryError: its record cannot be kept.
        """
        hosting = await asyncio.to_thread(self._hosting, tsi)
        machine = "" if hosting is None else hosting.comers.get(receiver_id, "")
        planned = None if hosting is None else _planned(hosting, machine)
        if hosting is None or planned is None:
            return None
        name = await asyncio.to_thread(self._resolved, hosting)
        if not name:
            return None
        await self._verified(tsi, machine, planned.seat)
        record = await self.records.seat(tsi, receiver_id, machine, planned.seat)
        try:
            rendered = await asyncio.to_thread(
                self._render, name, self._facts(tsi, hosting, planned, record), (tsi, receiver_id)
            )
        except ConfigError as error:
            text = f"cannot be configured: {error}"
            await self.records.note(tsi, lambda: setattr(record, "error", text[:MAX_LONG_TEXT]))
            self._tell(tsi, receiver_id, f"{record.seat} {text}", Severity.ERROR)
            raise RefusedError(str(error)) from error

        def begin() -> None:
            record.steps, record.error = {}, ""
            record.step_count = len(rendered.configuration.steps)

        await self.records.note(tsi, begin)
        return msgspec.json.encode(rendered.configuration)

    async def file(self, tsi: str, receiver_id: str, digest: bytes) -> Path | None:
        """A file that this receiver's configuration names; None for any other.

        Whoever was handed its configuration by the host before this one, or long ago, finds its files all the same.
        """
        if (tsi, receiver_id) not in self._rendered and (record := self.records.known(tsi, receiver_id)) is not None:
            with suppress(ConfigError, RefusedError):
                await self._render_again(tsi, receiver_id, record)
        return self._rendered.get((tsi, receiver_id), {}).get(digest)

    async def step(self, tsi: str, receiver_id: str, body: bytes) -> None:
        """Take a report on a step.

        Raises:
            MessageError: it is none.
            RefusedError: this receiver was given no such step.
        """
        report = decode_step_report(body)
        record = self.records.known(tsi, receiver_id)
        if record is None or report.index >= record.step_count:
            raise RefusedError("this receiver was given no such step in this session")
        was_done = record.is_done
        await self.records.note(tsi, lambda: record.steps.__setitem__(report.index, report))
        self._tell_step(tsi, receiver_id, record, report, was_done)

    # --- inside --------------------------------------------------------------------------------------------------

    async def _render_again(self, tsi: str, receiver_id: str, record: SeatAftercare) -> None:
        hosting = await asyncio.to_thread(self._hosting, tsi)
        planned = None if hosting is None else _planned(hosting, hosting.comers.get(receiver_id, ""))
        if hosting is not None and planned is not None and (name := await asyncio.to_thread(self._resolved, hosting)):
            facts = self._facts(tsi, hosting, planned, record)
            await asyncio.to_thread(self._render, name, facts, (tsi, receiver_id))

    def _hosting(self, tsi: str) -> Hosting | None:
        try:
            return self._sessions.hosting_of(tsi)
        except RefusedError:
            return None

    def _resolved(self, hosting: Hosting) -> str:
        try:
            return self._shelf.resolve(hosting.configuration, hosting.image)
        except ConfigError as error:
            raise RefusedError(str(error)) from error

    async def _verified(self, tsi: str, machine: str, seat: str) -> None:
        """Wait until its last report has arrived."""
        end = time.monotonic() + VERIFIED_PATIENCE
        while not await asyncio.to_thread(self._is_verified, tsi, machine):
            if time.monotonic() >= end:
                raise RefusedError(f"the disk of {seat} is not verified in this session")
            await asyncio.sleep(LOOK_INTERVAL)

    def _is_verified(self, tsi: str, machine: str) -> bool:
        with suppress(SlatecastError):  # its report is being written
            return self._sessions.outcomes_of(tsi).get(machine) == ReceiverState.VERIFIED.value
        return False

    def _facts(self, tsi: str, hosting: Hosting, planned: PlannedSeat, record: SeatAftercare) -> SeatFacts:
        port = self.beacons.port
        return SeatFacts(
            seat=planned.seat,
            room=hosting.room,
            machine=planned.machine,
            image=hosting.image,
            version=hosting.version,
            tsi=tsi,
            seed=record.seed,
            hostname=planned.hostname,
            beacon=Beacon(host=self._host, port=port, token=record.token) if port else None,
        )

    def _render(self, name: str, facts: SeatFacts, whose: tuple[str, str]) -> Rendered:
        rendered = self._shelf.render(name, facts)
        files = {bytes.fromhex(digest): path for digest, path in rendered.sources.items()}
        for digest, content in rendered.made.items():
            path = Path(self._scratch.name, digest)
            if not path.exists():
                part = Path(tempfile.mkstemp(dir=self._scratch.name)[1])
                part.write_bytes(content)
                part.replace(path)
            files[bytes.fromhex(digest)] = path
        self._rendered[whose] = files
        while len(self._rendered) > MAX_RENDERED_SEATS:
            self._rendered.popitem(last=False)
        return rendered

    def _tell_step(self, tsi: str, receiver_id: str, record: SeatAftercare, report: StepReport, was_done: bool) -> None:
        if report.state is StepState.FAILED:
            self._tell(tsi, receiver_id, f"{record.seat}: step {report.name} failed: {report.text}", Severity.ERROR)
        elif record.is_done and not was_done and not record.failure:
            self._tell(tsi, receiver_id, f"{record.seat} is configured", Severity.GOOD)

    def _booted(self, tsi: str, receiver_id: str) -> None:
        record = self.records.known(tsi, receiver_id)
        if record is None:
            return
        at = time.time()
        task = asyncio.create_task(self.records.note(tsi, lambda: setattr(record, "booted_at", at)))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self._tell(tsi, receiver_id, f"{record.seat} has started from its disk", Severity.GOOD)

    def _tell(self, tsi: str, receiver_id: str, text: str, severity: Severity) -> None:
        log = _logger.warning if severity is Severity.ERROR else _logger.info
        log("session %s: %s", tsi, text)
        self._sessions.note(tsi, text, severity, receiver_id)
        self._on_change()


def _planned(hosting: Hosting, machine: str) -> PlannedSeat | None:
    return next((seat for seat in hosting.seats if seat.machine == machine), None) if machine else None
