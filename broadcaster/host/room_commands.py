"""What operators order of rooms: which machines boot the environment, and what holds when nobody is there."""

import asyncio
from collections.abc import Mapping

from broadcaster.host.boot_desk import BootDesk
from broadcaster.host.commands import Handler, Work
from broadcaster.host.policies import Policies
from protocol.commands import BootMachines, Command, SetRoomPolicy


class RoomCommands:
    """Handlers of the rooms' commands."""

    def __init__(self, policies: Policies, boot_desk: BootDesk) -> None:
        self._policies = policies
        self._boot_desk = boot_desk
        self._writing = asyncio.Lock()

    @property
    def handlers(self) -> Mapping[type[Command], Handler]:
        """By kind of command."""
        return {BootMachines: self.boot, SetRoomPolicy: self.hold}

    async def boot(self, command: BootMachines, work: Work) -> object:
        """Let machines boot the environment when they start next, or take that back."""
        async with self._writing:
            self._boot_desk.order(command)
            await work.in_thread(self._boot_desk.write)
        return {}

    async def hold(self, command: SetRoomPolicy, work: Work) -> object:
        """Let a policy hold in its room."""
        async with self._writing:
            if await work.in_thread(lambda: self._policies.hold(command)):
                await work.in_thread(self._boot_desk.write)
        return {}
