"""The name that a PC keeps from start to start, while its receiver id is drawn anew: the MAC address of its interface.

It says where a PC stands and whom a session is for; it proves nothing, since anybody can take a MAC address.
"""

import socket
from typing import Final

import psutil

from protocol.link.interfaces import InterfaceInfo

_NO_ADDRESS: Final = "00:00:00:00:00:00"


def machine_name(interface: InterfaceInfo, seat: str) -> str:
    """The MAC address of ``interface`` in lower case, with colons; ``seat`` where it has none, as the loopback."""
    if not interface.is_loopback:
        for entry in psutil.net_if_addrs().get(interface.name, []):
            if entry.family == socket.AF_PACKET and entry.address != _NO_ADDRESS:
                return entry.address.lower().replace("-", ":")
    return seat
