"""How the network of this PC is, looked at again and again: which interface, link, address, negotiated speed."""

import asyncio
import socket
from collections.abc import Callable
from typing import Final

import psutil

from slatecast.seat.events import NetworkSeen

LOOK_SECONDS: Final = 0.5
"""[s] How late an unplugged cable may be on the screen; a look takes a millisecond."""

GIGABIT: Final = 1_000
"""[Mbit/s] A slower link is a bad cable, a tired port or a long forgotten switch: it is told, and nothing else."""


_SPEED_UNKNOWN: Final = 65_535
"""[Mbit/s] what some drivers say for -1 (linux/ethtool.h, SPEED_UNKNOWN)"""


async def watch_network(tell: Callable[[NetworkSeen], object], boot_address: str = "") -> None:
    """Tell of each change until cancelled; ``boot_address`` is the MAC address of the interface that booted."""
    before: NetworkSeen | None = None
    while True:
        seen = look_at_network(boot_address)
        if seen != before:
            before = seen
            tell(seen)
        await asyncio.sleep(LOOK_SECONDS)


def look_at_network(boot_address: str = "") -> NetworkSeen:
    """The interface that matters: of those with an address and a link the one that booted, else the first.

    The loopback interface counts only where there is no other, as in tests and demos on one machine.
    """
    machine = _Machine()
    seen = [machine.seen(name) for name in machine.names]
    booted = machine.owner_of(boot_address)
    ranked = sorted(seen, key=lambda each: (not each.has_link, not each.address, each.interface != booted))
    return ranked[0] if ranked else NetworkSeen()


class _Machine:
    """All interfaces as they were when it was made."""

    def __init__(self) -> None:
        self._stats = psutil.net_if_stats()
        self._addresses = psutil.net_if_addrs()

    @property
    def names(self) -> list[str]:
        """Of the interfaces that count, in order."""
        names = sorted(self._stats)
        return [name for name in names if "loopback" not in self._flags(name)] or names

    def owner_of(self, boot_address: str) -> str:
        """The interface with this MAC address, or empty."""
        owners = (
            name for name, each in self._addresses.items() if boot_address in {entry.address.lower() for entry in each}
        )
        return next(owners, "") if boot_address else ""

    def seen(self, name: str) -> NetworkSeen:
        """How one interface is."""
        stats = self._stats[name]
        has_link = stats.isup and "running" in self._flags(name)
        speed = stats.speed if 0 < stats.speed < _SPEED_UNKNOWN else 0
        return NetworkSeen(
            interface=name,
            address=self._address(name),
            has_link=has_link,
            speed_bits_per_second=speed * 1_000_000 or None,
            warning=_warning(name, speed, is_half=stats.duplex == psutil.NIC_DUPLEX_HALF) if has_link else "",
        )

    def _flags(self, name: str) -> list[str]:
        return self._stats[name].flags.split(",")

    def _address(self, name: str) -> str:
        """An IPv4 address before an IPv6 one; link-local ones lead to no broadcaster."""
        entries = self._addresses.get(name, [])
        ipv4 = [entry.address for entry in entries if entry.family == socket.AF_INET]
        ipv6 = [entry.address.partition("%")[0] for entry in entries if entry.family == socket.AF_INET6]
        found = [*ipv4, *(address for address in ipv6 if not address.startswith("fe80:"))]
        return found[0] if found else ""


def _warning(name: str, speed: int, *, is_half: bool) -> str:
    if is_half:
        return f"The link of {name} is half duplex: set the switch port to negotiate by itself"
    if 0 < speed < GIGABIT:
        return f"The link of {name} runs at {speed} Mbit/s only: try another cable, then another switch port"
    return ""
