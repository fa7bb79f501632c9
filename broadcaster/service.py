"""Runs one sender session for real: library and encoder in threads, a transmitter thread, the MQTT link in the loop.

    session --transmission--> encoder threads --sealed symbols, in order--> transmitter thread --datagrams--> group
       ^------------------------- "has left" ----------------------------------'
       '<---- reports, repair requests ---- MQTT link ---- announcement, status ---->
    encoder threads --sealed symbols of one block--> catch-up lane --HTTP--> seats that would slow the others

The loop only moves decisions (``dispatch``). What a restart needs to go on is kept on disk (``cast_record``).
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Self

from broadcaster.announcement import build_announcement
from broadcaster.budget import MessageBudget
from broadcaster.cast_config import CastConfig
from broadcaster.cast_record import CastRecord
from broadcaster.catch_up import CatchUpLane
from broadcaster.control import RoomControl
from broadcaster.credentials import CastCredentials
from broadcaster.dispatch import Dispatch
from broadcaster.encoder import BlockEncoder
from broadcaster.host_rate import HostRate
from broadcaster.library.library import Library
from broadcaster.rate import RateControl
from broadcaster.report import SessionReport, build_report
from broadcaster.saved_cast import SavedCast
from broadcaster.session import SenderSession
from broadcaster.transmission import TransferObject
from protocol.errors import SlatecastError, TransportError
from protocol.link.mqtt import BrokerAddress, MqttLink
from protocol.link.multicast import DATA_PORT, MulticastSender
from protocol.manifest import Manifest
from protocol.messages import (
    FecOti,
    Presence,
    ReceiverReport,
    SessionPhase,
    SignedCertificate,
)
from protocol.seal import Seal
from protocol.wire import TOI_DISK

ENCODER_THREADS: Final = 2
"""Reading, hashing and sealing release the interpreter lock; one thread waits for the disk while one computes."""

CATCH_UP_AIRTIME_RATIO: Final = 0.08
"""Of the room's rate, for the catch-up lane during the first pass: what a cast by default leaves free of its link."""

INTERRUPTED: Final = "interrupted by the operator"
"""End reason of a session whose ``run`` was cancelled."""

_logger = logging.getLogger(__name__)


class Broadcast:
    """One cast of one image; ``session`` may be watched while ``run`` runs.

    Enter ``link`` first, then the broadcast itself, then call ``run``.
    """

    session: SenderSession

    def __init__(
        self,
        library: Library,
        manifest: Manifest,
        config: CastConfig,
        *,
        record: CastRecord,
        broker: BrokerAddress,
        credentials: CastCredentials,
        on_order: Callable[[str, str], object] = lambda receiver_id, seat: None,
        is_held: bool = False,
        is_wanted: Callable[[Presence], bool] = lambda presence: True,
    ) -> None:
        """``on_order`` is told receiver id and seat of each ticket that lets a receiver write.

        With ``is_held`` a new session is only planned until ``release``; one that resumes is what it was before.
        ``is_wanted`` says of a presence whether the session is for that receiver (see ``RoomControl``).
        """
        self._control = RoomControl(broker, credentials, record.session_secret, on_order, is_wanted=is_wanted)
        self._is_held = record.is_held(is_held)
        self._is_suspended = False
        self._library = library
        self._manifest = manifest
        self._config = config
        self._record = record
        self._credentials = credentials
        self._dispatch: Dispatch | None = None
        self._lane: CatchUpLane | None = None
        self._failure: Exception | None = None
        self._wake = asyncio.Event()
        self._has_news = asyncio.Event()
        self._resources = contextlib.AsyncExitStack()

    def link(self, client_id: str) -> MqttLink:
        """The link to the broker, to be entered by the caller."""
        return self._control.link(client_id, self._control_lost, self._control_restored)

    @property
    def budget(self) -> MessageBudget:
        """What each receiver may say."""
        return self._control.budget

    async def __aenter__(self) -> Self:
        """Open group, catch-up lane and threads, and the session on top of them.

        Raises:
            TransportError: the group cannot be sent to, or all group addresses are taken.
            LibraryError: the manifest is too large to be announced.
        """
        async with contextlib.AsyncExitStack() as stack:
            await self._open(stack)
            self._resources = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._resources.aclose()

    async def _open(self, stack: contextlib.AsyncExitStack) -> None:
        config, record, oti = self._config, self._record, FecOti()
        await asyncio.to_thread(record.choose_group, config.interface, use_ipv6=config.use_ipv6)
        self._encoder = BlockEncoder(
            self._manifest,
            lambda sbn: self._library.read_stored(self._manifest, sbn),
            Seal(record.session_secret, self._manifest.digest, record.tsi, oti.encoding_symbol_length),
            oti.encoding_symbol_length,
        )
        objects = self._encoder.manifest_object(), self._encoder.disk_object()
        cap = None
        if config.max_rate_bits_per_second is not None:
            cap = stack.enter_context(HostRate(config.interface.name, config.max_rate_bits_per_second))
        self._encoder_pool = stack.enter_context(ThreadPoolExecutor(ENCODER_THREADS, thread_name_prefix="encoder"))
        self._lane = await self._opened_lane(stack, objects, cap)
        sender = stack.enter_context(MulticastSender(config.interface, record.group, DATA_PORT))
        announcement = await asyncio.to_thread(
            build_announcement,
            self._manifest,
            tsi=record.tsi,
            image_key=self._credentials.image_key,
            image_signature=self._credentials.image_signature,
            group=record.group,
            port=DATA_PORT,
            source=sender.source,
            oti=oti,
            catch_up_url=self._lane.url,
        )
        now = time.monotonic()
        self.session = SenderSession(
            announcement,
            manifest_object=objects[0],
            disk_object=objects[1],
            policy=config.policy,
            rate=RateControl(
                config.ceiling_bits_per_second, now, start_bits_per_second=config.start_rate_bits_per_second
            ),
            now=now,
            generation=record.generation,
            is_recorded=True,
            is_held=self._is_held,
            on_nonsense=self._control.strike,
        )
        record.restore(self.session, now)
        self._control.open(self.session, record.certificates, record.dismissed_machines)
        self._lane.is_paused = self.session.is_paused
        self._dispatch = Dispatch(
            self.session,
            self._encoder,
            self._encoder_pool,
            sender,
            host_cap=cap,
            wait=self._woken,
            on_damaged=self._cannot_send,
            on_failure=self._fail,
        )
        self._dispatch.start()
        stack.callback(self._dispatch.stop)

    async def _opened_lane(
        self, stack: contextlib.AsyncExitStack, objects: tuple[TransferObject, TransferObject], cap: HostRate | None
    ) -> CatchUpLane:
        """The lane on the port that the seats of a resumed cast know, unless somebody else has taken that."""
        for port in (self._record.catch_up_port, None):
            lane = CatchUpLane(
                self._config.interface,
                tsi=self._record.tsi_text,
                objects=objects,
                encode=self._encoder.encode,
                executor=self._encoder_pool,
                rate_bits_per_second=self._config.start_rate_bits_per_second,
                on_damaged=self._cannot_send,
                port=port or 0,
                use_ipv6=self._config.use_ipv6,
                cap=cap,
                symbol_digests=self._encoder.symbol_digests,
                tls=self._credentials.lane_tls,
            )
            try:
                return await stack.enter_async_context(lane)
            except TransportError:
                if port is None:
                    raise
        raise AssertionError("the last port was tried")

    async def run(self) -> SessionReport:
        """Cast until every seat is settled, and say what became of them.

        Raises:
            TransportError: the group cannot be sent to.
            IntegrityError: a block of the manifest is damaged; it was not sent.
            LibraryError: the library cannot be read.
        """
        await self._control.subscribe()
        async with self._record.kept(self._state, self._recorded, self._has_news), asyncio.TaskGroup() as tasks:
            assert self._dispatch is not None
            helpers = [tasks.create_task(self._listen()), tasks.create_task(self._dispatch.run())]
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

    def suspend(self) -> None:
        """End ``run`` without a farewell and keep the record, so that a later start resumes; ``run`` then returns the
        report as it stands. Receivers wait for as long as they do for a broadcaster that was killed.
        """
        self._is_suspended = True
        self._record.suspend()
        self._wake.set()

    def release(self, expected_seats: int | None = None) -> None:
        """Start a session that was only planned: every planned seat is ordered to write.

        It begins when ``expected_seats`` are ready, beside those that are settled already; None for the policy's.
        """
        if self.session.is_held:
            self.session.release(time.monotonic(), expected_seats)
            self._changed()
            self._control.give_tickets()

    def pause(self) -> None:
        """Send nothing, by multicast or by the catch-up lane, until ``resume``; no seat is judged meanwhile."""
        self.session.pause(time.monotonic())
        self._changed()

    def resume(self) -> None:
        """Go on."""
        self.session.resume(time.monotonic())
        self._changed()

    def dismiss(self, receiver_id: str) -> bool:
        """Stop one seat and go on without it, now and when its machine comes back; False where it is unknown or done.

        If writing has begun there, its disk stays marked as incomplete.
        """
        is_dismissed = self.session.dismiss(receiver_id, time.monotonic())
        if is_dismissed:
            self._control.dismiss(receiver_id)
            self._changed()
        return is_dismissed

    def move_to_catch_up(self, receiver_id: str) -> bool:
        """Let one seat fetch what it misses by unicast, for good; False where it is unknown or done, or has no lane."""
        has_moved = self.session.move_to_catch_up(receiver_id, time.monotonic())
        self._changed()
        return has_moved

    def _changed(self) -> None:
        """The operator has changed something: everybody hears it, and a restart finds it."""
        if self._lane is not None:
            self._lane.is_paused = self.session.is_paused
        self._has_news.set()
        self._wake.set()

    def report(self) -> SessionReport:
        """The report as it stands."""
        return build_report(
            self.session,
            bytes_on_wire=self.bytes_sent,
            catch_up_bytes=self.catch_up_bytes,
            earlier_seconds=self._record.earlier_seconds,
            expected_seats=self._config.policy.expected_seats,
            certificates=self._control.certificates,
            director=self._credentials.director,
            now=time.monotonic(),
        )

    @staticmethod
    def now() -> float:
        """The time that the session lives by, monotonic seconds."""
        return time.monotonic()

    @property
    def bytes_sent(self) -> int:
        """UDP payload bytes that have left to the group, in earlier runs of this session too."""
        return self._record.earlier_bytes + (0 if self._dispatch is None else self._dispatch.bytes_sent)

    @property
    def catch_up_bytes(self) -> int:
        """Bytes that the catch-up lane has served, in earlier runs too."""
        return self._record.earlier_catch_up_bytes + (0 if self._lane is None else self._lane.bytes_sent)

    # --- out -----------------------------------------------------------------------------------------------------

    def _cannot_send(self, toi: int, sbn: int, error: SlatecastError) -> None:
        """What has rotted in the library is never sent; without the manifest there is nothing to send at all."""
        _logger.error("not sent: %s", error)
        if toi == TOI_DISK:
            self.session.cannot_send(toi, sbn, str(error), time.monotonic())
        else:
            self._fail(error)

    def _follow_rate(self) -> None:
        assert self._dispatch is not None
        assert self._lane is not None
        self._dispatch.follow_rate()
        share = 1.0 if self.session.plan(TOI_DISK).is_over else CATCH_UP_AIRTIME_RATIO
        self._lane.rate_bits_per_second = max(1, int(self.session.rate.rate_bits_per_second * share))

    # --- in ------------------------------------------------------------------------------------------------------

    async def _listen(self) -> None:
        async for message in self._control.messages():
            self.session.receive_message(message, time.monotonic())
            is_final = isinstance(message, ReceiverReport) and message.state.is_final
            if is_final or isinstance(message, SignedCertificate):
                self._has_news.set()  # it is acknowledged when a restart would find it
            self._follow_rate()
            self._wake.set()

    def _control_lost(self) -> None:
        self.session.control_lost(time.monotonic())

    def _control_restored(self) -> None:
        self.session.control_restored(time.monotonic())
        self._wake.set()

    # --- time ----------------------------------------------------------------------------------------------------

    async def _speak_until_ended(self) -> None:
        try:
            while True:
                self._control.speak(self.session)
                if self.session.phase is SessionPhase.ENDED or self._is_suspended:
                    return
                await self._woken(max(0.0, self.session.next_timeout() - time.monotonic()))
        finally:
            if not self._is_suspended:
                self.session.abort(INTERRUPTED, time.monotonic())
                await self._control.farewell(self.session)

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

    def _recorded(self, state: SavedCast) -> None:
        self.session.recorded(state.reports, time.monotonic())
        self._wake.set()

    def _state(self) -> SavedCast:
        assert self._lane is not None
        return self._record.snapshot(
            self.session,
            interface=self._config.interface,
            broker=self._control.broker,
            lane=self._lane,
            expected_seats=self._config.policy.expected_seats,
            bytes_on_wire=self.bytes_sent,
            catch_up_bytes=self.catch_up_bytes,
            certificates=self._control.certificates.all(),
            dismissed_machines=self._control.dismissed_machines,
            now=time.monotonic(),
        )
