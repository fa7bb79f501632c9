"""A UDP socket for one group on one interface, and what can be wrong with either, in words.

What sending and receiving have in common; ``multicast`` has both.
"""

import errno
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address, IPv4Network, IPv6Address, ip_address
from types import TracebackType
from typing import Final, Self

from protocol.errors import TransportError
from protocol.link.interfaces import InterfaceInfo

_LINK_CONTROL: Final = IPv4Network("224.0.0.0/24")
"""Routing and discovery protocols of the link (RFC 5771 section 4); switches send it everywhere."""


class GroupSocket:
    """A UDP socket for one group on one interface."""

    def __init__(self, interface: InterfaceInfo, group: str, port: int) -> None:
        self._interface = interface
        self._port = port
        self._group = _group_address(group, interface)
        self._socket = socket.socket(socket.AF_INET if self._group.version == 4 else socket.AF_INET6, socket.SOCK_DGRAM)

    def fileno(self) -> int:
        """The descriptor, for ``select`` and event loops; -1 when closed."""
        return self._socket.fileno()

    def close(self) -> None:
        """Leave the group and free the port; again has no effect."""
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @contextmanager
    def _set_up(self) -> Iterator[None]:
        """The rest of a constructor: closes the socket if that fails."""
        try:
            yield
        except OSError as error:
            self.close()
            raise self._in_words(error) from error
        except BaseException:
            self.close()
            raise

    def _in_words(self, error: OSError) -> TransportError:
        reason = _REASONS.get(error.errno or 0, error.strerror or str(error))
        return TransportError(f"multicast {self._group} port {self._port} on {self._interface.name}: {reason}")

    def _source_address(self, source: str) -> IPv4Address | IPv6Address:
        try:
            address = ip_address(source.partition("%")[0])
        except ValueError:
            address = None
        if address is None or address.version != self._group.version:
            raise TransportError(f"{source[:64]!r} is no IPv{self._group.version} address that datagrams can come from")
        return address


def _group_address(group: str, interface: InterfaceInfo) -> IPv4Address | IPv6Address:
    try:
        address = ip_address(group)
    except ValueError:
        raise TransportError(f"{group} is no multicast address: use one like 239.192.1.1 or ff15::1") from None
    if not address.is_multicast or address in _LINK_CONTROL:
        raise TransportError(f"{group} is no address for data: use one like 239.192.1.1 or ff15::1")
    if (interface.ipv4 if address.version == 4 else interface.ipv6) is None:
        raise TransportError(f"interface {interface.name} has no IPv{address.version} address for the group {group}")
    return address


_REASONS: Final = {
    errno.EADDRINUSE: "the port is in use by another program: end it, or choose another port",
    errno.EACCES: "this user may not use it: run as root, or loosen the sandbox",
    errno.EPERM: "a firewall on this machine stops it: allow UDP to this group",
    errno.EMSGSIZE: "the datagrams do not fit its MTU: raise it to 1500 or choose another interface",
    errno.ENETUNREACH: "no route leads there: the interface is down or does not do multicast",
    errno.EHOSTUNREACH: "no route leads there: the interface is down or does not do multicast",
    errno.ENETDOWN: "the interface is down: check the cable",
    errno.ENODEV: "the interface is gone: check the cable and the driver",
    errno.EADDRNOTAVAIL: "the interface has lost its address: check DHCP",
    errno.ENOBUFS: "the kernel allows no more groups: raise net.ipv4.igmp_max_memberships",
}
