"""Looks who sends to a group, by the addresses in the link and IP headers; a look for the seat that was lied to.

An AF_PACKET socket with a filter of its own (packet(7), Linux; needs CAP_NET_RAW): the kernel copies the headers of
datagrams to the group and nothing else, into a buffer that bounds what waits. It sees what the group's own socket has
dropped as well. Whose addresses they are and what that means is for others to judge.
"""

import socket
import struct
from collections import Counter
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from protocol.errors import TransportError
from protocol.link.linux_udp import Check, address_checks, attach_filter, filter_program

HEADER_BYTES: Final = 64
"""[bytes] Copied of each datagram: the Ethernet header (14) and that of IPv4 (20) or IPv6 (40)."""

BUFFER_BYTES: Final = 512 * 1024
"""[bytes] Of the socket: some hundred headers wait at most, however many come."""

MAX_READ: Final = 512
"""[datagrams] In one ``read``: 1 ms of an event loop's time."""

_ETHERTYPE: Final = {4: 0x0800, 6: 0x86DD}
_LOAD_WORD, _LOAD_HALF, _LOAD_BYTE = 0x20, 0x28, 0x30
_ETHERNET_HEADER: Final = 14
_SOURCE_MAC: Final = 6
_UDP: Final = 17
_PROTOCOL_OFFSET: Final = {4: 9, 6: 6}
_SOURCE_OFFSET: Final = {4: 12, 6: 8}
_DESTINATION_OFFSET: Final = {4: 16, 6: 24}
_ADDRESS_LENGTH: Final = {4: 4, 6: 16}
_NEIGHBOURS: Final = Path("/proc/net/arp")


class SenderWatch:
    """The senders of datagrams to ``group`` on an interface, from now on until ``close``."""

    def __init__(self, interface_name: str, group: str) -> None:
        """Begin to look.

        Raises:
            TransportError: not permitted (CAP_NET_RAW), or there is no such interface.
        """
        self._group = ip_address(group)
        ethertype = _ETHERTYPE[self._group.version]
        try:
            # Protocol 0 takes nothing yet: nothing may come before the filter is there.
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        except OSError as error:
            raise TransportError(f"looking who sends to {group} needs root or CAP_NET_RAW: {error.strerror}") from error
        try:
            self._socket.setblocking(False)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
            attach_filter(self._socket, self._filter())
            self._socket.bind((interface_name, ethertype))
        except OSError as error:
            self.close()
            raise TransportError(f"looking who sends to {group} on {interface_name}: {error.strerror}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Look no more; again has no effect."""
        self._socket.close()

    def ignore(self, mac: str) -> None:
        """Let the kernel keep back what comes from this address, so that others are not lost in the crowd."""
        attach_filter(self._socket, self._filter(bytes.fromhex(mac.replace(":", ""))))

    def read(self) -> Counter[tuple[str, str]]:
        """Datagrams, or batches that the kernel has joined, by (MAC, IP) address of their sender since the last read.

        Bounded by MAX_READ; what the buffer had no room for is not told of.
        """
        version = self._group.version
        at = _ETHERNET_HEADER + _SOURCE_OFFSET[version]
        found: Counter[tuple[str, str]] = Counter()
        with suppress(OSError):  # nothing more has come, or the interface is gone
            for _ in range(MAX_READ):
                header = self._socket.recv(HEADER_BYTES)
                if len(header) >= at + _ADDRESS_LENGTH[version]:
                    address = ip_address(header[at : at + _ADDRESS_LENGTH[version]])
                    found[header[_SOURCE_MAC : _SOURCE_MAC + 6].hex(":"), str(address)] += 1
        return found

    def _filter(self, ignored: bytes | None = None) -> bytearray:
        version = self._group.version
        unless = []
        if ignored is not None:
            first, second = struct.unpack(">IH", ignored)
            unless = [Check(_LOAD_WORD, _SOURCE_MAC, first), Check(_LOAD_HALF, _SOURCE_MAC + 4, second)]
        checks = [
            Check(_LOAD_HALF, _ETHERNET_HEADER - 2, _ETHERTYPE[version]),
            Check(_LOAD_BYTE, _ETHERNET_HEADER + _PROTOCOL_OFFSET[version], _UDP),
            *address_checks(_ETHERNET_HEADER + _DESTINATION_OFFSET[version], self._group),
        ]
        return filter_program(checks, unless=unless, length=HEADER_BYTES)


def neighbour_mac(address: str, interface_name: str) -> str | None:
    """The MAC address that this machine's neighbour table has for an IPv4 address, if any; of IPv6 it tells none."""
    with suppress(OSError, ValueError):
        wanted: IPv4Address | IPv6Address = ip_address(address)
        for line in _NEIGHBOURS.read_text(encoding="ascii").splitlines()[1:]:
            ip, _, flags, mac, _, device = line.split()
            if ip == str(wanted) and device == interface_name and int(flags, 16) & 0x2:  # ATF_COM: an answer has come
                return mac
    return None
