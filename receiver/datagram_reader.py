"""Reads what the group brings to one session: opens each batch into its blocks, and keeps the receiver in the group.

    group --datagrams--> socket --> seal --> session

It reads when datagrams have come, then waits a moment, so that one wake-up of the loop serves many batches. What is not
authentic is counted and dropped here; nothing is decoded.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Final, Self

from protocol.fields import decode_tsi
from protocol.link.interfaces import InterfaceInfo
from protocol.link.multicast import RECEIVE_BUFFER_BYTES, MulticastReceiver
from protocol.messages import Announcement
from protocol.seal import Seal
from protocol.wire import HEADER_LENGTH, TAG_LENGTH
from receiver.forgeries import ForgeryWatch
from receiver.membership import Membership
from receiver.session import ReceiverSession

MAX_BATCHES_PER_WAKE: Final = 64
"""[batches] 8 MiB: after so many the loop looks at timers and messages again, however fast datagrams come."""

LONGEST_WAKE: Final = 0.05
"""[s] After so long the loop looks at timers and messages again too: twice what so many batches take on a PC. One whose
processor was slow and shared took 8 s for them, and its broadcaster held it for lost."""

COALESCE_SECONDS: Final = 0.02
"""[s] After reading, so long nothing is read, so that one wake-up of the loop serves many batches. Measured: with 32
receivers at 100 Mbit/s on two cores a cast takes 1.6 times as long as with one; with 0.003 s it was 3.0 times."""

SHORT_COALESCE_SECONDS: Final = 0.003
"""[s] The same when datagrams come fast; at 1 Gbit/s still six times fewer wake-ups than without."""

FAST_FILL: Final = 1 / 16
"""Share of the receive buffer that one wake-up found, from which on they come fast: 800 Mbit/s at 32 MiB."""

CAUGHT_UP_FILL: Final = 0.03
"""Share of the receive buffer, 1 MiB of 32: less than the blocks that must follow before one has gone by, so nothing of
what is asked for can wait there."""

_logger = logging.getLogger(__name__)


def open_group(announcement: Announcement, interface: InterfaceInfo) -> MulticastReceiver:
    """The socket in the group of a session, where the kernel drops what cannot be the session's.

    Raises:
        TransportError: the interface cannot take part in the group.
    """
    socket = MulticastReceiver(
        interface,
        announcement.group,
        announcement.port,
        tsi=decode_tsi(announcement.tsi),
        datagram_length=HEADER_LENGTH + announcement.oti.encoding_symbol_length + TAG_LENGTH,
        source=announcement.source,
    )
    if socket.is_buffer_capped:
        _logger.warning(
            "the kernel allows a receive buffer of %d bytes only, so datagrams may be lost at high rates: "
            "run as root, or 'sysctl -w net.core.rmem_max=%d'",
            socket.receive_buffer_bytes,
            RECEIVE_BUFFER_BYTES,
        )
    if interface.is_wireless:
        _logger.warning("%s is a Wi-Fi interface: multicast is slow and lossy there; use a cable", interface.name)
    return socket


class DatagramReader:
    """Reads the group's socket, in the event loop while the context is open; the socket stays the caller's to close."""

    def __init__(
        self, socket: MulticastReceiver, session: ReceiverSession, seal: Seal, on_arrival: Callable[[], object]
    ) -> None:
        """``on_arrival`` is told after each reading, whether or not anything came."""
        self._socket = socket
        self._session = session
        self._seal = seal
        self._on_arrival = on_arrival
        self._membership = Membership(socket, time.monotonic())
        self._forgeries = ForgeryWatch(time.monotonic())
        self._is_open = False

    def __enter__(self) -> Self:
        """Begin to read."""
        self._is_open = True
        self._resume()
        return self

    def __exit__(self, *_: object) -> None:
        """Read no more."""
        self._is_open = False
        asyncio.get_running_loop().remove_reader(self._socket.fileno())

    def catch_up(self) -> bool:
        """Read at once; whether nothing of what is asked for now can wait to be read."""
        return self._read() or self._socket.fill_ratio <= CAUGHT_UP_FILL

    def keep(self, now: float) -> None:
        """Stay in the group, or out of it, as the session wants; count what the kernel dropped, warn of forgeries."""
        self._membership.keep(now, must_leave=self._session.last_status.must_leave_group)
        counters = self._session.counters
        counters.buffer_drops = self._socket.drop_count
        if (warning := self._forgeries.warning(counters.datagrams_rejected, now)) is not None:
            _logger.warning("%s", warning)

    def _read(self) -> bool:
        """Open what has arrived, but not for too long; whether nothing is left."""
        counters = self._session.counters
        fill_ratio = self._socket.fill_ratio
        counters.buffer_fill_ratio = max(counters.buffer_fill_ratio, fill_ratio)
        began = time.monotonic()
        for _ in range(MAX_BATCHES_PER_WAKE):
            received = self._socket.receive()
            if received is None:
                self._pause(SHORT_COALESCE_SECONDS if fill_ratio >= FAST_FILL else COALESCE_SECONDS)
                break
            batch, datagram_length = received
            counts = self._seal.open_batch(batch, datagram_length, self._session.find_block)
            counters.datagrams_rejected += counts.rejected
            now = time.monotonic()
            self._membership.received(now)
            own_bytes = len(batch) - (counts.rejected + counts.foreign) * datagram_length
            self._session.batch_opened(max(0, own_bytes), now)
            if now - began >= LONGEST_WAKE:
                break
        self._on_arrival()
        return received is None

    def _pause(self, seconds: float) -> None:
        """A small receive buffer is read at once instead."""
        if not self._socket.is_buffer_capped:
            loop = asyncio.get_running_loop()
            loop.remove_reader(self._socket.fileno())
            loop.call_later(seconds, self._resume)

    def _resume(self) -> None:
        if self._is_open:
            asyncio.get_running_loop().add_reader(self._socket.fileno(), self._read)
