"""The disk's side of one session in the event loop: its threads, its steps, and what each came to for the session.

    blocks are decodable --> store          --> stored, or missing again
    object 0 is whole, but nothing may be written --> preview --> blocks foreseen
    object 0 is whole    --> load_manifest  --> receiving; zeroing and the scan begin --> blocks found
    object 1 is whole    --> finish         --> missing again; or committed, certified and verified

Whatever computes long or waits for the disk is a thread's. What goes wrong with disk or image is the seat's outcome;
anything else is a bug of ours, and told to whoever runs the session.
"""

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Self, TypeVar, TypeVarTuple

from protocol.blocks import BlockBuffer
from protocol.errors import DiskError, IntegrityError, ManifestError, RefusedError, TargetError
from protocol.firmware import Firmware
from protocol.manifest import Manifest
from protocol.messages import ReceiverState, SignedCertificate
from protocol.ticket import DiskPolicy
from protocol.wire import TOI_MANIFEST
from receiver.arming import STOPPED
from receiver.blockdevice import BlockDevice, DiskDevice
from receiver.certifying import certify
from receiver.deployment import Deployment
from receiver.firmware import check_firmware
from receiver.identity import ReceiverIdentity
from receiver.preview import preview
from receiver.session import ReceiverSession
from receiver.target import TargetInfo, check_policy, check_target, inspect_target

WORKER_THREADS: Final = max(2, min(4, os.cpu_count() or 1))
"""Decoding releases the interpreter lock; more than four threads only wait for one disk."""

_logger = logging.getLogger(__name__)

Arguments = TypeVarTuple("Arguments")
Result = TypeVar("Result")


class DiskWork:
    """What one session does to its target, while the context is open."""

    def __init__(
        self,
        session: ReceiverSession,
        policy: DiskPolicy,
        identity: ReceiverIdentity,
        *,
        is_delta: bool,
        firmware: Firmware = Firmware.BOTH,
        target_fault: str = "",
        take_disk: Callable[[Callable[[], bool]], bool] | None = None,
        on_step: Callable[[], object],
        on_bug: Callable[[BaseException], object],
    ) -> None:
        """``firmware`` is what this PC boots by; ``on_step`` is told after each step, when the session may have
        something new to do; ``on_bug`` what no disk and no image can cause.
        """
        self.certificate: SignedCertificate | None = None
        """our word for the disk, once it is committed"""
        self._session = session
        self._policy = policy
        self._identity = identity
        self._is_delta = is_delta
        self._firmware = firmware
        self._target_fault = target_fault
        self._take_disk = take_disk
        self._on_step = on_step
        self._on_bug = on_bug
        self._deployment = Deployment(
            session.announcement, self._open_device, begin_writing=self._begin_writing, is_delta=is_delta
        )
        self._doubt = ""
        """what to warn of, although nothing speaks against writing"""
        self._disk_serial = ""
        self._is_closing = False
        self._jobs: set[asyncio.Task[None]] = set()
        self._zeroing: asyncio.Future[None] | None = None
        self._scanning: asyncio.Future[None] | None = None
        self._previewing: asyncio.Future[None] | None = None
        self._busy_since = (time.monotonic(), 0.0)
        """when the last report was made, and how long the disk had been busy by then, both in seconds"""
        self._resources = contextlib.ExitStack()

    def __enter__(self) -> Self:
        """Start the threads; nothing is opened yet."""
        self._loop = asyncio.get_running_loop()
        self._workers = ThreadPoolExecutor(WORKER_THREADS, thread_name_prefix="worker")
        # A thread of its own: a scan lasts as long as the session, and must not keep blocks from being written.
        self._scanner = ThreadPoolExecutor(1, thread_name_prefix="scan")
        return self

    def __exit__(self, *_: object) -> None:
        """Let running steps end soon and start no other; the disk is closed only after that."""
        with self._resources:
            self._is_closing = True
            for threads in (self._scanner, self._workers):
                threads.shutdown(wait=True, cancel_futures=True)

    def refuse_unfit_target(self) -> None:
        """Check what can be checked before any datagram arrives; the disk is opened, and checked again, later."""
        try:
            self._check_target()
        except TargetError as error:
            self._session.refused(str(error), time.monotonic())
        if self._doubt:
            _logger.warning("%s", self._doubt)

    def store(self, blocks: list[BlockBuffer]) -> None:
        """Decode and write these blocks; those that came together go as one job, which is cheaper."""
        self._start(self._store(blocks))

    def preview(self) -> None:
        """Object 0 is whole and nothing may be written: look at what the disk holds of the image."""
        self._previewing = self._start(self._preview())

    def complete(self, toi: int) -> None:
        """Nothing of this object is missing: go on with what that allows."""
        self._start(self._load_manifest() if toi == TOI_MANIFEST else self._finish())

    def count(self, now: float) -> None:
        """Bring what is counted of the disk up to date."""
        counters = self._session.counters
        counters.bytes_written = self._deployment.bytes_written
        since, busy_before = self._busy_since
        if now > since:
            busy = self._deployment.disk_busy_seconds - busy_before
            counters.disk_busy_ratio = min(1.0, busy / (now - since))

    def start_counting_anew(self, now: float) -> None:
        """A report has been made: what it says of the disk's load is said."""
        self._busy_since = (now, self._deployment.disk_busy_seconds)

    # --- the target ----------------------------------------------------------------------------------------------

    def _check_target(self) -> TargetInfo:
        if self._target_fault:
            raise TargetError(self._session.target, self._target_fault)
        target = inspect_target(self._session.target)
        check_target(target, self._session.announcement.image)
        self._doubt = check_firmware(target, self._session.announcement.image.firmware, self._firmware)
        check_policy(target, self._policy)
        return target

    def _begin_writing(self, proved_blocks: int) -> None:
        if self._take_disk is not None and not self._take_disk(self._is_over):
            raise RefusedError(STOPPED)
        self._session.arming.begin_writing(time.monotonic(), proved_blocks=proved_blocks)

    def _open_device(self) -> BlockDevice:
        self._disk_serial = self._check_target().serial
        return self._resources.enter_context(DiskDevice.open(self._session.target))

    # --- the steps -----------------------------------------------------------------------------------------------

    def _start(self, step: Coroutine[None, None, None]) -> asyncio.Task[None]:
        job = asyncio.create_task(self._judged(step))
        self._jobs.add(job)
        job.add_done_callback(self._job_done)
        return job

    def _job_done(self, job: asyncio.Task[None]) -> None:
        self._jobs.discard(job)
        if not job.cancelled() and (error := job.exception()) is not None:
            self._on_bug(error)

    async def _judged(self, step: Coroutine[None, None, None]) -> None:
        """Run one step; what goes wrong with disk or image is the seat's outcome."""
        try:
            await step
        except RefusedError as error:
            self._session.refused(str(error), time.monotonic())
        except (DiskError, ManifestError) as error:
            self._session.failed(str(error), time.monotonic())
        except IntegrityError as error:
            self._session.damaged(str(error), time.monotonic())
        self._on_step()

    async def _store(self, blocks: list[BlockBuffer]) -> None:
        verdicts = await self._in_worker(self._stored, blocks)
        if self._session.state.is_final:
            return
        now = time.monotonic()
        for block, is_stored in zip(blocks, verdicts, strict=True):
            if is_stored:
                self._session.block_stored(block, now)
            else:
                self._session.block_rejected(block, now)

    def _stored(self, blocks: list[BlockBuffer]) -> list[bool]:
        """In a worker: a seat that was stopped while these waited for their turn writes no more."""
        return [] if self._session.state.is_final else self._deployment.store_blocks(blocks)

    def _is_over(self) -> bool:
        return self._is_closing or self._session.state.is_final

    async def _preview(self) -> None:
        manifest = await self._in_worker(self._deployment.read_manifest)
        self._session.manifest_seen(manifest)
        if self._is_delta:
            await self._loop.run_in_executor(self._scanner, self._look, manifest)
        self._session.preview_ended(time.monotonic())

    def _look(self, manifest: Manifest) -> None:
        """In the scanning thread: through a descriptor that cannot write, closed before any other is opened."""
        self._check_target()
        with DiskDevice.open_to_read(self._session.target) as device:
            preview(
                device,
                manifest,
                self._note_foreseen,
                self._note_scan,
                lambda: self._is_closing or not self._session.may_foresee,
            )

    def _note_foreseen(self, sbns: list[int]) -> None:
        """Called by scanning threads."""
        self._loop.call_soon_threadsafe(self._session.blocks_foreseen, sbns)

    async def _load_manifest(self) -> None:
        if self._previewing is not None:
            await asyncio.wait([self._previewing])
        if self._session.state.is_final:
            return
        manifest = await self._in_worker(self._deployment.load_manifest)
        if self._session.state.is_final:
            return
        self._zeroing = asyncio.ensure_future(self._in_worker(self._deployment.write_zero_ranges, self._is_over))
        # A disk that cannot be zeroed fails the next write as well; here it must only not go unretrieved.
        self._zeroing.add_done_callback(lambda done: done.cancelled() or done.exception())
        self._scanning = self._start(self._scan())
        self._session.manifest_loaded(manifest, time.monotonic())

    async def _scan(self) -> None:
        """Look for what the disk already holds; a disk that is complete before the scan is over needs no more of it."""
        if self._is_delta:
            await self._loop.run_in_executor(
                self._scanner,
                self._deployment.scan,
                self._note_found,
                self._note_scan,
                lambda: self._is_over() or self._session.state is ReceiverState.VERIFYING,
            )
        self._session.scan_ended(time.monotonic())

    def _note_found(self, sbns: list[int]) -> None:
        """Called by scanning threads."""
        self._loop.call_soon_threadsafe(self._found, sbns)

    def _found(self, sbns: list[int]) -> None:
        self._session.blocks_found(sbns, time.monotonic())
        self._on_step()

    async def _finish(self) -> None:
        assert self._zeroing is not None
        assert self._scanning is not None
        await asyncio.wait([self._scanning])
        await self._zeroing
        damaged = await self._in_worker(self._deployment.read_back, self._note_read_back, self._is_over)
        if damaged:
            self._session.read_back_failed(damaged, time.monotonic())
            return
        if not self._session.may_commit():
            return
        await self._in_worker(self._deployment.commit)
        self.certificate = await self._in_worker(self._certify)
        self._session.verified(time.monotonic())

    def _certify(self) -> SignedCertificate:
        return certify(
            self._session.announcement,
            self._identity.keys,
            self._identity.signing_key,
            seat=self._session.seat,
            target=self._session.target,
            serial=self._disk_serial,
            verified_bytes=self._deployment.verified_bytes(),
            blocks=self._session.blocks_total,
        )

    def _note_scan(self, done: int, total: int) -> None:
        """Called by scanning threads; plain stores, so the loop may read them at any time."""
        self._session.counters.blocks_to_scan = total
        self._session.counters.blocks_scanned = done

    def _note_read_back(self, done: int, total: int) -> None:
        """Called by worker threads, as ``_note_scan``."""
        self._session.counters.bytes_to_verify = total
        self._session.counters.bytes_verified = done

    async def _in_worker(self, call: Callable[[*Arguments], Result], *arguments: *Arguments) -> Result:
        return await self._loop.run_in_executor(self._workers, call, *arguments)
