"""Which machines boot the environment when they start next, as operators ordered it and rooms allow it.

It only decides; a netboot part of its own reads what is written here, so that a machine that starts never waits for the
broadcaster. An order ends when its time is over, when it is taken back, and when the machine's disk has been verified:
the restart that follows must boot that disk.
"""

import threading
import time
from collections.abc import Callable, Iterable

from broadcaster.host.policies import Policies
from broadcaster.netboot.orders import MAX_MACHINES, BootMode, BootOrder, BootOrders
from protocol.commands import BootMachines, SetRoomPolicy
from protocol.errors import RefusedError
from protocol.fields import is_mac_address


class BootDesk:
    """The orders of this start of the broadcaster; ``write`` makes them hold.

    Args:
        policies: rooms whose seats may restore themselves.
        publish: writes all that holds; may raise LibraryError.
        clock: seconds since 1970.
    """

    def __init__(
        self, policies: Policies, publish: Callable[[BootOrders], object], clock: Callable[[], float] = time.time
    ) -> None:
        self._policies = policies
        self._publish = publish
        self._clock = clock
        self._machines: dict[str, BootOrder] = {}
        self._settled: set[tuple[str, str]] = set()
        self._lock = threading.Lock()

    def order(self, command: BootMachines) -> None:
        """Take an order, or take it back.

        Raises:
            RefusedError: too many machines.
        """
        with self._lock:
            until = self._clock() + command.seconds
            given = {
                seat.address: BootOrder(until=until, seat=seat.seat, mode=BootMode(command.mode))
                for seat in command.seats
            }
            machines = {**self._holding(), **given}
            if len(machines) > MAX_MACHINES:
                raise RefusedError(f"{MAX_MACHINES} machines are ordered to boot already: take some orders back")
            self._machines = machines

    @property
    def has_orders(self) -> bool:
        """Whether any machine is ordered to boot."""
        return bool(self._machines)

    def settle(self, verified: Iterable[tuple[str, str]]) -> bool:
        """These machines, each with its session, are verified; whether that ends an order.

        Each counts once: a machine may be ordered to boot again while the session that verified it still goes on.
        """
        pairs = set(verified)
        with self._lock:
            done = self._machines.keys() & {machine for _, machine in pairs - self._settled}
            self._settled = pairs
            for machine in done:
                del self._machines[machine]
            return bool(done)

    def write(self) -> None:
        """Publish what holds now. Raises LibraryError."""
        with self._lock:
            self._machines = self._holding()
            policies = self._policies.all()
            self._publish(
                BootOrders(
                    machines=dict(self._machines),
                    menu=_machines_of(policy for policy in policies if policy.allows_restore),
                    rooms=_machines_of(policies),
                )
            )

    def _holding(self) -> dict[str, BootOrder]:
        now = self._clock()
        return {address: order for address, order in self._machines.items() if order.until > now}


def _machines_of(policies: Iterable[SetRoomPolicy]) -> frozenset[str]:
    """Machines are named by their addresses, unless somebody gave them another name."""
    return frozenset(seat.machine for policy in policies for seat in policy.seats if is_mac_address(seat.machine))
