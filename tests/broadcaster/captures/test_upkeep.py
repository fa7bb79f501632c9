import logging
from collections.abc import Mapping
from pathlib import Path

import pytest
from msgspec.structs import replace

from broadcaster.audit import AuditEvent
from broadcaster.captures.capture import Capture
from broadcaster.captures.capture_store import CaptureStore
from broadcaster.captures.upkeep import Upkeep
from protocol.capture import CaptureStep
from tests.broadcaster.captures.played import CAPTURE_ID, record

pytestmark = pytest.mark.asyncio


async def test_the_newest_record_is_kept_and_every_end_is_written_down(tmp_path: Path) -> None:
    audit: list[tuple[AuditEvent, Mapping[str, str | int]]] = []
    store = CaptureStore(tmp_path / "captures")
    upkeep = Upkeep(store, lambda event, fields: audit.append((event, fields)))
    one = Capture(record(), 0.0)
    upkeep.keep(one)
    one.run()
    upkeep.keep(one)
    upkeep.ordered(one.record, "anna")
    upkeep.ended(replace(one.record, step=CaptureStep.DONE, version=4), "anna")
    upkeep.ended(replace(one.record, step=CaptureStep.FAILED, reason="no"), "ben")
    await upkeep.close()
    assert [each.step for each in store.load()] == [CaptureStep.RUNNING]
    known = {"machine": "pc", "image": "windows", "capture": CAPTURE_ID}
    assert audit == [
        (AuditEvent.CAPTURE_ORDERED, {"operator": "anna", **known}),
        (AuditEvent.IMAGE_ADDED, {"operator": "anna", **known, "version": 4}),
        (AuditEvent.CAPTURE_ENDED, {"operator": "ben", **known, "outcome": "failed", "reason": "no"}),
    ]


async def test_what_cannot_be_written_stops_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    (tmp_path / "captures").write_bytes(b"in the way")
    upkeep = Upkeep(CaptureStore(tmp_path / "captures"), lambda _event, _fields: None)
    upkeep.keep(Capture(record(), 0.0))
    upkeep.forget(CAPTURE_ID)
    await upkeep.close()
    assert "capture of pc is not kept over a restart" in caplog.text
