"""What a machine boots, by its address: the environment, a choice of three seconds, or its own disk.

Whoever is not known, has no order or one that is over boots its own disk; there is no other default.
"""

from collections.abc import Callable, Set
from dataclasses import dataclass
from enum import Enum, auto
from itertools import islice

from broadcaster.netboot.orders import MAX_MACHINES, BootMode, BootOrders


class Boots(Enum):
    """From where a machine goes on."""

    ENVIRONMENT = auto()
    CHOICE = auto()
    """its own disk, unless somebody presses a key at once"""
    OWN_DISK = auto()


@dataclass(frozen=True, slots=True)
class Decision:
    """Of one machine."""

    boots: Boots
    seat: str = ""
    """as operators call it; empty where nobody named it"""
    mode: BootMode = BootMode.RECEIVE


OWN_DISK = Decision(Boots.OWN_DISK)


class Decisions:
    """Answers for every address; the clock is seconds since 1970.

    Args:
        orders: those that are written now.
        everyone: every machine boots the environment, as in a closed room.
        machines: addresses that boot the environment without an order.
    """

    def __init__(
        self,
        orders: Callable[[], BootOrders],
        clock: Callable[[], float],
        *,
        everyone: bool = False,
        machines: Set[str] = frozenset(),
    ) -> None:
        self._orders = orders
        self._clock = clock
        self._machines = machines
        self._met: set[str] = set()
        self.everyone = everyone

    def of(self, address: str) -> Decision:
        """For the machine whose interface has this address, six hex pairs in lower case with colons."""
        orders = self._orders()
        order = orders.order_for(address, self._clock())
        if order is not None:
            return Decision(Boots.ENVIRONMENT, order.seat, order.mode)
        if self.everyone or address in self._machines:
            return Decision(Boots.ENVIRONMENT)
        if address in orders.menu:
            return Decision(Boots.CHOICE, mode=BootMode.MENU)
        return OWN_DISK

    def answered(self) -> Set[str]:
        """Machines that are told what to boot, even if that is their own disk.

        Those of our rooms, and all that have had an order since this began: they start from their disks next.
        """
        orders = self._orders()
        self._met.update(islice(orders.machines.keys() - self._met, MAX_MACHINES - len(self._met)))
        return orders.rooms | self._met

    def named(self) -> dict[str, Decision]:
        """Every machine that is named anywhere and does not simply boot its own disk."""
        orders = self._orders()
        addresses = {*orders.machines, *orders.menu, *self._machines}
        decided = {address: self.of(address) for address in sorted(addresses)}
        return {address: decision for address, decision in decided.items() if decision.boots is not Boots.OWN_DISK}
