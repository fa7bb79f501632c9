"""Spares PCs the wait of iPXE for an IPv6 router: whoever asks for one is told that here is none.

iPXE asks as soon as it has a link, and where nobody answers it asks again for 15 s before it loads anything (Debian's
of 2019, measured in QEMU, BIOS and UEFI alike). One router advertisement ends that, even one that says no more than "I
am no default router": lifetime 0, no prefix, no flags (RFC 4861 sections 4.2 and 6.3.4). It goes to the asking PC
alone, and only to PCs that this service answers anyway; a system that hears it changes nothing.
"""

import asyncio
import logging
import re
import socket
import struct
from collections.abc import Callable
from typing import Final

_SOLICITATION: Final = 133
_ADVERTISEMENT: Final = 134
_SOURCE_ADDRESS: Final = 1
"""option with the sender's link-layer address, RFC 4861 section 4.6.1"""

_HEADER: Final = 8
_OPTION: Final = 8
"""[bytes] an option that holds a MAC address; lengths of options count these"""

NO_ROUTER: Final = struct.pack("!BBHBBHII", _ADVERTISEMENT, 0, 0, 0, 0, 0, 0, 0)
"""The whole answer; the kernel fills in the checksum."""

_ALL_ROUTERS: Final = "ff02::2"
_HOP_LIMIT: Final = 255
"""what such messages must have, RFC 4861 section 6.1.2: it proves that they crossed no router"""

_ICMP6_FILTER: Final = 1
"""From linux/icmpv6.h."""

_LARGEST: Final = 1500
"""[bytes]"""

_LINK_LOCAL: Final = re.compile(r"fe[89ab]", re.IGNORECASE)

_logger = logging.getLogger(__name__)


class RouterAnswers:
    """Answers on one interface while ``serve`` runs.

    Args:
        interface: name.
        index: of the interface.
        is_ours: whether the PC of a MAC address, six hex pairs in lower case with colons, is to be answered.
    """

    def __init__(self, interface: str, index: int, is_ours: Callable[[str], bool]) -> None:
        self._interface = interface
        self._index = index
        self._is_ours = is_ours

    async def serve(self) -> None:
        """Answer until cancelled; without IPv6, or the right to use it so, PCs wait, and that is all."""
        try:
            listening = self._open()
        except OSError as error:
            _logger.info("%s: iPXE waits 15 s for an IPv6 router: %s", self._interface, error.strerror)
            return
        with listening:
            while True:
                await self._answer_next(listening)

    async def _answer_next(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        try:
            message, sender = await loop.sock_recvfrom(listening, _LARGEST)
            address = solicitor(message)
            if address is not None and _LINK_LOCAL.match(sender[0]) and self._is_ours(address):
                await loop.sock_sendto(listening, NO_ROUTER, sender)
        except OSError as error:  # the link is down for a moment, or the asking PC is gone
            _logger.debug("%s: %s", self._interface, error)

    def _open(self) -> socket.socket:
        opened = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
        try:
            opened.setblocking(False)
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, self._interface.encode())
            passing = [0xFFFFFFFF] * 8
            passing[_SOLICITATION >> 5] ^= 1 << (_SOLICITATION & 31)
            opened.setsockopt(socket.IPPROTO_ICMPV6, _ICMP6_FILTER, struct.pack("8I", *passing))
            group = socket.inet_pton(socket.AF_INET6, _ALL_ROUTERS) + struct.pack("I", self._index)
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, group)
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, _HOP_LIMIT)
        except OSError:
            opened.close()
            raise
        return opened


def solicitor(message: bytes) -> str | None:
    """The MAC address of a PC that asks for routers; None for any other message, or where it does not say."""
    if len(message) < _HEADER or message[0] != _SOLICITATION:
        return None
    options = message[_HEADER:]
    while len(options) >= _OPTION and options[1]:
        if options[0] == _SOURCE_ADDRESS and options[1] == 1:
            return options[2:_OPTION].hex(":")
        options = options[options[1] * _OPTION :]
    return None
