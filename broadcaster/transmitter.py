"""The thread that paces sealed symbols onto the group; nothing else of the broadcaster can delay a datagram.

A batch is at most what one system call carries and at most BATCH_SECONDS of the current rate, so that neither the first
switch nor a receive buffer sees long bursts at low rates. Transmissions are begun in the order they were put in, leave
side by side (``interleaving``), and therefore end in another order. It never waits for more of them while it has one.
"""

import queue
import threading
import time
from collections.abc import Callable
from typing import Final

from broadcaster.encoder import SealedSymbols
from broadcaster.host_rate import HostRate
from broadcaster.interleaving import Batch, Interleaver
from broadcaster.pacing import Pacer
from broadcaster.transmission import Transmission
from protocol.link.multicast import MulticastSender

BATCH_SECONDS: Final = 0.001
"""[s] DESIGN: a batch holds at most about 1 ms of the current rate."""


class Transmitter:
    """Sends what is put in, at a rate that may change at any time."""

    def __init__(
        self,
        sender: MulticastSender,
        rate_bits_per_second: int,
        on_sent: Callable[[Transmission], object],
        on_failure: Callable[[Exception], object],
        *,
        host_cap: HostRate | None = None,
    ) -> None:
        """Both callbacks are called in the thread of the transmitter; after ``on_failure`` nothing is sent any more.

        ``host_cap`` bounds what all casts of this host send together; it is not closed here.
        """
        self._sender = sender
        self._on_sent = on_sent
        self._on_failure = on_failure
        self.rate_bits_per_second = rate_bits_per_second
        """may be set at any time, and holds from the next batch on; link bytes count, Ethernet headers included"""
        self._pacer = Pacer(rate_bits_per_second, time.monotonic())
        self._host_cap = host_cap
        self._interleaver = Interleaver()
        self._queue: queue.SimpleQueue[SealedSymbols | None] = queue.SimpleQueue()
        self._datagram_length = 0
        self._is_stopping = False
        self._thread = threading.Thread(target=self._run, name="transmitter", daemon=True)
        self.bytes_sent = 0
        """UDP payload bytes"""

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def put(self, symbols: SealedSymbols) -> None:
        """Send these datagrams when their turn comes."""
        self._queue.put(symbols)

    def stop(self) -> None:
        """Drop what has not left and end the thread."""
        self._is_stopping = True
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        try:
            while self._fill():
                rate = self.rate_bits_per_second
                batch = self._interleaver.next_batch(int(rate * BATCH_SECONDS / 8 / self._datagram_length))
                if batch is None or not self._send(batch, rate):
                    return
                for transmission in batch.finished:
                    self._on_sent(transmission)
        except Exception as error:
            self._on_failure(error)

    def _fill(self) -> bool:
        """Begin what the queue holds, waiting only if nothing is under way; False when told to stop."""
        while not self._is_stopping and self._interleaver.has_room:
            try:
                symbols = self._queue.get(block=not self._interleaver)
            except queue.Empty:
                break
            if symbols is None:
                return False
            self._datagram_length = symbols.datagram_length
            self._interleaver.put(symbols)
        return not self._is_stopping

    def _send(self, batch: Batch, rate: int) -> bool:
        """Whether it has left before ``stop``."""
        length_on_link = batch.byte_count + batch.datagram_count * self._sender.overhead
        self._pacer.set_rate(rate)
        _sleep(self._pacer.wait_time(time.monotonic()))
        if self._host_cap is not None and not self._is_stopping:
            _sleep(self._host_cap.reserve(length_on_link))
        if self._is_stopping:
            return False
        self._sender.send_batch(batch.parts, batch.datagram_length)
        self._pacer.spend(length_on_link, time.monotonic())
        self.bytes_sent += batch.byte_count
        return True


def _sleep(seconds: float) -> None:
    if seconds > 0:  # sleeping for nothing costs 50 us
        time.sleep(seconds)
