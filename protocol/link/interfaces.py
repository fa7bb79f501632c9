"""Which network interface a cast uses: found by name, by address, or by the route to a host.

Only an interface that can carry our datagrams is given out: up, with an address, and with room for Ethernet's 1,500
bytes. Anything else is a TransportError whose text names the way out. Where nobody chose, the routes do, and what stays
ambiguous is refused; the loopback interface is the answer only where the machine has no other (a demo on a laptop).
Addresses and flags come from psutil, Wi-Fi from sysfs.
"""

import socket
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Final

import psutil

from protocol.errors import TransportError

MINIMUM_MTU: Final = 1500
"""[bytes] A datagram with its UDP and IPv6 headers has 1,498, and is never sent in fragments."""

_SPEED_UNKNOWN: Final = 65_535
"""[Mbit/s] What some drivers say for -1 (linux/ethtool.h, SPEED_UNKNOWN)."""

_SYSFS: Final = Path("/sys/class/net")

_SOMEWHERE: Final = {socket.AF_INET: "198.51.100.1", socket.AF_INET6: "2001:db8::1"}
"""Documentation addresses (RFC 5737, RFC 3849): no machine has one, so only a default route leads there."""


@dataclass(frozen=True, slots=True)
class InterfaceInfo:
    """An interface that can carry a cast."""

    name: str
    """As the system calls it, eth0."""

    index: int
    """The system's number of it, which is what sockets take."""

    ipv4: str | None
    """Its first IPv4 address."""

    ipv6: str | None
    """Its first IPv6 address, a routable one before a link-local one; without the zone."""

    mtu: int
    """[bytes] Largest IP datagram that it takes in one piece."""

    speed_bits_per_second: int | None
    """Of the link as negotiated; None where the driver does not say (loopback, veth, Wi-Fi)."""

    is_loopback: bool
    """Reaches this machine only."""

    is_wireless: bool
    """Wi-Fi, where multicast is slow and unacknowledged."""


def resolve_interface(name: str | None = None, *, towards: str | None = None) -> InterfaceInfo:
    """The interface of this name or address; without one, the interface that leads to the host ``towards``.

    Without either: the one with the default route, else the only one that is fit for a cast, else the loopback.

    Raises:
        TransportError: it does not exist, is down, has no address or too small an MTU; or several are fit.
    """
    machine = _Machine()
    if name is not None:
        chosen = machine.named(name)
    elif towards is not None:
        chosen = machine.leading_to(towards)
    else:
        chosen = machine.default()
    fault = machine.fault(chosen)
    if fault is not None:
        raise TransportError(f"interface {chosen} {fault}")
    return machine.describe(chosen)


class _Machine:
    """All interfaces as they were when it was made."""

    def __init__(self) -> None:
        self._stats = psutil.net_if_stats()
        self._addresses = psutil.net_if_addrs()

    def named(self, name: str) -> str:
        if name in self._stats:
            return name
        found = self._with_address(name)
        if found is None:
            raise TransportError(
                f"no interface has the name or address {name}: there is {', '.join(sorted(self._stats))}"
            )
        return found

    def leading_to(self, host: str) -> str:
        try:
            found = socket.getaddrinfo(host, None, type=socket.SOCK_DGRAM)
        except (OSError, UnicodeError) as error:
            raise TransportError(f"the name {host} leads to no address: check it, or the name service") from error
        for family, _type, _protocol, _name, address in found:
            interface = self._route(family, str(address[0]))
            if interface is not None:
                return interface
        raise TransportError(f"no route leads to {host}: check cable and addresses, or choose an interface")

    def default(self) -> str:
        for family, address in _SOMEWHERE.items():
            interface = self._route(family, address)
            if interface is not None:
                return interface
        fit = [name for name in sorted(self._stats) if self.fault(name) is None]
        candidates = [name for name in fit if not self._is_loopback(name)] or fit
        if len(candidates) != 1:
            there = ", ".join(candidates or sorted(self._stats))
            raise TransportError(f"no default route says which interface to use: choose one of {there}")
        return candidates[0]

    def fault(self, name: str) -> str | None:
        """Why it cannot carry a cast, in words that follow its name."""
        stats = self._stats[name]
        if not stats.isup:
            return f"is down: check the cable, or run ip link set {name} up"
        if self._first(name, socket.AF_INET) is None and self._first(name, socket.AF_INET6) is None:
            return "has no address: check DHCP, or give it one"
        if stats.mtu < MINIMUM_MTU:
            return f"takes {stats.mtu} bytes (MTU) where our datagrams need {MINIMUM_MTU}: raise it or choose another"
        return None

    def describe(self, name: str) -> InterfaceInfo:
        stats = self._stats[name]
        try:
            index = socket.if_nametoindex(name)
        except OSError as error:
            raise TransportError(f"interface {name} has just disappeared: check cable and driver") from error
        return InterfaceInfo(
            name=name,
            index=index,
            ipv4=self._first(name, socket.AF_INET),
            ipv6=self._first(name, socket.AF_INET6),
            mtu=stats.mtu,
            speed_bits_per_second=stats.speed * 1_000_000 if 0 < stats.speed < _SPEED_UNKNOWN else None,
            is_loopback=self._is_loopback(name),
            is_wireless=any((_SYSFS / name / entry).exists() for entry in ("wireless", "phy80211")),
        )

    def _route(self, family: int, address: str) -> str | None:
        """The interface through which the system would send there; nothing is sent."""
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as probe:
                probe.connect((address, 9))
                return self._with_address(str(probe.getsockname()[0]))
        except OSError:
            return None

    def _with_address(self, address: str) -> str | None:
        try:
            wanted = ip_address(address.partition("%")[0])
        except ValueError:
            return None
        owners = (name for name in self._stats for family in _SOMEWHERE if wanted in self._of_family(name, family))
        return next(owners, None)

    def _first(self, name: str, family: int) -> str | None:
        addresses = sorted(self._of_family(name, family), key=lambda address: address.is_link_local)
        return str(addresses[0]) if addresses else None

    def _of_family(self, name: str, family: int) -> list[IPv4Address | IPv6Address]:
        return [
            ip_address(entry.address.partition("%")[0])  # psutil puts the zone behind a link-local address
            for entry in self._addresses.get(name, [])
            if entry.family == family
        ]

    def _is_loopback(self, name: str) -> bool:
        return "loopback" in self._stats[name].flags.split(",")
