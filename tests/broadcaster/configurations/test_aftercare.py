from pathlib import Path

import pytest

from broadcaster.configurations.aftercare import AftercareRecords
from broadcaster.host.kept_reports import KeptReports
from protocol.configuration import StepReport, StepState
from protocol.errors import LibraryError, RefusedError
from tests.sample_messages import TSI

pytestmark = pytest.mark.asyncio

ONE, TWO = "01" * 16, "02" * 16


def report(index: int, state: StepState, text: str = "") -> StepReport:
    return StepReport(name=f"step-{index}", index=index, state=state, text=text)


@pytest.fixture
def reports(tmp_path: Path) -> KeptReports:
    return KeptReports(tmp_path / "reports")


async def test_a_seat_keeps_its_seed_and_its_token_across_restarts(reports: KeptReports) -> None:
    tokens: list[tuple[str, str, str]] = []
    records = AftercareRecords(reports)
    first = await records.seat(TSI, ONE, "m1", "pc-01")
    other = await records.seat(TSI, TWO, "m2", "pc-02")
    assert first is await records.seat(TSI, ONE, "m1", "pc-01")
    assert first.seed != other.seed
    await records.note(TSI, lambda: setattr(other, "booted_at", 5.0))
    later = AftercareRecords(reports, lambda *told: tokens.append(told))
    await later.load()
    assert tokens == [(first.token, TSI, ONE)], "who has started is not waited for"
    known = later.known(TSI, ONE)
    assert known is not None
    assert (known.seed, known.token) == (first.seed, first.token)
    assert later.known(TSI, "03" * 16) is later.known("f" * 16, ONE) is None


async def test_what_operators_are_answered(reports: KeptReports) -> None:
    records = AftercareRecords(reports)
    seat = await records.seat(TSI, ONE, "m1", "pc-02")
    await records.seat(TSI, TWO, "m2", "pc-01")
    seat.step_count = 3
    seat.steps = {1: report(1, StepState.FAILED, "no disk"), 0: report(0, StepState.SKIPPED, "is there")}
    assert not seat.is_done
    seat.steps[2] = report(2, StepState.DONE)
    assert seat.is_done
    first, second = records.answer(TSI)["seats"]
    assert first["seat"] == "pc-01"
    assert second == {
        "machine": "m1",
        "seat": "pc-02",
        "steps": [
            {"name": "step-0", "is_done": True, "text": "is there"},
            {"name": "step-1", "is_done": False, "text": "no disk"},
            {"name": "step-2", "is_done": True, "text": ""},
        ],
        "error": "step-1: no disk",
        "booted_at": None,
    }
    assert seat.seed.hex() not in str(records.answer(TSI))
    with pytest.raises(RefusedError, match="nothing is known"):
        records.answer("f" * 16)


async def test_what_is_damaged_is_not_known(reports: KeptReports, tmp_path: Path) -> None:
    await AftercareRecords(reports).seat(TSI, ONE, "m1", "pc-01")
    (tmp_path / "reports" / f"{TSI}.aftercare").write_bytes(b"nonsense")
    records = AftercareRecords(reports)
    await records.load()
    assert records.known(TSI, ONE) is None


async def test_a_record_that_cannot_be_kept(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").touch()
    records = AftercareRecords(KeptReports(tmp_path / "file/reports"))
    with pytest.raises(LibraryError):
        await records.seat(TSI, ONE, "m1", "pc-01")
    await records.note(TSI, lambda: None)
    assert "aftercare" in caplog.text
