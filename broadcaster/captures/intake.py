"""Takes captures in: what machines send over the seat API and operators order, as work on the library and its disk.

    wish, order --> the register
    lacking, chunks --> the capture's folder (proved in threads)
    disk --> publishing --> the library's next version; retention, when it is a backup

The loop never waits for a disk. Work that was begun is finished although its request ends, since whoever asks again
waits for the same; a broadcaster that is killed goes on with what lies in the folders. Whatever fails leaves the
capture open, with the reason for machine and operators, unless the disk that it describes cannot be.
"""

import asyncio
import logging
import secrets
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, BinaryIO, Final, TypeVar

from broadcaster.audit import AuditEvent
from broadcaster.captures.capture import Capture
from broadcaster.captures.capture_store import CAPTURES_FOLDER, CaptureStore
from broadcaster.captures.desk import CaptureDesk, now
from broadcaster.captures.open_capture import OpenCapture, discard, write_part
from broadcaster.captures.publishing import Published
from broadcaster.captures.register import Attending, CaptureRegister
from broadcaster.captures.upkeep import Upkeep
from broadcaster.library.backups import keep_newest
from broadcaster.library.library import Library
from protocol.capture import (
    CaptureFailure,
    CaptureProgress,
    CaptureState,
    CaptureStep,
    CaptureWish,
    Finding,
)
from protocol.errors import (
    LibraryError,
    ManifestError,
    MessageError,
    RefusedError,
    SlatecastError,
)
from protocol.seat_api import CaptureOrder
from protocol.signing import SigningKey

THREADS: Final = 3
"""Proving what comes is unpacking and hashing: a gigabit needs a third of a core; the others wait for the disk."""

FINISH_PATIENCE: Final = 300.0
"""[s] for which the call that ends a capture waits for its image; then it is told to look again."""

WATCH_INTERVAL: Final = 30.0
"""[s] between two looks for captures that were silent for a day."""

_ENDING: Final = "the broadcaster is ending: it goes on when it runs again"

Result = TypeVar("Result")
_logger = logging.getLogger(__name__)


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
        self._library = library
        self._signer = signer
        self._on_change = on_change
        self._on_image = on_image
        self._utc_now = utc_now
        self._store = CaptureStore(library.root / CAPTURES_FOLDER)
        self._upkeep = Upkeep(self._store, write_down)
        self._register = CaptureRegister(attending, lambda: secrets.token_hex(8), kept_for)
        self.desk: Final = CaptureDesk(self._register, self._upkeep, on_change=on_change, on_end=self._ended)
        """takes what operators order"""
        self._opened: dict[str, OpenCapture] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._is_ending = threading.Event()

    async def __aenter__(self) -> "CaptureIntake":
        """Go on with what was open.

        Raises:
            LibraryError: that cannot be read.
        """
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="captures")
        self._publisher = ThreadPoolExecutor(1, thread_name_prefix="captured images")
        for record in await asyncio.to_thread(self._store.load):
            self._register.take_up(record, time.monotonic())
        self._watching = asyncio.create_task(self._watch(), name="captures")
        return self

    async def __aexit__(self, *_error: object) -> None:
        """Finish what is being written; everything else goes on when the library is opened again."""
        self._is_ending.set()
        self._watching.cancel()
        await asyncio.gather(self._watching, *self._tasks, return_exceptions=True)
        for executor in (self._threads, self._publisher):
            await asyncio.to_thread(executor.shutdown, wait=True)
        await self._upkeep.close()

    # --- machines (broadcaster.seat_api.services.Captures) ----------------------------------------------------------

    def order(self, receiver_id: str) -> CaptureOrder | None:
        """What this receiver is to capture now."""
        order = self._register.order_for(receiver_id, time.monotonic())
        if order is not None:
            self._find(receiver_id, order.capture_id)
        return order

    async def wish(self, receiver_id: str, wish: CaptureWish) -> CaptureState:
        """Somebody at the machine wants its disk in the library."""
        capture, is_new = self._register.wish(receiver_id, wish, now())
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
        opened = self._opened_of(capture)
        return await self._in_thread(lambda: opened.lacking(digests))

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
        opened = self._opened_of(capture)
        if opened.finishing is None:
            try:
                await self._receive_description(capture, opened, body)
            except LibraryError as error:
                self._trouble(capture, str(error))
                raise
        if opened.finishing is not None:
            finishing = opened.finishing
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
            if capture.progressed(progress):
                self._keep(capture)
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
        opened = self._opened_of(capture)
        async with opened.lock:
            if capture.is_taking:
                try:
                    await self._in_thread(lambda: opened.folder.take(body))
                except LibraryError as error:
                    self._trouble(capture, str(error))
                    raise
                self._trouble(capture, "")

    async def _receive_description(self, capture: Capture, opened: OpenCapture, body: AsyncIterator[bytes]) -> None:
        """Keep the description as it comes; whoever has sent one whole lets the proving begin."""
        description = await self._in_thread(opened.folder.description)
        is_whole = False
        try:
            async for part in body:
                await self._in_thread(partial(write_part, description, part))
            if opened.finishing is None and capture.is_taking:
                is_whole = True
                opened.finishing = self._spawn(self._publish(capture, opened, description))
        finally:
            if not is_whole:
                self._threads.submit(discard, description)

    async def _publish(self, capture: Capture, opened: OpenCapture, description: BinaryIO) -> None:
        capture.is_finishing = True
        self._on_change()
        try:
            async with opened.lock:
                prove = partial(self._prove, capture, opened, description)
                published, findings = await self._in_publisher(prove)
            if published.missing:
                self._trouble(capture, f"{published.missing} chunks of the disk are missing: they have to be sent")
            elif capture.is_taking:
                now = time.monotonic()
                capture.publish(published.version, findings, now, is_unchanged=published.is_unchanged)
                self._ended(capture)
            if published.version:  # also when it was stopped in the last moment
                self._on_image()
        except (ManifestError, MessageError) as error:
            if capture.fail(f"what the machine says of its disk cannot be: {error}", time.monotonic()):
                self._ended(capture)
        except (RefusedError, LibraryError) as error:
            if capture.is_open:  # else it was stopped meanwhile
                self._trouble(capture, str(error))
                raise
        finally:
            capture.is_finishing = False
            opened.finishing = None
            self._threads.submit(discard, description)
            self._on_change()

    def _prove(
        self, capture: Capture, opened: OpenCapture, description: BinaryIO
    ) -> tuple[Published, tuple[Finding, ...]]:
        def go_on(_done: float) -> None:
            if self._is_ending.is_set():
                raise RefusedError(_ENDING)
            if not capture.is_taking:
                raise RefusedError(capture.record.reason)

        return opened.publish(capture, description, signer=self._signer, created=self._utc_now(), progress=go_on)

    # --- what follows -------------------------------------------------------------------------------------------------

    def _find(self, receiver_id: str, capture_id: str) -> Capture | None:
        now = time.monotonic()
        capture = self._register.find(receiver_id, capture_id, now)
        if capture is not None and capture.is_open and capture.hear(receiver_id, now):
            self._keep(capture)
        return capture

    def _keep(self, capture: Capture) -> None:
        self._upkeep.keep(capture)
        self._on_change()

    def _run(self, capture: Capture) -> None:
        if capture.run():
            self._keep(capture)

    def _trouble(self, capture: Capture, reason: str) -> None:
        if capture.trouble(reason):
            if reason:
                _logger.warning("capture of %s: %s", capture.record.machine, reason)
            self._on_change()

    def _ended(self, capture: Capture, operator: str = "") -> None:
        record = capture.record
        self._keep(capture)
        self._upkeep.ended(record, operator or record.ordered_by)
        _logger.info("capture of %s into %s: %s %s", record.machine, record.image, record.step, record.reason)
        self._spawn(self._tidy(capture))

    async def _tidy(self, capture: Capture) -> None:
        """Remove what has arrived of a capture that has ended, and backups beyond those that stay."""
        opened = self._opened_of(capture)
        async with opened.lock:
            await self._in_thread(opened.folder.clear)
        self._opened.pop(capture.record.capture_id, None)
        record = capture.record
        if record.step is CaptureStep.DONE and record.kept:
            try:
                await self._in_publisher(lambda: keep_newest(self._library, record.machine, record.kept))
            except SlatecastError as error:
                _logger.warning("old backups of %s stay: %s", record.machine, error)
            self._on_image()

    def _opened_of(self, capture: Capture) -> OpenCapture:
        capture_id = capture.record.capture_id
        if capture_id not in self._opened:
            self._opened[capture_id] = OpenCapture(self._library, self._store.folder(capture_id))
        return self._opened[capture_id]

    async def _watch(self) -> None:
        while True:
            given_up, forgotten = self._register.expire(time.monotonic())
            for capture in given_up:
                self._ended(capture)
            for capture_id in forgotten:
                self._upkeep.forget(capture_id)
            await asyncio.sleep(WATCH_INTERVAL)

    async def _in_thread(self, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    async def _in_publisher(self, work: Callable[[], Result]) -> Result:
        """One after the other, since each locks the library, and needs memory for the rows of a whole disk."""
        return await asyncio.get_running_loop().run_in_executor(self._publisher, work)

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
