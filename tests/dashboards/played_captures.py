"""Captures of a played fleet: the orders for them are noted, and answered as a broadcaster does."""

import dataclasses
from collections.abc import Callable
from typing import Any

from dashboards.fleet.capture_view import CaptureView
from dashboards.fleet.views import FleetView
from protocol.capture import CaptureStep
from protocol.commands import AnyCommand, BackUpMachines, CaptureMachine, FetchFindings

ASKED, RUNNING, DONE = "a" * 16, "b" * 16, "c" * 16
FINDING = {"kind": "refusal", "code": "bitlocker", "where": "partition 3", "text": "it is encrypted: switch it off"}


def capture(capture_id: str, step: CaptureStep, **fields: Any) -> CaptureView:
    known: dict[str, Any] = {
        "machine": "52:54:00:12:34:56",
        "seat": "seat 7",
        "image": "windows",
        "is_backup": False,
        "target": "Samsung SSD",
        "disk_size": 500 << 30,
        "ordered_by": "" if step is CaptureStep.ASKED else "otto",
        "began_at": 1793000000.0,
        "done": 0.5,
        "read_bytes": 2 << 30,
        "sent_bytes": 1 << 30,
        "version": 3 if step is CaptureStep.DONE else 0,
        "findings": 1,
        "reason": "",
    }
    return CaptureView(capture_id=capture_id, step=step, **{**known, **fields})


CAPTURES = (
    capture(ASKED, CaptureStep.ASKED),
    capture(RUNNING, CaptureStep.RUNNING),
    capture(DONE, CaptureStep.DONE),
)


class PlayedOrders:
    """The broadcaster's side."""

    def __init__(self) -> None:
        self.given: list[tuple[AnyCommand, str]] = []

    async def order(self, command: AnyCommand, operator: str) -> dict[str, Any]:
        """Note it."""
        self.given.append((command, operator))
        match command:
            case CaptureMachine():
                return {"capture_id": RUNNING}
            case BackUpMachines():
                return {"capture_ids": [RUNNING] * len(command.machines)}
            case FetchFindings():
                return {"findings": [FINDING]}
        return {}


def with_captures(fleet: Callable[[], FleetView]) -> Callable[[], FleetView]:
    """The same picture with captures in it."""
    return lambda: dataclasses.replace(fleet(), captures=CAPTURES)
