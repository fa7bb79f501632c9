"""One session under way with its socket, threads and disk; drives the session class as the simulator does.

    group --datagrams--> socket --> seal --> session --block is decodable--> worker threads --> disk
    catch-up lane --datagrams--------^          ^------- blocks found <-------- scan thread <---'
    MQTT link <---- presence, report, repair request ---- session <---- announcement, status ---- MQTT link

The loop opens datagrams and moves decisions; whatever computes long or waits for the disk is a thread's.
"""

import asyncio
import contextlib
import logging
import os
import random
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar, TypeVarTuple

from protocol.blocks import BlockBuffer
from protocol.errors import DiskError, IntegrityError, ManifestError, RefusedError, TargetError
from protocol.link.message_stream import Voice
from protocol.link.multicast import RECEIVE_BUFFER_BYTES, MulticastReceiver
from protocol.link.tls import pinned_context
from protocol.messages import (
    Announcement,
    Message,
    MissingBlocks,
    ReceiverReport,
    ReceiverState,
    RepairRequest,
    SignedCertificate,
    decode_tsi,
)
from protocol.seal import Seal
from protocol.ticket import Order
from protocol.wire import HEADER_LENGTH, TAG_LENGTH, TOI_MANIFEST
from receiver.arming import Arming
from receiver.blockdevice import BlockDevice, DiskDevice
from receiver.certifying import certify
from receiver.config import ReceiverConfig, SessionOutcome
from receiver.deployment import Deployment
from receiver.enrolment import Enrolment
from receiver.events import BlockDecodable, ObjectCompleted
from receiver.forgeries import ForgeryWatch
from receiver.identity import ReceiverIdentity
from receiver.lane_intake import LaneIntake
from receiver.membership import Membership
from receiver.scout import watch_senders
from receiver.session import ReceiverSession
from receiver.target import TargetInfo, check_policy, check_target, inspect_target

MAX_BATCHES_PER_WAKE: Final = 64
"""[batches] 8 MiB: after so many the loop looks at timers and messages again, however fast datagrams come."""

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

WORKER_THREADS: Final = max(2, min(4, os.cpu_count() or 1))
"""Decoding releases the interpreter lock; more than four threads only wait for one disk."""

FAREWELL_LIMIT: Final = 15.0
"""[s] How long a final report is repeated when nobody acknowledges it: longer than a broker's restart."""

LONGEST_FAREWELL: Final = 30.0
"""[s] The same while the broker is away: a cast that ended took it along, one that was killed is back sooner."""

Arguments = TypeVarTuple("Arguments")
Result = TypeVar("Result")

_logger = logging.getLogger(__name__)


class ActiveSession:
    """One receiver's part in one session."""

    def __init__(
        self,
        announcement: Announcement,
        order: Order,
        config: ReceiverConfig,
        identity: ReceiverIdentity,
        enrolment: Enrolment,
        voice: Voice,
        last_sequence: int = 0,
        *,
        has_begun: bool = False,
    ) -> None:
        """With ``has_begun`` this receiver has written to its disk in this session before, so that nothing is left to
        be stopped.
        """
        self._announcement = announcement
        self._config = config
        self._policy = order.ticket.disk
        self._datagram_length = HEADER_LENGTH + announcement.oti.encoding_symbol_length + TAG_LENGTH
        self._identity = identity
        self._voice = voice
        self._seal = Seal(
            order.session_secret,
            announcement.manifest_digest,
            decode_tsi(announcement.tsi),
            announcement.oti.encoding_symbol_length,
        )
        self._disk = contextlib.ExitStack()
        self._arming = Arming(0.0 if has_begun else config.countdown_seconds, time.monotonic())
        self._deployment = Deployment(
            announcement, self._open_device, begin_writing=self._begin_writing, is_delta=config.is_delta
        )
        self.session = ReceiverSession(
            announcement,
            receiver_id=identity.receiver_id,
            seat=config.seat,
            target=config.target,
            arming=self._arming,
            rng=random.Random(identity.receiver_id),
            now=time.monotonic(),
            buffer_limit=config.buffer_limit,
            last_sequence=last_sequence,
        )
        self.session.counters.link_bits_per_second = config.interface.speed_bits_per_second or 0
        self._disk_serial = ""
        self._certificate: SignedCertificate | None = None
        self._is_closing = False
        self._jobs: set[asyncio.Task[None]] = set()
        self._zeroing: asyncio.Future[None] | None = None
        self._scanning: asyncio.Future[None] | None = None
        self._busy_since = (time.monotonic(), 0.0)
        """when the last report was made, and how long the disk had been busy by then, both in seconds"""
        self._forgeries = ForgeryWatch(time.monotonic())
        self._lane = LaneIntake(
            announcement,
            self.session,
            self._seal,
            tls=lambda: pinned_context(enrolment.trust.authority, enrolment.certificate),
            on_arrival=self._pump,
        )
        self._left: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._wake = asyncio.Event()

    async def run(self) -> SessionOutcome:
        """Take part until the final report is acknowledged or nobody is there to hear it."""
        loop = asyncio.get_running_loop()
        with self._disk, contextlib.ExitStack() as resources:
            self._workers = ThreadPoolExecutor(WORKER_THREADS, thread_name_prefix="worker")
            # A thread of its own: a scan lasts as long as the session, and must not keep blocks from being written.
            self._scanner = ThreadPoolExecutor(1, thread_name_prefix="scan")
            resources.callback(self._stop_threads)
            self._refuse_unfit_target()
            self._arming.restart(time.monotonic())
            self._socket = resources.enter_context(
                MulticastReceiver(
                    self._config.interface,
                    self._announcement.group,
                    self._announcement.port,
                    tsi=decode_tsi(self._announcement.tsi),
                    datagram_length=self._datagram_length,
                    source=self._announcement.source,
                )
            )
            self._membership = Membership(self._socket, time.monotonic())
            self._warn_of_weak_links()
            resources.callback(loop.remove_reader, self._socket.fileno())
            self._resume_reading()
            scouting = watch_senders(
                self.session.poison,
                self._config.interface.name,
                self._announcement.group,
                self._announcement.source,
            )
            async with self._alongside(self._lane.run()), self._alongside(scouting):
                is_acknowledged = await self._speak_until_left()
        return SessionOutcome(self.session.state, self._reason(), is_acknowledged)

    def _reason(self) -> str:
        if self.session.state.is_final:
            return self.session.reason
        return f"the broadcaster {'fell silent' if self.session.has_lost_sender else 'ended the session'}"

    def receive_message(self, message: Message) -> None:
        """Take a message of the broadcaster."""
        self.session.receive_message(message, time.monotonic())
        if self.session.is_on_catch_up:
            self._lane.need()
        self._pump()

    def _warn_of_weak_links(self) -> None:
        if self._socket.is_buffer_capped:
            _logger.warning(
                "the kernel allows a receive buffer of %d bytes only, so datagrams may be lost at high rates: "
                "run as root, or 'sysctl -w net.core.rmem_max=%d'",
                self._socket.receive_buffer_bytes,
                RECEIVE_BUFFER_BYTES,
            )
        if self._config.interface.is_wireless:
            _logger.warning(
                "%s is a Wi-Fi interface: multicast is slow and lossy there; use a cable", self._config.interface.name
            )

    def _refuse_unfit_target(self) -> None:
        """Check what can be checked before any datagram arrives; the disk is opened, and checked again, later."""
        try:
            self._check_target()
        except TargetError as error:
            self.session.refused(str(error), time.monotonic())

    def _check_target(self) -> TargetInfo:
        target = inspect_target(self._config.target)
        check_target(target, self._announcement.image)
        check_policy(target, self._policy)
        return target

    def _begin_writing(self, proved_blocks: int) -> None:
        self._arming.begin_writing(time.monotonic(), proved_blocks=proved_blocks)

    def _open_device(self) -> BlockDevice:
        self._disk_serial = self._check_target().serial
        return self._disk.enter_context(DiskDevice.open(self._config.target))

    # --- the network ---------------------------------------------------------------------------------------------

    async def _speak_until_left(self) -> bool:
        """Say what is due until the session is left; a final report is repeated for FAREWELL_LIMIT at most."""
        final_since: float | None = None
        heard_since = 0.0
        while not self._left.done():
            is_caught_up = self._receive_datagrams() or self._socket.fill_ratio <= CAUGHT_UP_FILL
            now = time.monotonic()
            self._membership.keep(now, must_leave=self.session.must_leave_group)
            self._count(now)
            while (message := self.session.next_message(now, is_caught_up=is_caught_up)) is not None:
                self._publish(message)
                if isinstance(message, ReceiverReport):
                    self._start_counting_anew(now)
            self._pump()  # silence of the broadcaster is an event, too
            if self.session.state.is_final:
                # While the broker is away nobody can hear it, so that this time hardly counts.
                final_since = now if final_since is None else final_since
                heard_since = heard_since if self._voice.link.is_connected else now
                if now - max(final_since, heard_since) > FAREWELL_LIMIT or now - final_since > LONGEST_FAREWELL:
                    return False
            self._wake.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, self.session.next_timeout() - now)):
                    await self._wake.wait()
        return self._left.result()

    def _publish(self, message: ReceiverReport | RepairRequest | MissingBlocks) -> None:
        """Reports and requests say a whole truth and are soon repeated: each takes the place of one that still waits,
        and none waits for an acknowledgement, which on a link that loses much can take seconds.
        """
        is_part = isinstance(message, MissingBlocks)
        is_final = isinstance(message, ReceiverReport) and message.state.is_final
        qos = 1 if is_part or is_final else 0
        if is_final and self._certificate is not None:
            # Before the report, so that the one that settles the seat finds its proof there.
            self._voice.say(self._certificate, supersedes=True)
        self._voice.say(message, qos=qos, supersedes=not is_part)

    def _count(self, now: float) -> None:
        counters = self.session.counters
        counters.buffer_drops = self._socket.drop_count
        if (warning := self._forgeries.warning(counters.datagrams_rejected, now)) is not None:
            _logger.warning("%s", warning)
        counters.bytes_written = self._deployment.bytes_written
        since, busy_before = self._busy_since
        if now > since:
            busy = self._deployment.disk_busy_seconds - busy_before
            counters.disk_busy_ratio = min(1.0, busy / (now - since))

    def _start_counting_anew(self, now: float) -> None:
        self.session.counters.buffer_fill_ratio = 0.0
        self._busy_since = (now, self._deployment.disk_busy_seconds)

    def _receive_datagrams(self) -> bool:
        """Open what has arrived, but not for too long; whether nothing is left."""
        counters = self.session.counters
        fill_ratio = self._socket.fill_ratio
        counters.buffer_fill_ratio = max(counters.buffer_fill_ratio, fill_ratio)
        for _ in range(MAX_BATCHES_PER_WAKE):
            received = self._socket.receive()
            if received is None:
                self._pause_reading(SHORT_COALESCE_SECONDS if fill_ratio >= FAST_FILL else COALESCE_SECONDS)
                break
            batch, datagram_length = received
            counts = self._seal.open_batch(batch, datagram_length, self.session.find_block)
            counters.datagrams_rejected += counts.rejected
            now = time.monotonic()
            self._membership.received(now)
            own_bytes = len(batch) - (counts.rejected + counts.foreign) * datagram_length
            self.session.batch_opened(max(0, own_bytes), now)
        self._pump()
        return received is None

    def _pause_reading(self, seconds: float) -> None:
        """A small receive buffer is read at once instead."""
        if not self._socket.is_buffer_capped:
            loop = asyncio.get_running_loop()
            loop.remove_reader(self._socket.fileno())
            loop.call_later(seconds, self._resume_reading)

    def _resume_reading(self) -> None:
        if not self._is_closing:
            asyncio.get_running_loop().add_reader(self._socket.fileno(), self._receive_datagrams)

    @contextlib.asynccontextmanager
    async def _alongside(self, work: Coroutine[None, None, None]) -> AsyncIterator[None]:
        """Do this beside all else, while the context is open."""
        task = asyncio.create_task(work)
        task.add_done_callback(self._job_done)
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])

    # --- the disk ------------------------------------------------------------------------------------------------

    def _pump(self) -> None:
        """Hand what the session asks for to the workers; blocks that came together go as one job, which is cheaper."""
        blocks: list[BlockBuffer] = []
        while (event := self.session.next_event()) is not None:
            if isinstance(event, BlockDecodable):
                blocks.append(event.block)
            elif isinstance(event, ObjectCompleted):
                self._start(self._load_manifest() if event.toi == TOI_MANIFEST else self._finish())
            elif not self._left.done():
                self._left.set_result(event.is_acknowledged)
        if blocks:
            self._start(self._store(blocks))
        if self._left.done() or self.session.next_timeout() <= time.monotonic():
            self._wake.set()

    def _start(self, step: Coroutine[None, None, None]) -> asyncio.Task[None]:
        job = asyncio.create_task(self._judged(step))
        self._jobs.add(job)
        job.add_done_callback(self._job_done)
        return job

    def _job_done(self, job: asyncio.Task[None]) -> None:
        """A job handles what disk and image can do wrong; anything else is a bug and must end the program loudly."""
        self._jobs.discard(job)
        if not job.cancelled() and (error := job.exception()) is not None and not self._left.done():
            self._left.set_exception(error)
            self._wake.set()

    async def _judged(self, step: Coroutine[None, None, None]) -> None:
        """Run one step; what goes wrong with disk or image is the seat's outcome."""
        try:
            await step
        except RefusedError as error:
            self.session.refused(str(error), time.monotonic())
        except (DiskError, ManifestError) as error:
            self.session.failed(str(error), time.monotonic())
        except IntegrityError as error:
            self.session.damaged(str(error), time.monotonic())
        self._pump()

    async def _store(self, blocks: list[BlockBuffer]) -> None:
        verdicts = await self._in_worker(self._deployment.store_blocks, blocks)
        now = time.monotonic()
        for block, is_stored in zip(blocks, verdicts, strict=True):
            if is_stored:
                self.session.block_stored(block, now)
            else:
                self._lane.need()
                self.session.block_rejected(block, now)

    async def _load_manifest(self) -> None:
        manifest = await self._in_worker(self._deployment.load_manifest)
        self._zeroing = asyncio.ensure_future(
            self._in_worker(self._deployment.write_zero_ranges, lambda: self._is_closing)
        )
        # A disk that cannot be zeroed fails the next write as well; here it must only not go unretrieved.
        self._zeroing.add_done_callback(lambda done: done.cancelled() or done.exception())
        self._scanning = self._start(self._scan())
        self.session.manifest_loaded(manifest, time.monotonic())

    async def _scan(self) -> None:
        """Look for what the disk already holds; a disk that is complete before the scan is over needs no more of it."""
        self._loop = asyncio.get_running_loop()
        if self._config.is_delta:
            await self._loop.run_in_executor(
                self._scanner,
                self._deployment.scan,
                self._note_found,
                self._note_scan,
                lambda: self._is_closing or self.session.state is ReceiverState.VERIFYING,
            )
        self.session.scan_ended(time.monotonic())

    def _note_found(self, sbns: list[int]) -> None:
        """Called by scanning threads."""
        self._loop.call_soon_threadsafe(self._found, sbns)

    def _found(self, sbns: list[int]) -> None:
        self.session.blocks_found(sbns, time.monotonic())
        self._pump()

    async def _finish(self) -> None:
        assert self._zeroing is not None
        assert self._scanning is not None
        await asyncio.wait([self._scanning])
        await self._zeroing
        damaged = await self._in_worker(self._deployment.read_back, self._note_read_back, lambda: self._is_closing)
        if damaged:
            self.session.read_back_failed(damaged, time.monotonic())
            return
        await self._in_worker(self._deployment.commit)
        self._certificate = await self._in_worker(self._certify)
        self.session.verified(time.monotonic())

    def _certify(self) -> SignedCertificate:
        return certify(
            self._announcement,
            self._identity.keys,
            self._identity.signing_key,
            seat=self._config.seat,
            target=self._config.target,
            serial=self._disk_serial,
            verified_bytes=self._deployment.verified_bytes(),
            blocks=self.session.blocks_total,
        )

    def _note_scan(self, done: int, total: int) -> None:
        """Called by scanning threads; plain stores, so the loop may read them at any time."""
        self.session.counters.blocks_to_scan = total
        self.session.counters.blocks_scanned = done

    def _note_read_back(self, done: int, total: int) -> None:
        """Called by worker threads, as ``_note_scan``."""
        self.session.counters.bytes_to_verify = total
        self.session.counters.bytes_verified = done

    async def _in_worker(self, call: Callable[[*Arguments], Result], *arguments: *Arguments) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._workers, call, *arguments)

    def _stop_threads(self) -> None:
        """Let running steps end soon and start no other; the disk is closed only after that."""
        self._is_closing = True
        for threads in (self._scanner, self._workers):
            threads.shutdown(wait=True, cancel_futures=True)
