"""What operators order of captures: begun, allowed or refused, stopped, looked into."""

from collections.abc import Mapping

import msgspec

from broadcaster.captures.desk import CaptureDesk
from broadcaster.host.commands import Handler, Work
from protocol.commands import BackUpMachines, CaptureMachine, Command, DecideCapture, FetchFindings, StopCapture


class CaptureCommands:
    """Handlers of the captures' commands."""

    def __init__(self, captures: CaptureDesk) -> None:
        self._captures = captures

    @property
    def handlers(self) -> Mapping[type[Command], Handler]:
        """By kind of command."""
        return {
            CaptureMachine: self.capture,
            BackUpMachines: self.back_up,
            DecideCapture: self.decide,
            StopCapture: self.stop,
            FetchFindings: self.findings,
        }

    async def capture(self, command: CaptureMachine, work: Work) -> object:
        """Let a machine send its disk into the library."""
        return {"capture_id": self._captures.capture(command.machine, command.image, work.operator, command.accepts)}

    async def back_up(self, command: BackUpMachines, work: Work) -> object:
        """Capture disks as backups, all or none."""
        machines = tuple(dict.fromkeys(command.machines))
        self._captures.check_back_up(machines)
        ordered = {machine: self._captures.back_up(machine, work.operator) for machine in machines}
        return {"capture_ids": [ordered[machine] for machine in command.machines]}

    async def decide(self, command: DecideCapture, work: Work) -> object:
        """Allow or refuse what somebody asked for at a machine."""
        self._captures.decide(command.capture_id, work.operator, command.accepts, is_allowed=command.is_allowed)
        return {}

    async def stop(self, command: StopCapture, work: Work) -> object:
        """End a capture."""
        self._captures.stop(command.capture_id, work.operator)
        return {}

    async def findings(self, command: FetchFindings, work: Work) -> object:
        """What was found on a disk."""
        return {"findings": msgspec.to_builtins(self._captures.findings(command.capture_id))}
