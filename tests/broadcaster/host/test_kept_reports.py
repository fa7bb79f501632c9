import os
from pathlib import Path

import msgspec
import pytest

from broadcaster.host.kept_reports import KeptReports
from broadcaster.report_check import decode_report
from protocol.errors import LibraryError, RefusedError
from tests.broadcaster.host.test_hosting import HOSTING
from tests.broadcaster.proved_report import unsigned_report

REPORT = unsigned_report(1, 2)


@pytest.fixture
def reports(tmp_path: Path) -> KeptReports:
    return KeptReports(tmp_path / "reports", max_reports=2)


def test_a_report_comes_back_as_it_was(reports: KeptReports, tmp_path: Path) -> None:
    reports.keep(REPORT, HOSTING)
    assert decode_report(reports.report(REPORT.session)) == REPORT
    assert reports.hosting(REPORT.session) == HOSTING
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in (tmp_path / "reports").iterdir())


def test_the_oldest_make_room(reports: KeptReports, tmp_path: Path) -> None:
    sessions = [f"{number:016x}" for number in range(3)]
    for number, tsi in enumerate(sessions):
        reports.keep(msgspec.structs.replace(REPORT, session=tsi), HOSTING)
        os.utime(tmp_path / "reports" / f"{tsi}.json", (number, number))
    reports.keep(msgspec.structs.replace(REPORT, session=sessions[2]), HOSTING)
    assert sorted(path.stem for path in (tmp_path / "reports").iterdir()) == sorted(sessions[1:] * 2)
    with pytest.raises(RefusedError, match="there is no report of session 0000000000000000"):
        reports.report(sessions[0])
    with pytest.raises(RefusedError, match="is not known any more: open a new plan"):
        reports.hosting(sessions[0])


def test_what_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LibraryError, match=r"the report cannot be kept in .*: "):
        KeptReports(tmp_path / "file" / "reports").keep(REPORT, HOSTING)


def test_what_is_damaged_is_not_known(reports: KeptReports, tmp_path: Path) -> None:
    reports.keep(REPORT, HOSTING)
    (tmp_path / "reports" / f"{REPORT.session}.session").write_bytes(b"nonsense")
    with pytest.raises(RefusedError, match="is not known any more"):
        reports.hosting(REPORT.session)
    (tmp_path / "reports" / f"{REPORT.session}.json").unlink()
    (tmp_path / "reports" / f"{REPORT.session}.json").mkdir()
    with pytest.raises(RefusedError, match=r"\.json cannot be read: Is a directory"):
        reports.report(REPORT.session)


def test_aftercare_is_kept_beside_the_report_and_goes_with_it(reports: KeptReports, tmp_path: Path) -> None:
    sessions = [f"{number:016x}" for number in range(3)]
    for number, tsi in enumerate(sessions):
        reports.keep_aftercare(tsi, b"old")
        reports.keep_aftercare(tsi, tsi.encode())
        reports.keep(msgspec.structs.replace(REPORT, session=tsi), HOSTING)
        os.utime(tmp_path / "reports" / f"{tsi}.json", (number, number))
    reports.keep(msgspec.structs.replace(REPORT, session=sessions[2]), HOSTING)
    assert reports.all_aftercare() == {tsi: tsi.encode() for tsi in sessions[1:]}
    assert (tmp_path / "reports" / f"{sessions[1]}.aftercare").stat().st_mode & 0o777 == 0o600
    (tmp_path / "file").touch()
    with pytest.raises(LibraryError, match="aftercare: "):
        KeptReports(tmp_path / "file" / "reports").keep_aftercare(sessions[0], b"")
