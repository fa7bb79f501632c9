from pathlib import Path

import pytest

from broadcaster.host import boot_desk as module
from broadcaster.host.boot_desk import BootDesk
from broadcaster.host.policies import Policies
from broadcaster.netboot.orders import BootMode, BootOrder, BootOrders
from protocol.commands import BootedSeat, BootMachines, PlannedSeat, SetRoomPolicy
from protocol.errors import RefusedError

A, B = (BootedSeat(address=f"aa:bb:cc:dd:ee:0{number}", seat=f"seat {number}") for number in (1, 2))


class Site:
    """A desk whose clock a test sets, and what it published last."""

    def __init__(self, folder: Path) -> None:
        self.now = 1000.0
        self.policies = Policies(folder)
        self.orders = BootOrders()
        self.desk = BootDesk(self.policies, self._publish, lambda: self.now)

    def _publish(self, orders: BootOrders) -> None:
        self.orders = orders

    def addresses(self) -> list[str]:
        self.desk.write()
        return list(self.orders.machines)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_an_order_holds_until_its_time_is_over(site: Site) -> None:
    site.desk.order(BootMachines(seats=(A, B), seconds=60, mode="capture"))
    assert site.addresses() == [A.address, B.address]
    assert site.orders.machines[A.address] == BootOrder(until=1060.0, seat="seat 1", mode=BootMode.CAPTURE)
    site.now = 1059.9
    assert len(site.addresses()) == 2
    site.now = 1060.0
    assert site.addresses() == []


def test_it_can_be_taken_back_and_given_anew(site: Site) -> None:
    site.desk.order(BootMachines(seats=(A, B), seconds=60))
    site.desk.order(BootMachines(seats=(A,), seconds=0))
    site.desk.order(BootMachines(seats=(B,), seconds=600))
    assert site.addresses() == [B.address]
    assert site.orders.machines[B.address].until == 1600.0


def test_a_machine_that_is_done_boots_its_own_disk(site: Site) -> None:
    site.desk.order(BootMachines(seats=(A, B), seconds=60))
    verified = [("1", A.address), ("1", "somebody else")]
    assert site.desk.settle(verified)
    assert not site.desk.settle(verified)
    assert site.addresses() == [B.address]
    site.desk.order(BootMachines(seats=(A,), seconds=60))
    assert not site.desk.settle(verified), "it was ordered anew while its old session still went on"
    assert site.desk.settle([*verified, ("2", A.address)])
    assert site.addresses() == [B.address]
    assert site.desk.has_orders


def test_seats_of_rooms_that_allow_it_may_choose(site: Site) -> None:
    seats = (PlannedSeat(machine=A.address, seat="1"), PlannedSeat(machine="office-7", seat="2"))
    site.policies.hold(SetRoomPolicy(room="R1", image="lab", allows_restore=True, seats=seats))
    site.policies.hold(SetRoomPolicy(room="R2", image="lab", seats=(PlannedSeat(machine=B.address, seat="1"),)))
    site.desk.write()
    assert site.orders.menu == {A.address}
    assert site.orders.rooms == {A.address, B.address}


def test_orders_are_bounded_and_old_ones_make_room(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_MACHINES", 1)
    site.desk.order(BootMachines(seats=(A,), seconds=60))
    with pytest.raises(RefusedError, match="1 machines are ordered to boot already"):
        site.desk.order(BootMachines(seats=(B,), seconds=60))
    site.now = 2000.0
    site.desk.order(BootMachines(seats=(B,), seconds=60))
    assert site.addresses() == [B.address]
