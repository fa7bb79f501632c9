"""An interface of this machine on which nothing arrives of what is sent on another."""

import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import psutil

ENOUGH: Final = 1500
"""[bytes] MTU that our datagrams need"""

NAME: Final = "slatecast-far"
PEER: Final = "slatecast-peer"
ADDRESS: Final = "198.51.100.1/24"


@contextmanager
def interface_elsewhere() -> Iterator[str | None]:
    """One that there is, or one that is made for the time of the block; None where neither can be."""
    found = next((name for name, state in psutil.net_if_stats().items() if _is_usable(name, state)), None)
    if found is not None or os.geteuid() != 0:
        yield found
        return
    _ip("link", "add", NAME, "type", "veth", "peer", "name", PEER)  # which needs no module of its own
    try:
        _ip("address", "add", ADDRESS, "dev", NAME)
        _ip("link", "set", PEER, "up")
        _ip("link", "set", NAME, "up")
        yield NAME
    finally:
        _ip("link", "delete", NAME)


def _is_usable(name: str, state: psutil._ntuples.snicstats) -> bool:
    has_address = any(each.family == socket.AF_INET for each in psutil.net_if_addrs()[name])
    return name != "lo" and has_address and state.isup and state.mtu >= ENOUGH and "multicast" in state.flags


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)
