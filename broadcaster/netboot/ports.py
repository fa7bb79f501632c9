"""Whether the ports of DHCP, TFTP and PXE are ours to take before dnsmasq starts; if not, which program has them."""

import errno
import os
import shutil
import socket
from typing import Final

import psutil

from protocol.errors import RefusedError, TransportError
from protocol.link.interfaces import InterfaceInfo

DHCP_PORT: Final = 67
TFTP_PORT: Final = 69
PROXY_PORT: Final = 4011
"""where firmware asks a ProxyDHCP server again (PXE specification 2.1, section 2.2)"""

_NAMES: Final = {DHCP_PORT: "DHCP", TFTP_PORT: "TFTP", PROXY_PORT: "PXE"}


def check_ports(interface: InterfaceInfo) -> None:
    """Raise what keeps dnsmasq from serving on this interface.

    Raises:
        RefusedError: dnsmasq is not installed, or we are not root.
        TransportError: another program has one of the ports.
    """
    if shutil.which("dnsmasq") is None:
        raise RefusedError("booting from the network needs dnsmasq: apt install dnsmasq-base")
    if os.geteuid() != 0:
        raise RefusedError("booting from the network needs root, for DHCP and TFTP: run it with sudo")
    for port, name in _NAMES.items():
        _check(port, name, interface)


def _check(port: int, name: str, interface: InterfaceInfo) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # As dnsmasq binds, so that a DHCP server of other interfaces is in nobody's way.
            if port != TFTP_PORT:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.name.encode())
            probe.bind((interface.ipv4 or "" if port == TFTP_PORT else "", port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise TransportError(f"UDP port {port} ({name}): {error.strerror}") from error
            raise TransportError(
                f"UDP port {port} ({name}) is taken by {_holder(port)}: end it, or keep it off {interface.name}"
            ) from error


def _holder(port: int) -> str:
    """The program that has a UDP port, in words."""
    for connection in psutil.net_connections("udp"):
        if connection.laddr and connection.laddr.port == port and connection.pid is not None:
            try:
                return f"{psutil.Process(connection.pid).name()} (process {connection.pid})"
            except psutil.Error:
                continue
    return "another program"
