"""What Linux offers a UDP socket and Python's ``socket`` does not name: batches, a filter, bounds, counts.

Every option here may be missing (an older kernel, a container, a missing capability); a function then says so by what
it returns, and the caller does the plain thing (the habit of quinn-udp). Nothing here knows sessions or groups' owners.
Numbers are those of the kernel's uapi headers linux/udp.h, linux/in.h, linux/in6.h and asm-generic/socket.h.
"""

import ctypes
import socket
import struct
from collections.abc import Sequence
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address
from typing import Final, NamedTuple

from protocol import PROTOCOL_VERSION
from protocol.wire import MAGIC

MAX_BATCH_BYTES: Final = 65_507
"""[bytes] Largest UDP payload over IPv4 (65,535 less 20 and 8), and so of a batch; IPv6 would take 20 more."""

_UDP_SEGMENT: Final = 103
_UDP_GRO: Final = 104
_SO_ATTACH_FILTER: Final = 26
_SO_RCVBUFFORCE: Final = 33
_SO_MEMINFO: Final = 55
_MEMINFO_RECEIVE_USED: Final = 0
_MEMINFO_RECEIVE_LIMIT: Final = 1
_MEMINFO_DROPS: Final = 8
_MEMINFO: Final = struct.Struct("=9I")
_IP_MTU_DISCOVER: Final = 10
_IPV6_MTU_DISCOVER: Final = 23
_PMTUDISC_PROBE: Final = 3
_IP_MULTICAST_ALL: Final = 49
_IPV6_MULTICAST_ALL: Final = 29

_SEGMENT: Final = struct.Struct("=H")
_CMSG_INT: Final = struct.Struct("=i")
GRO_ANCILLARY_BYTES: Final = socket.CMSG_SPACE(_CMSG_INT.size)
"""[bytes] Room that ``recvmsg`` needs for the length of the datagrams in a batch."""

_LOWER_EFFORT: Final = 0x20
"""DSCP CS1 in the upper six bits (RFC 3662): where a switch minds it, lessons come before disk images."""

Ancillary = list[tuple[int, int, bytes]]


def can_segment(udp: socket.socket) -> bool:
    """Whether one ``sendmsg`` may carry a batch (UDP_SEGMENT, Linux 4.18); the device may still refuse."""
    try:
        udp.getsockopt(socket.IPPROTO_UDP, _UDP_SEGMENT)
    except OSError:
        return False
    return True


def segment_ancillary(datagram_length: int) -> Ancillary:
    """What tells ``sendmsg`` to cut the batch into datagrams of this length."""
    return [(socket.IPPROTO_UDP, _UDP_SEGMENT, _SEGMENT.pack(datagram_length))]


def enable_gro(udp: socket.socket) -> bool:
    """Receive batches (UDP_GRO, Linux 5.0); False where each datagram comes alone."""
    return _set_gro(udp, on=True)


def disable_gro(udp: socket.socket) -> None:
    """Receive each datagram alone again."""
    _set_gro(udp, on=False)


def _set_gro(udp: socket.socket, *, on: bool) -> bool:
    try:
        udp.setsockopt(socket.IPPROTO_UDP, _UDP_GRO, int(on))
    except OSError:
        return False
    return True


def segment_length(ancillary: Ancillary) -> int | None:
    """Bytes of each datagram of the batch but the last, or None for a single datagram."""
    for level, kind, data in ancillary:
        if level == socket.IPPROTO_UDP and kind == _UDP_GRO and len(data) >= _CMSG_INT.size:
            length: int = _CMSG_INT.unpack_from(data)[0]
            return length
    return None


def set_receive_buffer(udp: socket.socket, wanted: int) -> int:
    """Ask for a receive buffer of ``wanted`` bytes, beyond net.core.rmem_max where allowed; the bytes that we got."""
    try:
        udp.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, wanted)
    except OSError:  # needs CAP_NET_ADMIN
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, wanted)
    return (
        udp.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2
    )  # socket(7): the kernel doubles, for its bookkeeping


def receive_state(udp: socket.socket) -> tuple[float, int]:
    """(share of the receive buffer that waits to be read, arrivals thrown away since the socket was opened).

    Both with the kernel's bookkeeping, and 0 where it does not tell (before Linux 4.12). Read when asked for;
    SO_RXQ_OVFL would tell the second number, but with every datagram and only as old as that one. What a filter
    refuses counts as thrown away like what finds no room.
    """
    info = _memory_info(udp)
    return min(1.0, info[_MEMINFO_RECEIVE_USED] / max(1, info[_MEMINFO_RECEIVE_LIMIT])), info[_MEMINFO_DROPS]


def _memory_info(udp: socket.socket) -> tuple[int, ...]:
    try:
        answer = udp.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMINFO.size)
    except OSError:
        answer = b""
    return _MEMINFO.unpack(answer) if len(answer) == _MEMINFO.size else (0,) * 9


def attach_session_filter(udp: socket.socket, tsi: int | None, source: IPv4Address | IPv6Address | None = None) -> bool:
    """Let the kernel drop, before it queues or wakes anybody, what does not begin as our datagrams of this session.

    The filter sees the UDP header first. Of a batch that GRO joined it sees the first datagram only: the kernel joins
    what comes from one address and port. So it spares work, and is no protection; the seal is.

    Args:
        udp: the socket, best before it is bound.
        tsi: drop what is of other sessions; None looks at no payload.
        source: drop what others send, by the IP header; no membership changes, so no switch need know of sources.

    Returns:
        Whether the kernel has taken the filter.
    """
    checks: list[Check] = []
    if tsi is not None:
        checks += [
            Check(_LOAD_HALF, _UDP_HEADER, MAGIC),
            Check(_LOAD_BYTE, _UDP_HEADER + 2, PROTOCOL_VERSION),
            Check(_LOAD_WORD, _UDP_HEADER + 4, tsi >> 32),
            Check(_LOAD_WORD, _UDP_HEADER + 8, tsi & 0xFFFF_FFFF),
        ]
    if source is not None:
        first = _NETWORK_HEADER + _SOURCE_OFFSET[source.version]
        checks += address_checks(first, source)
    return attach_filter(udp, filter_program(checks))


class Check(NamedTuple):
    """What a filter loads, from which byte, and what that must be."""

    load: int
    offset: int
    value: int


def address_checks(first: int, address: IPv4Address | IPv6Address) -> list[Check]:
    """That the bytes from ``first`` on are this address."""
    words = struct.unpack(f">{len(address.packed) // 4}I", address.packed)
    return [Check(_LOAD_WORD, (first + 4 * index) & 0xFFFF_FFFF, word) for index, word in enumerate(words)]


def filter_program(checks: Sequence[Check], *, unless: Sequence[Check] = (), length: int = 0xFFFF_FFFF) -> bytearray:
    """Classic BPF that keeps the first ``length`` bytes of what passes all checks, unless it also passes all others."""
    program = bytearray()
    total = 2 * (len(checks) + len(unless)) + 2
    accept, refuse = total - 2, total - 1
    for index, (load, offset, value) in enumerate((*checks, *unless)):
        comparison = 2 * index + 1
        is_last_exception = len(checks) <= index == len(checks) + len(unless) - 1
        on_equal = refuse if is_last_exception else comparison + 1
        on_other = accept if index >= len(checks) else refuse
        program += _INSTRUCTION.pack(load, 0, 0, offset)
        program += _INSTRUCTION.pack(_JUMP_IF_EQUAL, on_equal - comparison - 1, on_other - comparison - 1, value)
    return program + _INSTRUCTION.pack(_GIVE_BACK, 0, 0, length) + _INSTRUCTION.pack(_GIVE_BACK, 0, 0, 0)


def attach_filter(sock: socket.socket, program: bytearray) -> bool:
    """Whether the kernel has taken the program as this socket's filter, in the place of an earlier one."""
    memory = (ctypes.c_char * len(program)).from_buffer(program)
    descriptor = struct.pack("@HP", len(program) // _INSTRUCTION.size, ctypes.addressof(memory))
    try:
        sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, descriptor)
    except OSError:
        return False
    return True


_INSTRUCTION: Final = struct.Struct("=HBBI")
_LOAD_WORD, _LOAD_HALF, _LOAD_BYTE, _JUMP_IF_EQUAL, _GIVE_BACK = 0x20, 0x28, 0x30, 0x15, 0x06
"""linux/bpf_common.h"""
_NETWORK_HEADER: Final = -0x10_0000
"""SKF_NET_OFF of linux/filter.h: offsets from here on are counted from the IP header, wherever the socket begins."""
_UDP_HEADER: Final = 8
_SOURCE_OFFSET: Final = {4: 12, 6: 8}
"""[bytes] Of the source address in the IP header, by version (RFC 791 section 3.1, RFC 8200 section 3)."""


def send_through(udp: socket.socket, group: IPv4Address | IPv6Address, interface_index: int, ttl: int) -> None:
    """Multicast through this interface only, heard on this machine too, at low priority and never in fragments."""
    if group.version == 4:
        chosen = _in_mreqn(IPv4Address(0), interface_index)
        udp.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, chosen)
        udp.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, ttl)
        udp.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 1)
        with suppress(OSError):
            udp.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, _LOWER_EFFORT)
        # PROBE, not DO: a forged "fragmentation needed" must not shrink what we may send (RFC 8201 section 6).
        udp.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, _PMTUDISC_PROBE)
    else:
        udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, interface_index)
        udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, ttl)
        udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_LOOP, 1)
        with suppress(OSError):
            udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, _LOWER_EFFORT)
        udp.setsockopt(socket.IPPROTO_IPV6, _IPV6_MTU_DISCOVER, _PMTUDISC_PROBE)
        udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_DONTFRAG, 1)


def join(udp: socket.socket, group: IPv4Address | IPv6Address, interface_index: int) -> None:
    """Ask for the group on this interface, and take from no other interface or group."""
    if group.version == 4:
        with suppress(OSError):
            udp.setsockopt(socket.IPPROTO_IP, _IP_MULTICAST_ALL, 0)
        udp.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, _in_mreqn(group, interface_index))
    else:
        with suppress(OSError):
            udp.setsockopt(socket.IPPROTO_IPV6, _IPV6_MULTICAST_ALL, 0)
        udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, _ipv6_mreq(group, interface_index))


def leave(udp: socket.socket, group: IPv4Address | IPv6Address, interface_index: int) -> None:
    """Take back what ``join`` asked for; nothing happens where the interface took it back already."""
    with suppress(OSError):
        if group.version == 4:
            udp.setsockopt(socket.IPPROTO_IP, socket.IP_DROP_MEMBERSHIP, _in_mreqn(group, interface_index))
        else:
            udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_LEAVE_GROUP, _ipv6_mreq(group, interface_index))


def _in_mreqn(group: IPv4Address | IPv6Address, interface_index: int) -> bytes:
    return struct.pack("@4s4si", group.packed, bytes(4), interface_index)


def _ipv6_mreq(group: IPv4Address | IPv6Address, interface_index: int) -> bytes:
    return struct.pack("@16si", group.packed, interface_index)
