"""Takes captures in: what machines send over the seat API and operators order, as work on the library and its disk.

    wish / order --> register <-- what becomes of it
    lacking, chunks --> the capture's folder (proved in threads)
    disk --> publishing --> the library's next version; retention, when it is a backup

The loop never waits for a disk. Work that was begun is finished although its request ends, since whoever asks again
waits for the same; a broadcaster that is killed goes on with what lies in the folders. Whatever fails leaves the
capture open, with the reason for machine and operators, unless the disk that it describes cannot be.
"""

import asyncio
import contextlib
import logging
import mmap
import os
import secrets
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Final, TypeVar

from broadcaster.audit import AuditEvent
from broadcaster.captures.capture import Capture, CaptureRecord
from broadcaster.captures.capture_folder import CaptureFolder, as_library_errors
from broadcaster.captures.capture_store import CAPTURES_FOLDER, CaptureStore
from broadcaster.captures.proving import is_sound
from broadcaster.captures.publishing import Published, publish_capture
from broadcaster.captures.register import Attending, CaptureRegister, Moment
from broadcaster.library.backups import keep_newest
from broadcaster.library.library import Library
from protocol.capture import (
    CaptureFailure,
    CaptureProgress,
    CaptureState,
    CaptureStep,
    CaptureWish,
    Finding,
    decode_disk,
)
from protocol.errors import (
    LibraryError,
    ManifestError,
    MessageError,
    RefusedError,
    SlatecastError,
)
from protocol.operators import CaptureNews
from protocol.seat_api import CaptureOrder
from protocol.signing import SigningKey

THREADS: Final = 3
"""Proving what comes is unpacking and hashing: a gigabit needs a third of a core; the others wait for the disk."""

FINISH_PATIENCE: Final = 300.0
"""[s] for which the call that ends a capture waits for its image; then it is told to look again."""

WATCH_INTERVAL: Final = 30.0
"""[s] between two looks for captures that were silent for a day."""

MAX_PROVED: Final = 1 << 19
"""[digests] per capture of library chunks that are known to be sound: 64 MB for 128 GiB; others are proved again."""

_ENDING: Final = "the broadcaster is ending: it goes on when it runs again"

Result = TypeVar("Result")
_logger = logging.getLogger(__name__)


class _AtWork:
    """What is there for an open capture beside its record."""

    def __init__(self, folder: CaptureFolder) -> None:
        self.folder = folder
        self.lock = asyncio.Lock()
        """held while its folder is changed"""
        self.proved: set[bytes] = set()
        self.finishing: asyncio.Task[None] | None = None


class CaptureIntake:
    """The captures of one library; enter it.

    Args:
        library: where images go, and what has arrived waits.
        signer: the image key; None where it is kept elsewhere.
        attending: who is there.
        kept_for: how many backups of a machine stay.
        on_change: told when operators should be told.
        on_image: told when there is a new image.
        write_down: takes what belongs into the audit log; blocks.
        utc_now: the time that images tell, RFC 3339.
    """

    def __init__(
        self,
        library: Library,
        signer: SigningKey | None,
        attending: Attending,
        *,
        kept_for: Callable[[str], int],
        on_change: Callable[[], object],
        on_image: Callable[[], object],
        write_down: Callable[[AuditEvent, Mapping[str, str | int]], object],
        utc_now: Callable[[], str],
    ) -> None:
        self.register: Final = CaptureRegister(attending, lambda: secrets.token_hex(8), kept_for)
        self._library = library
        self._signer = signer
        self._on_change = on_change
        self._on_image = on_image
        self._write_down = write_down
        self._utc_now = utc_now
        self._store = CaptureStore(library.root / CAPTURES_FOLDER)
        self._at_work: dict[str, _AtWork] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._is_ending = threading.Event()

    async def __aenter__(self) -> "CaptureIntake":
        """Go on with what was open.

        Raises:
            LibraryError: that cannot be read.
        """
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="captures")
        self._records = ThreadPoolExecutor(1, thread_name_prefix="capture records")
        for record in await asyncio.to_thread(self._store.load):
            self.register.take_up(record, time.monotonic())
        self._watching = asyncio.create_task(self._watch(), name="captures")
        return self

    async def __aexit__(self, *_error: object) -> None:
        """Finish what is being written; everything else goes on when the library is opened again."""
        self._is_ending.set()
        self._watching.cancel()
        await asyncio.gather(self._watching, *self._tasks, return_exceptions=True)
        for executor in (self._threads, self._records):
            await asyncio.to_thread(executor.shutdown, wait=True, cancel_futures=False)

    # --- operators --------------------------------------------------------------------------------------------------

    def capture(self, machine: str, image: str, operator: str, accepts: tuple[str, ...] = ()) -> str:
        """Order a machine's disk as the next version of ``image``; its capture_id.

        Raises:
            ConfigError: no image can be called so.
            RefusedError: the machine is not there, or is captured already.
        """
        return self._ordered(self.register.order(machine, image, operator, _now(), accepts=accepts))

    def back_up(self, machine: str, operator: str) -> str:
        """Order the backup of a machine that is there; its capture_id.

        Raises:
            RefusedError: it cannot be captured now.
        """
        return self._ordered(self.register.back_up(machine, operator, _now()))

    def check_back_up(self, machines: Sequence[str]) -> None:
        """Make sure that the backups of all these machines can be ordered.

        Raises:
            RefusedError: that of one cannot.
        """
        for machine in machines:
            self.register.check_back_up(machine)

    def decide(self, capture_id: str, operator: str, accepts: tuple[str, ...], *, is_allowed: bool) -> None:
        """Allow or refuse what somebody asked for at a machine.

        Raises:
            RefusedError: there is nothing to decide any more.
        """
        capture = self.register.need(capture_id)
        capture.decide(operator, accepts, time.monotonic(), is_allowed=is_allowed)
        self._keep(capture)
        event = AuditEvent.CAPTURE_ORDERED if is_allowed else AuditEvent.CAPTURE_ENDED
        self._note(event, capture.record, operator=operator)

    def stop(self, capture_id: str, operator: str) -> None:
        """End a capture; what has arrived of it is forgotten.

        Raises:
            RefusedError: there is none, or it has ended.
        """
        capture = self.register.need(capture_id)
        if not capture.fail(f"{operator} has stopped it", time.monotonic()):
            raise RefusedError(f"that capture has ended already: it is {capture.record.step}")
        self._ended(capture, operator=operator)

    def step_of(self, capture_id: str) -> tuple[CaptureStep, float, str]:
        """How far a capture is, the share that is done, and why it failed; FAILED for one that nobody knows."""
        try:
            record = self.register.need(capture_id).record
        except RefusedError as error:
            return CaptureStep.FAILED, 0.0, str(error)
        return record.step, record.done, record.reason

    def news(self) -> list[CaptureNews]:
        """What operators are told."""
        return self.register.news(time.monotonic())

    # --- machines (broadcaster.seat_api.services.Captures) ----------------------------------------------------------

    def order(self, receiver_id: str) -> CaptureOrder | None:
        """What this receiver is to capture now."""
        order = self.register.order_for(receiver_id, time.monotonic())
        if order is not None:
            self._find(receiver_id, order.capture_id)
        return order

    async def wish(self, receiver_id: str, wish: CaptureWish) -> CaptureState:
        """Somebody at the machine wants its disk in the library."""
        capture, is_new = self.register.wish(receiver_id, wish, _now())
        if capture.hear(receiver_id, time.monotonic()) or is_new:
            self._keep(capture)
        return capture.state

    def state(self, receiver_id: str, capture_id: str) -> CaptureState | None:
        """How far a capture is."""
        capture = self._find(receiver_id, capture_id)
        return None if capture is None else capture.state

    async def lacking(self, receiver_id: str, capture_id: str, digests: Sequence[bytes]) -> list[bool] | None:
        """Which of these chunks must be sent; one that is here counts only if it is sound."""
        capture = self._find(receiver_id, capture_id)
        if capture is None:
            return None
        if not capture.is_taking:
            raise RefusedError(f"this capture is {capture.record.step}: {capture.record.reason or 'nothing is taken'}")
        self._run(capture)
        at_work = self._work_of(capture)
        return await self._in_thread(lambda: [not self._is_here(at_work, digest) for digest in digests])

    async def chunks(self, receiver_id: str, capture_id: str, body: bytes) -> CaptureState | None:
        """Take in framed chunks; what was proved before one that is wrong is kept."""
        capture = self._find(receiver_id, capture_id)
        if capture is not None and capture.is_taking and not capture.is_finishing:
            self._run(capture)
            await self._finish(self._take(capture, body))
        return None if capture is None else capture.state

    async def disk(self, receiver_id: str, capture_id: str, body: AsyncIterator[bytes]) -> CaptureState | None:
        """End the capture by the disk's description."""
        capture = self._find(receiver_id, capture_id)
        if capture is None or not capture.is_taking:
            return None if capture is None else capture.state
        self._run(capture)
        at_work = self._work_of(capture)
        if at_work.finishing is None:
            await self._receive_description(capture, at_work, body)
        if at_work.finishing is not None:
            finishing = at_work.finishing
            await asyncio.wait({finishing}, timeout=FINISH_PATIENCE)
            if finishing.done():
                finishing.result()
        return capture.state

    async def progress(self, receiver_id: str, capture_id: str, progress: CaptureProgress) -> CaptureState | None:
        """How far the machine is."""
        capture = self._find(receiver_id, capture_id)
        if capture is None:
            return None
        if capture.is_taking:
            self._run(capture)
            capture.progressed(progress)
        return capture.state

    async def failure(self, receiver_id: str, capture_id: str, failure: CaptureFailure) -> CaptureState | None:
        """The machine gives up."""
        capture = self._find(receiver_id, capture_id)
        if capture is None:
            return None
        if capture.give_up(failure, time.monotonic()):
            self._ended(capture)
        return capture.state

    # --- work ---------------------------------------------------------------------------------------------------------

    async def _take(self, capture: Capture, body: bytes) -> None:
        at_work = self._work_of(capture)
        async with at_work.lock:
            if capture.is_taking:
                try:
                    await self._in_thread(lambda: at_work.folder.take(body))
                except LibraryError as error:
                    self._trouble(capture, str(error))
                    raise
                self._trouble(capture, "")

    def _is_here(self, at_work: _AtWork, digest: bytes) -> bool:
        """Whether a chunk need not be sent. Blocks."""
        if digest in at_work.proved and self._library.store.path(digest).exists():
            return True
        stored = self._library.store.read(digest)
        if stored is not None and is_sound(stored, digest):
            if len(at_work.proved) < MAX_PROVED:
                at_work.proved.add(digest)
            return True
        return at_work.folder.read(digest) is not None

    async def _receive_description(self, capture: Capture, at_work: _AtWork, body: AsyncIterator[bytes]) -> None:
        """Keep the description as it comes; whoever has sent one whole lets the proving begin."""
        description = await self._in_thread(at_work.folder.description)
        is_whole = False
        try:
            async for part in body:
                await self._in_thread(partial(_write, description, part))
            if at_work.finishing is None and capture.is_taking:
                is_whole = True
                at_work.finishing = self._spawn(self._publish(capture, at_work, description))
        finally:
            if not is_whole:
                self._threads.submit(_discard, description)

    async def _publish(self, capture: Capture, at_work: _AtWork, description: BinaryIO) -> None:
        capture.is_finishing = True
        self._on_change()
        try:
            async with at_work.lock:
                published, findings = await self._in_thread(partial(self._prove, capture, at_work, description))
            if published.missing:
                self._trouble(capture, f"{published.missing} chunks of the disk are missing: they have to be sent")
            elif capture.is_taking:
                now = time.monotonic()
                capture.publish(published.version, findings, now, is_unchanged=published.is_unchanged)
                self._ended(capture)
                self._on_image()
        except (ManifestError, MessageError) as error:
            if capture.fail(f"what the machine says of its disk cannot be: {error}", time.monotonic()):
                self._ended(capture)
            raise
        except LibraryError as error:
            self._trouble(capture, str(error))
            raise
        finally:
            capture.is_finishing = False
            at_work.finishing = None
            self._threads.submit(_discard, description)
            self._on_change()

    def _prove(
        self, capture: Capture, at_work: _AtWork, description: BinaryIO
    ) -> tuple[Published, tuple[Finding, ...]]:
        """Blocks until the image is published, or it is known what is missing."""

        def go_on(_done: float) -> None:
            if self._is_ending.is_set() or not capture.is_taking:
                raise RefusedError(_ENDING if self._is_ending.is_set() else capture.record.reason)

        with as_library_errors():
            description.flush()
            length = description.seek(0, os.SEEK_END)
        mapped = mmap.mmap(description.fileno(), length, access=mmap.ACCESS_READ) if length else b""
        disk, rows = decode_disk(memoryview(mapped))  # the map lives as long as the rows that look into it
        published = publish_capture(
            self._library,
            at_work.folder,
            capture.record,
            disk,
            rows,
            proved=at_work.proved,
            signer=self._signer,
            created=self._utc_now(),
            progress=go_on,
        )
        return published, disk.findings

    # --- what follows -------------------------------------------------------------------------------------------------

    def _find(self, receiver_id: str, capture_id: str) -> Capture | None:
        now = time.monotonic()
        capture = self.register.find(receiver_id, capture_id, now)
        if capture is not None and capture.is_open and capture.hear(receiver_id, now):
            self._keep(capture)
        return capture

    def _run(self, capture: Capture) -> None:
        if capture.run():
            self._keep(capture)

    def _trouble(self, capture: Capture, reason: str) -> None:
        if capture.trouble(reason):
            if reason:
                _logger.warning("capture of %s: %s", capture.record.machine, reason)
            self._on_change()

    def _ordered(self, capture: Capture) -> str:
        self._keep(capture)
        self._note(AuditEvent.CAPTURE_ORDERED, capture.record)
        return capture.record.capture_id

    def _ended(self, capture: Capture, operator: str = "") -> None:
        record = capture.record
        self._keep(capture)
        event = AuditEvent.IMAGE_ADDED if record.step is CaptureStep.DONE else AuditEvent.CAPTURE_ENDED
        self._note(event, record, operator=operator or record.ordered_by)
        _logger.info("capture of %s into %s: %s %s", record.machine, record.image, record.step, record.reason)
        self._spawn(self._tidy(capture))

    async def _tidy(self, capture: Capture) -> None:
        """Remove what has arrived of a capture that has ended, and backups beyond those that stay."""
        at_work = self._work_of(capture)
        async with at_work.lock:
            await self._in_thread(at_work.folder.clear)
        self._at_work.pop(capture.record.capture_id, None)
        record = capture.record
        if record.step is CaptureStep.DONE and record.kept:
            try:
                await self._in_thread(lambda: keep_newest(self._library, record.machine, record.kept))
            except SlatecastError as error:
                _logger.warning("old backups of %s stay: %s", record.machine, error)
            self._on_image()

    def _note(self, event: AuditEvent, record: CaptureRecord, operator: str = "") -> None:
        fields: dict[str, str | int] = {
            "operator": operator or record.ordered_by,
            "machine": record.machine,
            "image": record.image,
            "capture": record.capture_id,
        }
        if record.version:
            fields["version"] = record.version
        elif event is AuditEvent.CAPTURE_ENDED:
            fields |= {"outcome": record.step.value, "reason": record.reason}
        self._records.submit(self._write_down, event, fields)

    def _keep(self, capture: Capture) -> None:
        """Put a capture on the medium as it then stands, and tell operators."""
        self._records.submit(self._save, capture)
        self._on_change()

    def _save(self, capture: Capture) -> None:
        try:
            self._store.save(capture.record)
        except LibraryError as error:
            _logger.warning("capture of %s is not kept over a restart: %s", capture.record.machine, error)

    def _work_of(self, capture: Capture) -> _AtWork:
        capture_id = capture.record.capture_id
        if capture_id not in self._at_work:
            self._at_work[capture_id] = _AtWork(self._store.folder(capture_id))
        return self._at_work[capture_id]

    async def _watch(self) -> None:
        while True:
            given_up, forgotten = self.register.expire(time.monotonic())
            for capture in given_up:
                self._ended(capture)
            for capture_id in forgotten:
                self._records.submit(self._store.forget, capture_id)
            await asyncio.sleep(WATCH_INTERVAL)

    async def _in_thread(self, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    async def _finish(self, work: Coroutine[Any, Any, Result]) -> Result:
        """The result of work that is not given up when the request for it ends."""
        return await asyncio.shield(self._spawn(work))

    def _spawn(self, work: Coroutine[Any, Any, Result]) -> asyncio.Task[Result]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ends)
        return task

    def _ends(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:  # told to whoever asked, if somebody still does
            _logger.debug("work on a capture: %s", task.exception())


def _now() -> Moment:
    return Moment(time.monotonic(), time.time())


def _write(file: BinaryIO, part: bytes) -> None:
    with as_library_errors():
        file.write(part)


def _discard(file: BinaryIO) -> None:
    with contextlib.suppress(OSError):
        file.close()
    Path(file.name).unlink(missing_ok=True)
