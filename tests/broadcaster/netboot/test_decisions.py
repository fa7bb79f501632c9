import pytest

from broadcaster.netboot.decisions import OWN_DISK, Boots, Decision, Decisions
from broadcaster.netboot.orders import BootMode, BootOrder, BootOrders

ORDERED, LATE, CHOOSING, NAMED, UNKNOWN = (f"52:54:00:00:00:0{number}" for number in range(5))
ORDERS = BootOrders(
    machines={
        ORDERED: BootOrder(until=101.0, seat="PC-01", mode=BootMode.CAPTURE),
        LATE: BootOrder(until=100.0, seat="PC-02"),
    },
    menu=frozenset({CHOOSING, ORDERED}),
)


@pytest.mark.parametrize(
    ("address", "decision"),
    [
        (ORDERED, Decision(Boots.ENVIRONMENT, "PC-01", BootMode.CAPTURE)),
        (LATE, OWN_DISK),
        (CHOOSING, Decision(Boots.CHOICE, mode=BootMode.MENU)),
        (NAMED, Decision(Boots.ENVIRONMENT)),
        (UNKNOWN, OWN_DISK),
        ("", OWN_DISK),
    ],
)
def test_who_boots_what(address: str, decision: Decision) -> None:
    assert Decisions(lambda: ORDERS, lambda: 100.0, machines={NAMED}).of(address) == decision


def test_in_a_closed_room_everyone_boots_the_environment() -> None:
    decisions = Decisions(lambda: ORDERS, lambda: 100.0, everyone=True)
    assert {decisions.of(address).boots for address in (UNKNOWN, LATE, CHOOSING)} == {Boots.ENVIRONMENT}
    assert decisions.of(ORDERED).seat == "PC-01"


def test_only_those_are_named_who_boot_something_else_than_their_disks() -> None:
    named = Decisions(lambda: ORDERS, lambda: 100.0, machines={NAMED}).named()
    assert list(named) == [ORDERED, CHOOSING, NAMED]


def test_machines_of_rooms_are_answered_and_those_that_had_an_order() -> None:
    written = ORDERS
    decisions = Decisions(lambda: written, lambda: 100.0)
    assert decisions.answered() == {ORDERED, LATE}
    written = BootOrders(rooms=frozenset({UNKNOWN}))
    assert decisions.answered() == {UNKNOWN, ORDERED, LATE}


def test_machines_that_had_an_order_do_not_fill_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("broadcaster.netboot.decisions.MAX_MACHINES", 1)
    assert len(Decisions(lambda: ORDERS, lambda: 100.0).answered()) == 1
