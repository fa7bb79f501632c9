"""Which machines boot the environment when they start next, as operators ordered it and rooms allow it.

It only decides; a netboot part of its own reads what is written here, so that a machine that starts never waits for the
broadcaster. An order ends when its time is over, when it is taken back, and when the machine's disk has been verified:
the restart that follows must boot that disk.
"""

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from broadcaster.host.policies import Policies
from protocol.commands import BootedSeat, BootMachines
from protocol.errors import RefusedError
from protocol.fields import is_mac_address

MAX_BOOT_ORDERS: Final = 20_000
"""[machines] all seats that a console manages"""


@dataclass(frozen=True, slots=True)
class BootOrder:
    """One machine that boots the environment."""

    seat: BootedSeat
    until: float
    """seconds since 1970"""
    mode: str


class BootDesk:
    """The orders; ``publish`` writes those that hold and the addresses that may choose by themselves.

    Args:
        policies: rooms whose seats may restore themselves.
        publish: may raise LibraryError; called in a thread.
        clock: seconds since 1970.
    """

    def __init__(
        self,
        policies: Policies,
        publish: Callable[[list[BootOrder], frozenset[str]], object],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._policies = policies
        self._publish = publish
        self._clock = clock
        self._orders: dict[str, BootOrder] = {}
        self._lock = threading.Lock()

    def order(self, command: BootMachines) -> None:
        """Take an order, or take it back; ``write`` makes it hold.

        Raises:
            RefusedError: too many machines.
        """
        with self._lock:
            if len(self._orders) + len(command.seats) > MAX_BOOT_ORDERS:
                self._forget_old()
            if len(self._orders) + len(command.seats) > MAX_BOOT_ORDERS:
                raise RefusedError(f"{MAX_BOOT_ORDERS} machines are ordered to boot already: take some orders back")
            for seat in command.seats:
                if command.seconds:
                    until = self._clock() + command.seconds
                    self._orders[seat.address] = BootOrder(seat, until, command.mode)
                else:
                    self._orders.pop(seat.address, None)

    def settle(self, machines: Iterable[str]) -> bool:
        """These machines are done with the environment; whether that changes anything."""
        with self._lock:
            done = self._orders.keys() & set(machines)
            for machine in done:
                del self._orders[machine]
            return bool(done)

    def write(self) -> None:
        """Publish what holds now. Raises LibraryError."""
        with self._lock:
            self._forget_old()
            orders = list(self._orders.values())
        self._publish(orders, self._may_choose())

    def _forget_old(self) -> None:
        now = self._clock()
        self._orders = {address: order for address, order in self._orders.items() if order.until > now}

    def _may_choose(self) -> frozenset[str]:
        """Machines are named by their addresses, unless somebody gave them another name."""
        return frozenset(
            seat.machine
            for policy in self._policies.all()
            if policy.allows_restore
            for seat in policy.seats
            if is_mac_address(seat.machine)
        )
