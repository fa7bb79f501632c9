"""What operators order of receivers: let in, sent away, switched on."""

from collections.abc import Callable, Mapping
from functools import partial

from broadcaster.host.commands import Handler, Work
from broadcaster.host.waking import wake_machines
from broadcaster.waiting_room import WaitingRoom
from protocol.commands import AdmitReceivers, Command, RefuseReceivers, WakeMachines
from protocol.errors import RefusedError
from protocol.link.interfaces import InterfaceInfo


class ReceiverCommands:
    """Handlers of the receivers' commands.

    Args:
        waiting_room: where they wait.
        interface: where they are.
        deciding: told who decides, before he is obeyed, so that the audit log can name him.
    """

    def __init__(self, waiting_room: WaitingRoom, interface: InterfaceInfo, deciding: Callable[[str], None]) -> None:
        self._waiting_room = waiting_room
        self._interface = interface
        self._deciding = deciding

    @property
    def handlers(self) -> Mapping[type[Command], Handler]:
        """By kind of command."""
        return {AdmitReceivers: self.admit, RefuseReceivers: self.refuse, WakeMachines: self.wake}

    async def admit(self, command: AdmitReceivers, work: Work) -> object:
        """Let applicants in, all or none."""
        self._settle(command.receiver_ids, self._waiting_room.accept, work.operator)
        return {}

    async def refuse(self, command: RefuseReceivers, work: Work) -> object:
        """Send applicants away, all or none."""
        self._settle(command.receiver_ids, self._waiting_room.refuse, work.operator)
        return {}

    async def wake(self, command: WakeMachines, work: Work) -> object:
        """Switch machines on."""
        await work.in_thread(partial(wake_machines, self._interface, command.addresses))
        return {}

    def _settle(self, receiver_ids: tuple[str, ...], decide: Callable[[str], None], operator: str) -> None:
        waiting = {applicant.receiver_id for applicant in self._waiting_room.pending}
        absent = [each for each in receiver_ids if each not in waiting]
        if absent:
            raise RefusedError(
                f"no receiver {absent[0]} waits: it has left, or somebody else has decided; nothing was changed"
            )
        self._deciding(operator)
        for receiver_id in dict.fromkeys(receiver_ids):
            decide(receiver_id)
