"""The gate between a plan and its start: no disk is overwritten before its backup is in the library.

Backups are captures like others. They begin when a plan that wants them is opened, and run while its seats only look.
"""

from collections.abc import Iterable
from typing import Final, Protocol

from broadcaster.host.hosting import Hosting
from protocol.capture import CaptureStep

_NAMED: Final = 3
"""[seats] that a refusal names; the rest is a number."""

NOT_BACKED_UP: Final = "not backed up yet"
"""how the refusal begins of a start that comes too early"""


class Backups(Protocol):
    """Captures of seats' disks, as far as a plan knows them."""

    def back_up(self, machine: str, operator: str) -> str:
        """Order the backup of a machine that is there; its capture_id.

        Raises:
            RefusedError: it cannot be captured now.
        """

    def step_of(self, capture_id: str) -> tuple[CaptureStep, float, str]:
        """How far a capture is, the share that is done, and why it failed; FAILED for one that nobody knows."""


class BackupGate:
    """Orders the backups of plans, and says what their starts wait for."""

    def __init__(self, backups: Backups) -> None:
        self._backups = backups

    def order(self, hosting: Hosting) -> dict[str, str]:
        """Order what a plan wants: capture_id by machine; empty where it wants none.

        Raises:
            RefusedError: a machine cannot be captured now.
        """
        if not hosting.backs_up:
            return {}
        return {seat.machine: self._backups.back_up(seat.machine, hosting.ordered_by) for seat in hosting.seats}

    def why_not(self, hosting: Hosting, machines: Iterable[str]) -> str:
        """Why these machines of a session may not be overwritten yet, in one sentence; empty when they may."""
        if not hosting.backs_up:
            return ""
        names = {seat.machine: seat.seat for seat in hosting.seats}
        reasons = [reason for machine in machines if (reason := self._reason(hosting, machine, names.get(machine, "")))]
        rest = f" and {len(reasons) - _NAMED} more" if len(reasons) > _NAMED else ""
        return f"{NOT_BACKED_UP}: {', '.join(reasons[:_NAMED])}{rest}" if reasons else ""

    def _reason(self, hosting: Hosting, machine: str, seat: str) -> str:
        capture_id = hosting.backups.get(machine)
        if capture_id is None:
            return seat or machine
        step, done, why = self._backups.step_of(capture_id)
        match step:
            case CaptureStep.DONE:
                return ""
            case CaptureStep.REFUSED | CaptureStep.FAILED:
                return f"{seat} ({why or step.value}; drop the plan, or dismiss that seat)"
            case _:
                return f"{seat} ({done:.0%})"
