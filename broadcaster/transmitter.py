"""The thread that paces sealed symbols onto the group; nothing else of the broadcaster can delay a datagram.

A batch is at most what one system call carries and at most BATCH_SECONDS of the current rate, so that neither the first
switch nor a receive buffer sees long bursts at low rates. Transmissions leave in the order they were put in.
"""

import queue
import threading
import time
from collections.abc import Callable
from typing import Final

from broadcaster.encoder import SealedSymbols
from broadcaster.pacing import Pacer
from broadcaster.session import Transmission
from protocol.link.multicast import MAX_BATCH_DATAGRAMS, MulticastSender

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
    ) -> None:
        """Both callbacks are called in the thread of the transmitter; after ``on_failure`` nothing is sent any more."""
        self._sender = sender
        self._on_sent = on_sent
        self._on_failure = on_failure
        self.rate_bits_per_second = rate_bits_per_second
        """may be set at any time, and holds from the next batch on; link bytes count, Ethernet headers included"""
        self._pacer = Pacer(rate_bits_per_second, time.monotonic())
        self._queue: queue.SimpleQueue[SealedSymbols | None] = queue.SimpleQueue()
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
            while not self._is_stopping and (symbols := self._queue.get()) is not None:
                if self._send(symbols):
                    self._on_sent(symbols.transmission)
        except Exception as error:
            self._on_failure(error)

    def _send(self, symbols: SealedSymbols) -> bool:
        """Whether all of it has left before ``stop``."""
        length = symbols.datagram_length
        offset = 0
        while offset < len(symbols.datagrams) and not self._is_stopping:
            rate = self.rate_bits_per_second
            self._pacer.set_rate(rate)
            fitting = int(rate * BATCH_SECONDS / 8 / length)
            batch = symbols.datagrams[offset : offset + length * max(1, min(MAX_BATCH_DATAGRAMS, fitting))]
            wait = self._pacer.wait_time(time.monotonic())
            if wait > 0:
                time.sleep(wait)
            self._sender.send_batch([batch], length)
            datagram_count = -(-len(batch) // length)
            self._pacer.spend(len(batch) + datagram_count * self._sender.overhead, time.monotonic())
            self.bytes_sent += len(batch)
            offset += len(batch)
        return offset >= len(symbols.datagrams)
