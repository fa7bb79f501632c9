"""The multicast socket of a session: batches out at the broadcaster, batches in at the receiver.

Where the kernel can, one system call carries up to 44 datagrams (UDP_SEGMENT, UDP_GRO); where it cannot, each goes
alone, with the same bytes on the wire. Nothing is fragmented, nothing leaves the local network (TTL 1), and a receiver
hears its own group on its own interface only. A datagram that the kernel has no room for is lost like one that the
network lost: repair mends it. Nothing here looks behind a header, and only TransportError comes from the network.
"""

import errno
import select
import socket
import time
from collections import deque
from collections.abc import Iterator, Sequence
from ipaddress import IPv4Network, IPv6Address, ip_address
from typing import Final

from protocol.digests import Buffer
from protocol.errors import SessionStateError, WireError
from protocol.link import linux_udp, message_vector
from protocol.link.group_socket import GroupSocket
from protocol.link.interfaces import InterfaceInfo
from protocol.link.message_vector import MessageVector
from protocol.wire import decode_header

DATA_PORT: Final = 27_183
"""Chosen: below Linux's ephemeral ports (32768), unassigned by IANA, not used by other imaging tools."""

MAX_BATCH_DATAGRAMS: Final = 44
"""44 * 1,450 = 63,800 bytes: one datagram short of what a UDP payload takes, as measured (DESIGN.md section 7)."""

RECEIVE_BUFFER_BYTES: Final = 32 << 20
"""[bytes] A quarter of a second at 1 Gbit/s, in which the receiver may be busy with the disk (DESIGN.md section 7)."""

SINGLES_IN_A_ROW: Final = 256
"""[datagrams] One by one: then the kernel joins none on this path, and one call for many of them costs less."""

VECTOR_BYTES: Final = 256 << 20
"""[bytes] After so much it is tried again whether the kernel joins batches: 0.2 % of the datagrams."""

FULL: Final = 0.5
"""Share of the receive buffer. With less waiting before and after it, nothing was dropped for want of room: a batch of
64 kB takes a third of the smallest buffer that a kernel gives by default."""

FOREIGN_IN_A_ROW: Final = 64
"""[batches] of others that one call reads past, where the kernel filters no sources: then others get their turn."""

_BATCH_BUFFER_BYTES: Final = 1 << 16
"""[bytes] No UDP payload and no batch of GRO is larger."""

_IPV4_SCOPE: Final = IPv4Network("239.192.0.0/14")
"""Organization-local scope (RFC 2365 section 6.2): no router of a site leads it outside, and no MAC address of it
equals one of 224.0.0.x, which switches flood."""

_IPV6_SCOPE: Final = int(IPv6Address("ff15::8000:0"))
"""Site-local scope, not permanently assigned; the upper bit of the group ID marks it dynamic (RFC 3307 section 4.3)."""

_UDP_HEADER: Final = 8
_ETHERNET_HEADER: Final = 14
_IP_HEADER: Final = {4: 20, 6: 40}


def group_for(tsi: int, *, ipv6: bool) -> str:
    """The group address of a session: the last 18 bits of its tsi in IPv4, 31 in IPv6; tsi + 1 has another one."""
    if ipv6:
        return str(IPv6Address(_IPV6_SCOPE | tsi & 0x7FFF_FFFF))
    return str(_IPV4_SCOPE[tsi % _IPV4_SCOPE.num_addresses])


def listen_for_foreign(interface: InterfaceInfo, group: str, port: int, seconds: float) -> bool:
    """Whether anybody casts to the group: waits until a slatecast datagram arrives, ``seconds`` at most.

    Raises:
        TransportError: as MulticastReceiver.
    """
    deadline = time.monotonic() + seconds
    with MulticastReceiver(interface, group, port) as receiver:
        while (left := deadline - time.monotonic()) > 0:
            select.select([receiver], [], [], left)
            received = receiver.receive()
            if received is not None and _is_slatecast(received[0][: received[1]]):
                return True
    return False


class MulticastSender(GroupSocket):
    """Sends the datagrams of one session to its group; blocks while the device is busy, so use a thread of its own."""

    def __init__(
        self, interface: InterfaceInfo, group: str, port: int, *, ttl: int = 1, use_segmentation: bool = True
    ) -> None:
        """Open the socket and find the route.

        Args:
            interface: where to send.
            group: multicast address, see ``group_for``.
            port: UDP port of the group.
            ttl: 1 keeps it in the local network, each more lets it through one router.
            use_segmentation: hand batches to the kernel where it takes them.

        Raises:
            TransportError: the group is none, or the interface has no address of its family or no route to it.
        """
        super().__init__(interface, group, port)
        self.refused_count = 0
        """Datagrams that this machine had no buffer for, and that therefore never left."""
        with self._set_up():
            linux_udp.send_through(self._socket, self._group, interface.index, ttl)
            # Connected, so that a missing route shows now and none is looked up per call. SO_SNDBUF stays small: a few
            # batches on their way, then we wait; with more, the queue of the device would drop them and not say so.
            self._socket.connect((str(self._group), port))
            self._is_segmenting = use_segmentation and linux_udp.can_segment(self._socket)

    @property
    def is_segmenting(self) -> bool:
        """Whether batches leave in one system call; becomes False when the device refuses the first."""
        return self._is_segmenting

    @property
    def source(self) -> str:
        """The address that the datagrams leave from, without a zone."""
        address: str = self._socket.getsockname()[0]
        return address.partition("%")[0]

    @property
    def overhead(self) -> int:
        """[bytes] What each datagram is longer on the link: its UDP, IP and Ethernet headers."""
        return _UDP_HEADER + _IP_HEADER[self._group.version] + _ETHERNET_HEADER

    def send_batch(self, buffers: Sequence[Buffer], datagram_length: int) -> None:
        """Send the datagrams in the buffers, in order.

        Args:
            buffers: each holds datagrams one after the other, and only its last one may be shorter than the others.
            datagram_length: bytes of the others.

        Raises:
            TransportError: the interface is gone or down, the datagrams exceed its MTU, or a firewall stops them.
            SessionStateError: the datagram length is out of range.
        """
        if not 1 <= datagram_length <= linux_udp.MAX_BATCH_BYTES:
            raise SessionStateError(f"datagrams of {datagram_length} bytes")
        for batch in _batches(buffers, datagram_length):
            if self._is_segmenting:
                self._send(batch, linux_udp.segment_ancillary(datagram_length), datagram_length)
            if not self._is_segmenting:  # also when the device has just refused
                for part in batch:
                    for start in range(0, len(part), datagram_length):
                        self._send([part[start : start + datagram_length]], [], datagram_length)

    def _send(self, parts: list[memoryview], ancillary: linux_udp.Ancillary, datagram_length: int) -> None:
        try:
            self._socket.sendmsg(parts, ancillary)
        except OSError as error:
            if error.errno in _NO_ROOM:
                self.refused_count += sum(-(-len(part) // datagram_length) for part in parts)
            elif ancillary and error.errno in _NO_SEGMENTATION:
                self._is_segmenting = False
            else:
                raise self._in_words(error) from error


def _batches(buffers: Sequence[Buffer], datagram_length: int) -> Iterator[list[memoryview]]:
    """Parts of the buffers, as many as one call may carry; only the last datagram of a batch is short."""
    limit = min(MAX_BATCH_DATAGRAMS, linux_udp.MAX_BATCH_BYTES // datagram_length) * datagram_length
    batch: list[memoryview] = []
    room = limit
    for buffer in buffers:
        view = memoryview(buffer)
        while view:
            part, view = view[:room], view[room:]
            batch.append(part)
            room -= len(part)
            if room == 0 or len(part) % datagram_length:
                yield batch
                batch, room = [], limit
    if batch:
        yield batch


class MulticastReceiver(GroupSocket):
    """Receives the datagrams of one group, without ever blocking; several on one machine each get all of them."""

    def __init__(
        self,
        interface: InterfaceInfo,
        group: str,
        port: int,
        *,
        tsi: int | None = None,
        receive_buffer_bytes: int = RECEIVE_BUFFER_BYTES,
        use_gro: bool = True,
        datagram_length: int | None = None,
        source: str = "",
    ) -> None:
        """Open the socket and join the group.

        Args:
            interface: where to listen; the group is not taken from others.
            group: multicast address, see ``group_for``.
            port: UDP port of the group.
            tsi: let the kernel drop what does not belong to this session; None lets everything through.
            receive_buffer_bytes: what to ask the kernel for.
            use_gro: take batches where the kernel joins them.
            datagram_length: bytes of the session's datagrams, if many single ones may be read by one call; longer ones
                are then cut.
            source: take datagrams from this address only, of the group's family; any where it is empty. The kernel
                drops the others by the address in them, so that no switch need know of sources (IGMPv3, MLDv2). An
                address can be forged: the seal is what protects, this spares the work.

        Raises:
            TransportError: the group is none, the source is no address of its family, the interface has none, or the
                port is in use.
        """
        super().__init__(interface, group, port)
        self._buffer = memoryview(bytearray(2 * _BATCH_BUFFER_BYTES))
        self._held: deque[tuple[memoryview, int]] = deque()
        self._datagram_length = datagram_length
        self._vector: MessageVector | None = None
        self._singles = 0
        self._left_to_vector = 0
        self._last_fill_ratio = 0.0
        self._thrown_away = self._found_no_room = 0
        with self._set_up():
            self._socket.setblocking(False)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.receive_buffer_bytes = linux_udp.set_receive_buffer(self._socket, receive_buffer_bytes)
            """[bytes] What the kernel gave."""
            self.is_buffer_capped = self.receive_buffer_bytes < receive_buffer_bytes
            """Less than asked for: without the right to force it, net.core.rmem_max bounds it."""
            self.is_batching = use_gro and linux_udp.enable_gro(self._socket)
            """Whether one call may return more than one datagram."""
            address = self._source_address(source) if source else None
            is_choosy = tsi is not None or address is not None
            self.is_filtering = is_choosy and linux_udp.attach_session_filter(self._socket, tsi, address)
            """Whether the kernel drops what is not of the session, or not from the source."""
            self._compared_source = None if self.is_filtering else address
            self._socket.bind((str(self._group), port))  # to the group: what comes to the port otherwise is not for us
            linux_udp.join(self._socket, self._group, interface.index)
            self.is_member = True
            """Whether the group is joined."""

    @property
    def drop_count(self) -> int:
        """What the kernel dropped so far because the receive buffer was full.

        A batch that GRO had joined counts once, so this tells that datagrams were lost here, not how many.
        """
        self._look()
        return self._found_no_room

    @property
    def refused_count(self) -> int:
        """What the filter refused so far, batches and datagrams."""
        self._look()
        return self._thrown_away - self._found_no_room

    @property
    def fill_ratio(self) -> float:
        """Share of the receive buffer that waits to be read, 0 to 1; near 1 the kernel begins to drop."""
        self._look()
        return self._last_fill_ratio

    def _look(self) -> None:
        """Tell what found no room from what was refused: the kernel counts them as one.

        Only reading empties the buffer. If it was far from full when it was last looked at and is so now, it cannot
        have been full in between, as long as it is looked at before each time that it is read.
        """
        fill_ratio, thrown_away = linux_udp.receive_state(self._socket)
        if max(fill_ratio, self._last_fill_ratio) >= FULL:
            self._found_no_room += thrown_away - self._thrown_away
        self._thrown_away, self._last_fill_ratio = thrown_away, fill_ratio

    @property
    def is_reading_many(self) -> bool:
        """Whether many single datagrams are read by one call, since the kernel joins none."""
        return self._vector is not None

    def receive(self) -> tuple[memoryview, int] | None:
        """What has arrived: datagrams one after the other, and the bytes of each but the last; None if nothing has.

        Datagrams that the kernel hands over one by one are put together here, so that what follows is done once for
        many of them. The memory is overwritten by the next call.

        Raises:
            TransportError: the socket failed, as when the interface was removed.
        """
        if not self._held:
            self._receive_parts() if self._vector is None else self._receive_vector(self._vector)
        return self._held.popleft() if self._held else None

    def _receive_parts(self) -> None:
        """Read until nothing has come, the memory is full, or the datagrams are of another length."""
        total = datagram_length = 0
        while total <= len(self._buffer) - _BATCH_BUFFER_BYTES:
            part = self._receive_part(total)
            if part is None:
                break
            length, part_length = part
            self._singles = self._singles + 1 if length <= part_length else 0
            if total and part_length != datagram_length and length >= datagram_length:
                self._held.append((self._buffer[:total], datagram_length))
                self._held.append((self._buffer[total : total + length], part_length))
                return
            datagram_length = datagram_length or part_length
            total += length
            if not length or total % datagram_length:
                break
        if datagram_length:
            self._held.append((self._buffer[:total], datagram_length))
        may_read_many = self._compared_source is None and message_vector.is_available()  # which tells no sources
        if self._singles >= SINGLES_IN_A_ROW and self._datagram_length is not None and may_read_many:
            linux_udp.disable_gro(self._socket)
            self._vector = MessageVector(self._datagram_length)
            self._left_to_vector = VECTOR_BYTES

    def _receive_vector(self, vector: MessageVector) -> None:
        """Read by one call; now and then look again whether the kernel joins batches after all."""
        try:
            runs = vector.receive(self._socket)
        except OSError as error:
            raise self._in_words(error) from error
        assert self._datagram_length is not None
        self._held.extend((run, self._datagram_length) for run in runs)
        self._left_to_vector -= sum(map(len, runs))
        if self._left_to_vector <= 0 and self.is_batching:
            linux_udp.enable_gro(self._socket)
            self._vector, self._singles = None, 0

    def _receive_part(self, offset: int) -> tuple[int, int] | None:
        """Read once: the bytes that came, and the bytes of each datagram but the last; None if nothing has come."""
        for _ in range(FOREIGN_IN_A_ROW):
            try:
                length, ancillary, _flags, sender = self._socket.recvmsg_into(
                    [self._buffer[offset:]], linux_udp.GRO_ANCILLARY_BYTES if self.is_batching else 0
                )
            except BlockingIOError:
                return None
            except OSError as error:
                raise self._in_words(error) from error
            if self._compared_source in (None, ip_address(sender[0].partition("%")[0])):
                return length, linux_udp.segment_length(ancillary) or max(1, length)
        return None

    def leave(self) -> None:
        """Leave the group, so that a switch that follows memberships spares this link; ``rejoin`` comes back."""
        if self.is_member:
            linux_udp.leave(self._socket, self._group, self._interface.index)
            self.is_member = False

    def rejoin(self) -> None:
        """Ask for the group again, which makes a switch that forgot us (a restart, no querier) send it again.

        Raises:
            TransportError: the interface is gone or down.
        """
        self.leave()
        try:
            linux_udp.join(self._socket, self._group, self._interface.index)
        except OSError as error:
            raise self._in_words(error) from error
        self.is_member = True


def _is_slatecast(datagram: memoryview) -> bool:
    try:
        decode_header(datagram)
    except WireError:
        return False
    return True


_NO_ROOM: Final = {errno.ENOBUFS, errno.EAGAIN, errno.ENOMEM}

_NO_SEGMENTATION: Final = {errno.EIO, errno.EINVAL, errno.EMSGSIZE, errno.EOPNOTSUPP, errno.ENOPROTOOPT}
"""EIO is a device without checksum offload; the others are kernels that bound batches otherwise. If the datagrams
themselves are at fault, the first one that goes alone says so."""
