from pathlib import Path

import pytest

from broadcaster.host.boot_desk import BootDesk
from broadcaster.host.policies import Policies
from broadcaster.host.room_commands import RoomCommands
from broadcaster.netboot.orders import BootOrders
from protocol.commands import BootedSeat, BootMachines, PlannedSeat, SetRoomPolicy
from protocol.errors import LibraryError
from tests.broadcaster.host.handling import carry_out

ADDRESS = "aa:bb:cc:dd:ee:01"
BOOT = BootMachines(seats=(BootedSeat(address=ADDRESS, seat="1"),), seconds=60)
POLICY = SetRoomPolicy(room="R1", image="lab", allows_restore=True, seats=(PlannedSeat(machine=ADDRESS, seat="1"),))


def test_orders_and_policies_are_written_as_they_come(tmp_path: Path) -> None:
    written: list[BootOrders] = []
    policies = Policies(tmp_path)
    handlers = RoomCommands(policies, BootDesk(policies, written.append, lambda: 1000.0)).handlers
    assert carry_out(handlers, BOOT) == {}
    assert written[-1].machines[ADDRESS].until == 1060.0
    assert carry_out(handlers, POLICY) == {}
    assert written[-1].menu == {ADDRESS}
    assert carry_out(handlers, POLICY) == {}
    assert len(written) == 2, "nothing changed, so nothing is written"


def test_what_cannot_be_written_is_told(tmp_path: Path) -> None:
    def full(_: BootOrders) -> None:
        raise LibraryError("no room")

    policies = Policies(tmp_path)
    with pytest.raises(LibraryError, match="no room"):
        carry_out(RoomCommands(policies, BootDesk(policies, full)).handlers, BOOT)
