"""Brings what a session decides to the wire: to the encoder threads, and sealed, in order, to the transmitter thread.

At most LOOKAHEAD transmissions are between a decision and the wire, so that repair and rate follow the room closely.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from typing import Final

from broadcaster.encoder import BlockEncoder, SealedSymbols
from broadcaster.host_rate import HostRate
from broadcaster.session import SenderSession
from broadcaster.transmission import Transmission
from broadcaster.transmitter import Transmitter
from protocol.errors import SlatecastError
from protocol.link.multicast import MulticastSender
from protocol.wire import INTERLEAVED_BLOCKS

LOOKAHEAD: Final = INTERLEAVED_BLOCKS + 4
"""[transmissions] Those that leave side by side, and 1 MiB of raw blocks that hides the library's reads."""

IDLE_POLL: Final = 0.02
"""[s] How soon a decision that only time can bring (the start, the end) is noticed."""

_logger = logging.getLogger(__name__)

_Ready = asyncio.Queue[tuple[Transmission, asyncio.Future[SealedSymbols]]]


class Dispatch:
    """Of one session, from ``start`` to ``stop``; decisions are taken while ``run`` runs."""

    def __init__(
        self,
        session: SenderSession,
        encoder: BlockEncoder,
        executor: Executor,
        sender: MulticastSender,
        *,
        host_cap: HostRate | None,
        wait: Callable[[float], Awaitable[None]],
        on_damaged: Callable[[int, int, SlatecastError], object],
        on_failure: Callable[[Exception], object],
    ) -> None:
        """Make it in the event loop, which alone calls back.

        Args:
            session: what leaves next, and told what has left.
            encoder: reads and seals, in the threads of ``executor``.
            executor: where blocks are encoded.
            sender: to the group.
            host_cap: what all sessions of this host share, if there is such a thing.
            wait: until something has happened, but not longer than so many seconds.
            on_damaged: told toi, sbn and error of a block that cannot be sent.
            on_failure: told of an error after which nothing can be sent any more.
        """
        loop = asyncio.get_running_loop()
        self._session = session
        self._encoder = encoder
        self._executor = executor
        self._wait = wait
        self._on_damaged = on_damaged
        self._slots = asyncio.Semaphore(LOOKAHEAD)
        self._transmitter = Transmitter(
            sender,
            session.rate.rate_bits_per_second,
            on_sent=lambda transmission: loop.call_soon_threadsafe(self._has_left, transmission),
            on_failure=lambda error: loop.call_soon_threadsafe(on_failure, error),
            host_cap=host_cap,
        )

    def start(self) -> None:
        """Start the transmitter thread."""
        self._transmitter.start()

    def stop(self) -> None:
        """Stop it; what is under way does not leave."""
        self._transmitter.stop()

    @property
    def bytes_sent(self) -> int:
        """UDP payload bytes that have left to the group."""
        return self._transmitter.bytes_sent

    def follow_rate(self) -> None:
        """Send from now on as fast as the session says."""
        rate = self._session.rate
        if self._transmitter.rate_bits_per_second != rate.rate_bits_per_second:
            _logger.info("rate %d Mbit/s: %s", rate.rate_bits_per_second // 10**6, rate.reason)
            self._transmitter.rate_bits_per_second = rate.rate_bits_per_second

    async def run(self) -> None:
        """Send what the session decides, until cancelled."""
        ready: _Ready = asyncio.Queue()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._feed_transmitter(ready))
            loop = asyncio.get_running_loop()
            while True:
                await self._slots.acquire()
                transmission = await self._next_transmission()
                future = loop.run_in_executor(self._executor, self._encoder.encode, transmission)
                ready.put_nowait((transmission, future))

    async def _next_transmission(self) -> Transmission:
        while (transmission := self._session.next_transmission(time.monotonic())) is None:
            await self._wait(IDLE_POLL)
        return transmission

    async def _feed_transmitter(self, ready: _Ready) -> None:
        while True:
            transmission, future = await ready.get()
            try:
                self._transmitter.put(await future)
            except SlatecastError as error:
                self._on_damaged(transmission.toi, transmission.sbn, error)
                self._slots.release()

    def _has_left(self, transmission: Transmission) -> None:
        self._session.transmitted(transmission, time.monotonic())
        self._slots.release()
