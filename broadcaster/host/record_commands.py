"""What operators ask of the records: reports and aftercare of sessions, and the newest of the audit log."""

import asyncio
from collections import deque
from collections.abc import Mapping
from functools import partial
from typing import Any, Final

import msgspec

from broadcaster.audit import AUDIT_FILE
from broadcaster.audit_check import read_entries, verify_audit
from broadcaster.configurations.aftercare import AftercareRecords
from broadcaster.directors import was_director
from broadcaster.host.commands import Handler, Work
from broadcaster.host.kept_reports import KeptReports
from broadcaster.host.sessions import Sessions
from broadcaster.keys import KeyStore
from broadcaster.library.library import Library
from protocol.commands import Command, FetchAftercare, FetchAudit, FetchReport
from protocol.errors import RefusedError

MAX_AUDIT_BYTES: Final = 16 << 20
"""[bytes] of entries in one answer, half of what an answer can hold; the newest that fit."""


class RecordCommands:
    """Handlers of the records' commands."""

    def __init__(
        self, library: Library, keys: KeyStore, sessions: Sessions, reports: KeptReports, aftercare: AftercareRecords
    ) -> None:
        self._log = library.root / AUDIT_FILE
        self._keys = keys
        self._sessions = sessions
        self._reports = reports
        self._aftercare = aftercare

    @property
    def handlers(self) -> Mapping[type[Command], Handler]:
        """By kind of command."""
        return {FetchReport: self.report, FetchAudit: self.audit, FetchAftercare: self.aftercare}

    async def report(self, command: FetchReport, _work: Work) -> object:
        """The signed report of a session that has ended."""
        session = next((session for session in self._sessions.open() if session.tsi == command.tsi), None)
        if session is not None and not session.is_over:
            raise RefusedError("the session still runs: its report is made when it has ended")
        if session is not None:
            await session.closed()  # its last entries are being written
        return await asyncio.to_thread(self._reports.report, command.tsi)

    async def aftercare(self, command: FetchAftercare, _work: Work) -> object:
        """What was done to the disks of a session once they were verified."""
        return self._aftercare.answer(command.tsi)

    async def audit(self, command: FetchAudit, work: Work) -> object:
        """The newest entries of the audit log, and whether it is whole."""
        return await work.in_thread(partial(self._audit, command.count))

    def _audit(self, count: int) -> dict[str, Any]:
        if not self._log.exists():
            return {"entries": [], "is_intact": True, "verdict": "nothing was written down yet"}
        verdict = verify_audit(self._log, partial(was_director, self._keys.trust))
        newest: deque[Any] = deque()
        length = 0
        for entry in read_entries(self._log):
            newest.append(entry)
            length += len(msgspec.json.encode(entry))
            while len(newest) > count or length > MAX_AUDIT_BYTES:
                length -= len(msgspec.json.encode(newest.popleft()))
        told = "; ".join((*verdict.faults, *verdict.notes))
        return {
            "entries": [msgspec.to_builtins(entry) for entry in newest],
            "is_intact": verdict.is_good,
            "verdict": told or f"all {verdict.entries} entries are there as they were written",
        }
