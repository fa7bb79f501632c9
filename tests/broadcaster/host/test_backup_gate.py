import msgspec
import pytest

from broadcaster.host.backup_gate import BackupGate
from broadcaster.host.hosting import Hosting
from protocol.capture import CaptureStep
from protocol.commands import PlannedSeat
from protocol.errors import RefusedError

HOSTING = Hosting(
    room="R1",
    image="lab",
    version=1,
    seats=tuple(PlannedSeat(machine=f"m{number}", seat=f"seat {number}") for number in range(5)),
    rate_bits_per_second=0,
    wait_seconds=300.0,
    ordered_by="anna",
    opened_at=0.0,
    backs_up=True,
)


class Captures:
    """Captures that stand as a test says."""

    def __init__(self) -> None:
        self.steps: dict[str, tuple[CaptureStep, float, str]] = {}

    def back_up(self, machine: str, operator: str) -> str:
        """Orders it, unless the machine is m9."""
        if machine == "m9":
            raise RefusedError("m9 is not there")
        self.steps[machine] = (CaptureStep.ORDERED, 0.0, operator)
        return machine

    def step_of(self, capture_id: str) -> tuple[CaptureStep, float, str]:
        """As the test says."""
        return self.steps.get(capture_id, (CaptureStep.FAILED, 0.0, "nobody knows it"))


def test_a_plan_without_backups_waits_for_nothing() -> None:
    gate = BackupGate(Captures())
    plain = msgspec.structs.replace(HOSTING, backs_up=False)
    assert gate.order(plain) == {}
    assert gate.why_not(plain, ["m0"]) == ""


def test_a_start_waits_for_every_backup_of_a_disk_that_it_overwrites() -> None:
    captures = Captures()
    gate = BackupGate(captures)
    hosting = msgspec.structs.replace(HOSTING, backups=gate.order(HOSTING))
    assert set(hosting.backups) == {"m0", "m1", "m2", "m3", "m4"}
    captures.steps |= {"m0": (CaptureStep.DONE, 1.0, ""), "m1": (CaptureStep.RUNNING, 0.37, "")}
    captures.steps["m2"] = CaptureStep.FAILED, 0.5, "its disk cannot be read"
    assert gate.why_not(hosting, ["m0"]) == ""
    assert gate.why_not(hosting, ["m0", "m1"]) == "not backed up yet: seat 1 (37%)"
    assert "seat 2 (its disk cannot be read; drop the plan, or dismiss that seat)" in gate.why_not(hosting, ["m2"])
    assert gate.why_not(hosting, ["m0", "m1", "m2", "m3", "m4"]).endswith(" and 1 more")


def test_a_backup_that_nobody_ordered_is_missing() -> None:
    assert BackupGate(Captures()).why_not(HOSTING, ["m3"]) == "not backed up yet: seat 3"


def test_a_machine_that_cannot_be_captured_is_refused() -> None:
    hosting = msgspec.structs.replace(HOSTING, seats=(PlannedSeat(machine="m9", seat="seat 9"),))
    with pytest.raises(RefusedError, match="m9 is not there"):
        BackupGate(Captures()).order(hosting)
