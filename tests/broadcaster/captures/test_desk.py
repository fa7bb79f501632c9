from pathlib import Path

import pytest

from broadcaster.audit import AuditEvent
from broadcaster.captures.capture import Capture
from broadcaster.captures.capture_store import CaptureStore
from broadcaster.captures.desk import CaptureDesk, now
from broadcaster.captures.register import CaptureRegister
from broadcaster.captures.upkeep import Upkeep
from protocol.capture import CaptureStep, CaptureWish
from protocol.errors import RefusedError
from tests.broadcaster.captures.played import CAPTURE_ID, PC, Present, Room

pytestmark = pytest.mark.asyncio


class Told:
    """A desk, and what it told."""

    def __init__(self, folder: Path) -> None:
        self.audit: list[tuple[AuditEvent, object]] = []
        self.ended: list[tuple[CaptureStep, str]] = []
        self.changes = 0
        self.store = CaptureStore(folder)
        self.upkeep = Upkeep(self.store, lambda event, fields: self.audit.append((event, fields["operator"])))
        self.register = CaptureRegister(Room(Present(PC, "pc")), lambda: CAPTURE_ID)
        self.desk = CaptureDesk(self.register, self.upkeep, on_change=self._changed, on_end=self._ended)

    def _changed(self) -> None:
        self.changes += 1

    def _ended(self, capture: Capture, operator: str) -> None:
        self.ended.append((capture.record.step, operator))


async def test_what_is_ordered_is_kept_and_written_down(tmp_path: Path) -> None:
    told = Told(tmp_path)
    assert told.desk.capture("pc", "windows", "anna", ("dirty",)) == CAPTURE_ID
    told.desk.check_back_up([])
    with pytest.raises(RefusedError, match="is ordered already"):
        told.desk.check_back_up(["pc"])
    told.desk.stop(CAPTURE_ID, "ben")
    assert told.desk.back_up("pc", "carl") == CAPTURE_ID
    assert told.desk.back_up("pc", "dora") == CAPTURE_ID
    assert [each.image for each in told.desk.news()] == ["backup-pc"]
    assert told.desk.step_of(CAPTURE_ID) == (CaptureStep.ORDERED, 0.0, "")
    assert told.desk.step_of("0" * 16)[0] is CaptureStep.FAILED
    await told.upkeep.close()
    assert [each.image for each in told.store.load()] == ["backup-pc"]
    assert told.audit == [(AuditEvent.CAPTURE_ORDERED, "anna"), (AuditEvent.CAPTURE_ORDERED, "carl")]
    assert (told.ended, told.changes) == ([(CaptureStep.FAILED, "ben")], 2)


@pytest.mark.parametrize("is_allowed", [True, False])
async def test_what_somebody_asked_for_is_decided_once(tmp_path: Path, is_allowed: bool) -> None:
    told = Told(tmp_path)
    told.register.wish(PC, CaptureWish(image="windows", machine="pc", target="disk", disk_size=1), now())
    told.desk.decide(CAPTURE_ID, "anna", (), is_allowed=is_allowed)
    with pytest.raises(RefusedError, match="decided already"):
        told.desk.decide(CAPTURE_ID, "ben", (), is_allowed=True)
    await told.upkeep.close()
    assert told.audit == ([(AuditEvent.CAPTURE_ORDERED, "anna")] if is_allowed else [])
    assert told.ended == ([] if is_allowed else [(CaptureStep.REFUSED, "anna")])


async def test_findings_of_no_capture(tmp_path: Path) -> None:
    told = Told(tmp_path)
    for ask in (told.desk.findings, lambda each: told.desk.stop(each, "anna")):
        with pytest.raises(RefusedError, match="there is no capture"):
            ask(CAPTURE_ID)
    await told.upkeep.close()
