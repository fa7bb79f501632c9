import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from broadcaster.audit import AUDIT_FILE, AuditEvent, AuditLog
from broadcaster.cast_audit import utc_now
from broadcaster.configurations.aftercare import AftercareRecords
from broadcaster.host import record_commands as module
from broadcaster.host.kept_reports import KeptReports
from broadcaster.host.record_commands import RecordCommands
from broadcaster.host.sessions import Sessions
from broadcaster.keys import KeyStore
from broadcaster.library.library import Library
from protocol.commands import AnyCommand, FetchAftercare, FetchAudit, FetchReport
from protocol.errors import RefusedError
from tests.broadcaster.host.handling import carry_out
from tests.broadcaster.host.test_hosting import HOSTING
from tests.broadcaster.proved_report import unsigned_report
from tests.sample_messages import TSI


class Records:
    """A library with an audit log and reports."""

    def __init__(self, folder: Path) -> None:
        self.library = Library.open_or_create(folder / "library")
        self.keys = KeyStore.open_or_create(folder / "keys")
        self.reports = KeptReports(folder / "reports")
        self.log = AuditLog(self.library.root / AUDIT_FILE, self.keys.director)
        self.open: list[Any] = []
        sessions = cast(Sessions, SimpleNamespace(open=lambda: self.open))
        self.aftercare = AftercareRecords(self.reports)
        self._commands = RecordCommands(self.library, self.keys, sessions, self.reports, self.aftercare)

    def do(self, command: AnyCommand) -> Any:
        return carry_out(self._commands.handlers, command)

    def write(self, count: int) -> None:
        for number in range(count):
            self.log.append(AuditEvent.KEYS_ROTATED, {"number": number}, utc_now())


@pytest.fixture
def records(tmp_path: Path) -> Records:
    return Records(tmp_path)


def test_the_report_of_a_session_that_has_ended(records: Records) -> None:
    records.reports.keep(unsigned_report(1), HOSTING)
    records.open = [SimpleNamespace(tsi=TSI, is_over=False)]
    with pytest.raises(RefusedError, match="still runs"):
        records.do(FetchReport(tsi=TSI))
    waited: list[bool] = []

    async def closed() -> None:
        waited.append(True)

    records.open = [SimpleNamespace(tsi=TSI, is_over=True, closed=closed)]
    assert records.do(FetchReport(tsi=TSI))["session"] == TSI
    assert waited
    records.open = []
    assert records.do(FetchReport(tsi=TSI))["session"] == TSI
    with pytest.raises(RefusedError, match="there is no report of session ffffffffffffffff"):
        records.do(FetchReport(tsi="f" * 16))


def test_the_newest_entries_of_the_audit_log(records: Records) -> None:
    assert records.do(FetchAudit())["entries"] == []
    records.write(5)
    told = records.do(FetchAudit(count=2))
    assert [entry["fields"]["number"] for entry in told["entries"]] == [3, 4]
    assert (told["is_intact"], told["verdict"]) == (True, "all 5 entries are there as they were written")


def test_no_more_than_an_answer_holds(records: Records, monkeypatch: pytest.MonkeyPatch) -> None:
    records.write(5)
    monkeypatch.setattr(module, "MAX_AUDIT_BYTES", 1000)
    numbers = [entry["fields"]["number"] for entry in records.do(FetchAudit())["entries"]]
    assert 0 < len(numbers) < 5
    assert numbers[-1] == 4


def test_a_log_that_was_altered_is_told(records: Records) -> None:
    records.write(3)
    path = records.library.root / AUDIT_FILE
    path.write_bytes(path.read_bytes().replace(b'"number":1}', b'"number":7}'))
    told = records.do(FetchAudit())
    assert not told["is_intact"]
    assert "entry 2 was altered" in told["verdict"]


def test_what_was_done_to_the_disks_of_a_session(records: Records) -> None:
    with pytest.raises(RefusedError, match=f"nothing is known .* of session {TSI}"):
        records.do(FetchAftercare(tsi=TSI))
    asyncio.run(records.aftercare.seat(TSI, "01" * 16, "52:54:00:00:00:01", "pc-01"))
    (seat,) = records.do(FetchAftercare(tsi=TSI))["seats"]
    assert seat == {"machine": "52:54:00:00:00:01", "seat": "pc-01", "steps": [], "error": "", "booted_at": None}
