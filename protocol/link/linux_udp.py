"""What Linux offers a UDP socket and Python's ``socket`` does not name: batches, a filter, bounds, counts.

Every option here may be missing (an older kernel, a container, a missing capability); a function then says so by what
it returns, and the caller does the plain thing (the habit of quinn-udp). Nothing here knows sessions or groups' owners.
Numbers are those of the kernel's uapi headers linux/udp.h, linux/in.h, linux/in6.h and asm-generic/socket.h.
"""

import ctypes
import socket
import struct
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address
from typing import Final

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


def drop_count(udp: socket.socket) -> int:
    """What the kernel threw away at this socket since it was opened; 0 where it does not tell (before Linux 4.12).

    Read when asked for; SO_RXQ_OVFL would tell the same number, but with every datagram and only as old as that one.
    """
    return _memory_info(udp)[_MEMINFO_DROPS]


def receive_fill_ratio(udp: socket.socket) -> float:
    """Share of the receive buffer that waits to be read, with the kernel's bookkeeping; 0 where it does not tell."""
    info = _memory_info(udp)
    return min(1.0, info[_MEMINFO_RECEIVE_USED] / max(1, info[_MEMINFO_RECEIVE_LIMIT]))


def _memory_info(udp: socket.socket) -> tuple[int, ...]:
    try:
        answer = udp.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMINFO.size)
    except OSError:
        answer = b""
    return _MEMINFO.unpack(answer) if len(answer) == _MEMINFO.size else (0,) * 9


def attach_session_filter(udp: socket.socket, tsi: int) -> bool:
    """Let the kernel drop, before it queues or wakes anybody, what does not begin as our datagrams of this session.

    The filter sees the UDP header first. Of a batch that GRO joined it sees the first datagram only: the kernel joins
    what comes from one address and port. So it spares work, and is no protection; the seal is.
    """
    load_word, load_half, load_byte, jump_if_equal, give_back = 0x20, 0x28, 0x30, 0x15, 0x06  # linux/bpf_common.h
    payload = 8
    checks = [
        (load_half, payload, MAGIC),
        (load_byte, payload + 2, PROTOCOL_VERSION),
        (load_word, payload + 4, tsi >> 32),
        (load_word, payload + 8, tsi & 0xFFFF_FFFF),
    ]
    program = bytearray()
    for index, (load, offset, value) in enumerate(checks):
        to_refusal = 2 * (len(checks) - index) - 1
        program += _INSTRUCTION.pack(load, 0, 0, offset) + _INSTRUCTION.pack(jump_if_equal, 0, to_refusal, value)
    program += _INSTRUCTION.pack(give_back, 0, 0, 0xFFFF_FFFF) + _INSTRUCTION.pack(give_back, 0, 0, 0)
    memory = (ctypes.c_char * len(program)).from_buffer(program)
    descriptor = struct.pack("@HP", len(program) // _INSTRUCTION.size, ctypes.addressof(memory))
    try:
        udp.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, descriptor)
    except OSError:
        return False
    return True


_INSTRUCTION: Final = struct.Struct("=HBBI")


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
