"""Runs one sender session for real: library and encoder in threads, a transmitter thread, the MQTT link in the loop.

    session --transmission--> encoder threads --sealed symbols, in order--> transmitter thread --datagrams--> group
       ^------------------------- "has left" ----------------------------------'
       '<---- reports, repair requests ---- MQTT link ---- announcement, status ---->

The loop only moves decisions; at most LOOKAHEAD transmissions are between a decision and the wire, so that repair and
rate follow the room closely.
"""

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from broadcaster.announcement import build_announcement
from broadcaster.encoder import BlockEncoder, SealedSymbols
from broadcaster.library.library import Library
from broadcaster.rate import RateControl
from broadcaster.report import SessionReport, build_report
from broadcaster.session import SenderSession, StartPolicy, Transmission
from broadcaster.transmitter import Transmitter
from protocol.errors import SlatecastError, TransportError
from protocol.link.interfaces import InterfaceInfo
from protocol.link.message_stream import received_messages
from protocol.link.mqtt import MqttLink
from protocol.link.multicast import DATA_PORT, MulticastSender, group_for, listen_for_foreign
from protocol.manifest import Manifest
from protocol.messages import (
    ALL_RECEIVERS,
    Announcement,
    FecOti,
    SessionPhase,
    announcement_topic,
    encode_message,
    topic_of,
)
from protocol.seal import Seal

LOOKAHEAD: Final = 8
"""[transmissions] 2 MiB of raw blocks: 17 ms at 1 Gbit/s, enough to hide the library's reads, short for repair."""

ENCODER_THREADS: Final = 2
"""Reading, hashing and sealing release the interpreter lock; one thread waits for the disk while one computes."""

IDLE_POLL: Final = 0.02
"""[s] How soon a decision that only time can bring (the start, the end) is noticed."""

TAKEN_GROUP_LISTEN: Final = 0.2
"""[s] A running session sends at least a hundred datagrams in this time at the lowest rate."""

MAX_GROUP_TRIES: Final = 8

FAREWELL_SECONDS: Final = 2.0
"""[s] How long the last words (session ended, announcement withdrawn) may take to reach the broker."""

INTERRUPTED: Final = "interrupted by the operator"
"""End reason of a session whose ``run`` was cancelled."""

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CastConfig:
    """What one cast is to do."""

    interface: InterfaceInfo
    policy: StartPolicy
    rate_bits_per_second: int
    """link bits, Ethernet headers included; never exceeded"""
    start_rate_bits_per_second: int
    """where the rate begins, if that is lower; it rises while the room keeps up"""
    use_ipv6: bool


class Broadcast:
    """One cast of one image; ``session`` may be watched while ``run`` runs."""

    def __init__(self, library: Library, manifest: Manifest, config: CastConfig, link: MqttLink) -> None:
        self._config = config
        self._link = link
        self._tsi = secrets.randbits(64)
        oti = FecOti()
        self._group = _free_group(self._tsi, config)
        session_secret = secrets.token_bytes(32)
        self._encoder = BlockEncoder(
            manifest,
            lambda sbn: library.read_stored(manifest, sbn),
            Seal(session_secret, manifest.digest, self._tsi, oti.encoding_symbol_length),
            oti.encoding_symbol_length,
        )
        announcement = build_announcement(
            manifest,
            tsi=self._tsi,
            session_secret=session_secret,
            group=self._group,
            port=DATA_PORT,
            oti=oti,
        )
        now = time.monotonic()
        self.session = SenderSession(
            announcement,
            manifest_object=self._encoder.manifest_object(),
            disk_object=self._encoder.disk_object(),
            policy=config.policy,
            rate=RateControl(config.rate_bits_per_second, now, start_bits_per_second=config.start_rate_bits_per_second),
            now=now,
        )
        self._transmitter: Transmitter | None = None
        self._failure: Exception | None = None
        self._slots = asyncio.Semaphore(LOOKAHEAD)
        self._wake = asyncio.Event()

    async def run(self) -> SessionReport:
        """Cast until every seat is settled, and say what became of them.

        Raises:
            TransportError: the group cannot be sent to.
            IntegrityError: a block in the library is damaged; it was not sent.
            LibraryError: the library cannot be read.
        """
        await self._link.subscribe(ALL_RECEIVERS)
        async with self._sending(), asyncio.TaskGroup() as tasks:
            helpers = [tasks.create_task(self._listen()), tasks.create_task(self._transmit())]
            await self._speak_until_ended()
            for helper in helpers:
                helper.cancel()
        if self._failure is not None:
            raise self._failure
        return self.report()

    def abort(self, reason: str) -> None:
        """End the session at once; ``run`` then returns the report."""
        self.session.abort(reason, time.monotonic())
        self._wake.set()

    def report(self) -> SessionReport:
        """The report as it stands."""
        return build_report(
            self.session,
            bytes_on_wire=self.bytes_sent,
            expected_seats=self._config.policy.expected_seats,
            now=time.monotonic(),
        )

    @staticmethod
    def now() -> float:
        """The time that the session lives by, monotonic seconds."""
        return time.monotonic()

    @property
    def bytes_sent(self) -> int:
        """UDP payload bytes that have left."""
        return 0 if self._transmitter is None else self._transmitter.bytes_sent

    @contextlib.asynccontextmanager
    async def _sending(self) -> AsyncIterator[None]:
        loop = asyncio.get_running_loop()
        config = self._config
        with (
            MulticastSender(config.interface, self._group, DATA_PORT) as sender,
            ThreadPoolExecutor(ENCODER_THREADS, thread_name_prefix="encoder") as self._encoder_pool,
        ):
            self._transmitter = Transmitter(
                sender,
                self.session.rate.rate_bits_per_second,
                on_sent=lambda transmission: loop.call_soon_threadsafe(self._has_left, transmission),
                on_failure=lambda error: loop.call_soon_threadsafe(self._fail, error),
            )
            self._transmitter.start()
            try:
                yield
            finally:
                self._transmitter.stop()

    async def _transmit(self) -> None:
        """Hand decisions to the encoder threads and their results, in order, to the transmitter."""
        ready: asyncio.Queue[asyncio.Future[SealedSymbols]] = asyncio.Queue()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._feed_transmitter(ready))
            loop = asyncio.get_running_loop()
            while True:
                await self._slots.acquire()
                transmission = await self._next_transmission()
                ready.put_nowait(loop.run_in_executor(self._encoder_pool, self._encoder.encode, transmission))

    async def _next_transmission(self) -> Transmission:
        while (transmission := self.session.next_transmission(time.monotonic())) is None:
            await self._woken(IDLE_POLL)
        return transmission

    async def _feed_transmitter(self, ready: asyncio.Queue[asyncio.Future[SealedSymbols]]) -> None:
        assert self._transmitter is not None
        while True:
            future = await ready.get()
            try:
                symbols = await future
            except SlatecastError as error:
                self._fail(error)
                return
            self._transmitter.put(symbols)

    def _has_left(self, transmission: Transmission) -> None:
        self.session.transmitted(transmission, time.monotonic())
        self._slots.release()

    async def _listen(self) -> None:
        async for message in received_messages(self._link):
            self.session.receive_message(message, time.monotonic())
            self._follow_rate()
            self._wake.set()

    def _follow_rate(self) -> None:
        rate = self.session.rate
        if self._transmitter is not None and self._transmitter.rate_bits_per_second != rate.rate_bits_per_second:
            _logger.info("rate %d Mbit/s: %s", rate.rate_bits_per_second // 10**6, rate.reason)
            self._transmitter.rate_bits_per_second = rate.rate_bits_per_second

    async def _speak_until_ended(self) -> None:
        try:
            while True:
                self._speak()
                if self.session.phase is SessionPhase.ENDED:
                    return
                await self._woken(max(0.0, self.session.next_timeout() - time.monotonic()))
        finally:
            self.session.abort(INTERRUPTED, time.monotonic())
            self._speak()
            self._link.publish(announcement_topic(self.session.announcement.tsi), b"", retain=True)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(FAREWELL_SECONDS):
                    await self._link.flush()

    def _speak(self) -> None:
        while (message := self.session.next_message(time.monotonic())) is not None:
            self._link.publish(topic_of(message), encode_message(message), retain=isinstance(message, Announcement))

    async def _woken(self, seconds: float) -> None:
        """Wait until something has happened, but not longer; what happened before the caller looked is not lost,
        since nothing else runs between its look and the clearing here.
        """
        self._wake.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake.wait()

    def _fail(self, error: Exception) -> None:
        self._failure = self._failure or error
        self.abort(str(error))


def _free_group(tsi: int, config: CastConfig) -> str:
    """A group address that nobody is heard to send to."""
    for attempt in range(MAX_GROUP_TRIES):
        group = group_for(tsi + attempt, ipv6=config.use_ipv6)
        if not listen_for_foreign(config.interface, group, DATA_PORT, TAKEN_GROUP_LISTEN):
            return group
        _logger.warning("group %s is taken by another session, trying the next", group)
    raise TransportError(f"all of {MAX_GROUP_TRIES} group addresses are taken; wait for the other sessions to end")
