from pathlib import Path
from typing import Any

import pytest

from broadcaster.host.capture_commands import CaptureCommands
from broadcaster.library.library import Library
from protocol.capture import CaptureFailure, Finding, FindingKind
from protocol.commands import AnyCommand, BackUpMachines, CaptureMachine, DecideCapture, FetchFindings, StopCapture
from protocol.errors import ConfigError, RefusedError
from tests.broadcaster.captures.played import PC, Present, Taken
from tests.broadcaster.host.handling import carry_out

FINDING = Finding(kind=FindingKind.REFUSAL, code="bitlocker", where="3", text="it is encrypted")


class Host:
    """Carries out orders on captures."""

    def __init__(self, folder: Path) -> None:
        self.taken = Taken(Library.open_or_create(folder))
        self.taken.room.present += [Present("ef" * 16, "pc-2"), Present("01" * 16, "pc-3")]
        self._handlers = CaptureCommands(self.taken.intake.desk).handlers

    def do(self, command: AnyCommand) -> Any:
        return carry_out(self._handlers, command)

    def told(self) -> list[tuple[str, str, str]]:
        return [(each.machine, each.image, each.step.value) for each in self.taken.intake.desk.news()]


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_a_machine_is_captured(host: Host) -> None:
    capture_id = host.do(CaptureMachine(machine="pc", image="windows", accepts=("dirty",)))["capture_id"]
    assert host.told() == [("pc", "windows", "ordered")]
    order = host.taken.intake.order(PC)
    assert order is not None
    assert (order.capture_id, order.accepts) == (capture_id, ("dirty",))
    for command in (
        CaptureMachine(machine="pc", image="linux"),
        CaptureMachine(machine="nobody", image="linux"),
        DecideCapture(capture_id=capture_id, is_allowed=True),
        StopCapture(capture_id="0" * 16),
        FetchFindings(capture_id="0" * 16),
    ):
        with pytest.raises(RefusedError):
            host.do(command)
    with pytest.raises(ConfigError):
        host.do(CaptureMachine(machine="pc-2", image="backup-pc"))


def test_all_backups_are_ordered_or_none(host: Host) -> None:
    host.do(CaptureMachine(machine="pc-2", image="windows"))
    with pytest.raises(RefusedError, match="windows is ordered"):
        host.do(BackUpMachines(machines=("pc", "pc-2")))
    assert len(host.told()) == 1
    ids = host.do(BackUpMachines(machines=("pc", "pc-3", "pc")))["capture_ids"]
    assert ids[0] == ids[2] != ids[1]
    assert host.told()[1:] == [("pc", "backup-pc", "ordered"), ("pc-3", "backup-pc-3", "ordered")]


def test_findings_are_told(host: Host) -> None:
    capture_id = host.do(CaptureMachine(machine="pc", image="windows"))["capture_id"]
    assert host.do(FetchFindings(capture_id=capture_id)) == {"findings": []}
    capture = host.taken.intake._register.need(capture_id)
    capture.give_up(CaptureFailure(is_refused=True, reason="no", findings=(FINDING,)), 0.0)
    assert host.do(FetchFindings(capture_id=capture_id)) == {
        "findings": [{"kind": "refusal", "code": "bitlocker", "where": "3", "text": "it is encrypted"}]
    }
    with pytest.raises(RefusedError, match="ended already"):
        host.do(StopCapture(capture_id=capture_id))
