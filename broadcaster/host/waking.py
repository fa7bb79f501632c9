"""Switches PCs on with wake-on-LAN datagrams, on one interface."""

from collections.abc import Sequence

import wakeonlan

from protocol.errors import RefusedError, TransportError
from protocol.link.interfaces import InterfaceInfo


def wake_machines(interface: InterfaceInfo, addresses: Sequence[str]) -> None:
    """Send each of these MAC addresses its datagram, from ``interface`` to everybody there.

    Raises:
        RefusedError: the interface has no IPv4 address.
        TransportError: nothing can be sent there.
    """
    if interface.ipv4 is None:
        raise RefusedError(f"{interface.name} has no IPv4 address, which wake-on-LAN needs: give it one")
    try:
        # Bound to its own address, the socket sends to 255.255.255.255 on that interface and no other.
        wakeonlan.wake(*addresses, interface=interface.ipv4)
    except OSError as error:
        raise TransportError(f"nobody can be woken on {interface.name}: {error.strerror or error}") from error
