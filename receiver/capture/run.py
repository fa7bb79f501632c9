"""One capture from its order to its end: look, refuse or send, describe the disk, and say how it went.

    look (survey, findings) -> refused before anything is sent
                            -> send what is lacking -> describe the disk -> DONE, or what was still lacking once more

The broadcaster's state is what counts: it is asked once a second whether the capture is still wanted. Only what cannot
get better ends a capture at the broadcaster. Whoever is cut off, switched off or stopped by Ctrl-C leaves it open, and
runs it again from the beginning, which sends the rest.
"""

import asyncio
import tempfile
from collections.abc import Callable, Collection
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import msgspec

from protocol.capture import (
    CaptureFailure,
    CaptureProgress,
    CaptureState,
    CaptureStep,
    Finding,
    encode_disk,
)
from protocol.disk.private_mounts import Check, in_private_mounts
from protocol.disk.source import open_source
from protocol.errors import LibraryError, RefusedError, SourceError, TargetError, TransportError
from protocol.fields import MAX_LONG_TEXT, MAX_SHORT_TEXT
from protocol.seat_api import CaptureOrder
from receiver.capture.findings import find_all, refusals
from receiver.capture.patience import patiently
from receiver.capture.reading import Survey, describe, survey
from receiver.capture.sending import ChunkSender
from receiver.seat_api_link import SeatApiLink
from receiver.target import TargetInfo, TargetKind, inspect_target

PROGRESS_INTERVAL: Final = 1.0
"""[s] between two reports of progress, and two questions whether the capture is still wanted."""

ROUNDS: Final = 3
"""[passes] over the disk before a broadcaster that still lacks chunks is given up: one that loses what it was given."""

PARTING_PATIENCE: Final = 30.0
"""[s] for telling the broadcaster that it failed here; then it learns it from the silence."""

_OVER: Final = (CaptureStep.DONE, CaptureStep.REFUSED, CaptureStep.FAILED)


@dataclass(frozen=True)
class CaptureNews:
    """How far a capture is, for whoever shows it."""

    doing: str
    """looking, unfolding a virtual disk, sending or finishing"""
    read_bytes: int = 0
    """bytes of the disk that are done with"""
    total_bytes: int = 0
    """bytes that will be read; 0 before it is known"""
    sent_bytes: int = 0
    """bytes that the library lacked, compressed"""
    waits_for: str = ""
    """why it does not go on for the moment"""
    findings: tuple[Finding, ...] = field(default=(), repr=False)
    """what was found on the disk, once it was looked at"""


OnProgress = Callable[[CaptureNews], object]


@dataclass(frozen=True)
class _Look:
    survey: Survey
    findings: tuple[Finding, ...]


def check_disk(target: Path) -> TargetInfo:
    """The disk; one that cannot be captured because something uses it is refused.

    Raises:
        TargetError: in use, or no disk and no file.
    """
    info = inspect_target(target)
    if info.use and (info.kind is TargetKind.FILE or not info.use.startswith("what this system was booted from")):
        raise TargetError(info.path, f"is {info.use}; what changes while it is read is no image: free it first")
    return info


def inspect(target: Path, *, is_backup: bool = False) -> tuple[Finding, ...]:
    """What would be said of this disk; blocks.

    Raises:
        TargetError, SourceError: it cannot be captured at all.
        LibraryError: a tool is missing.
    """
    check_disk(target)
    with ExitStack() as stack:
        return _look(stack, target, is_backup, lambda _what, _done, _total: None).findings


async def run_capture(
    api: SeatApiLink, order: CaptureOrder, target: Path, on_progress: OnProgress, *, machine: str = ""
) -> CaptureState:
    """Capture the disk at ``target`` as ordered; the state in which it ended.

    Args:
        api: entered.
        order: of this receiver.
        target: a whole disk that nothing uses, a disk image, or a stopped virtual machine's disk.
        on_progress: called in the event loop, at most a few times a second, and whenever something changes.
        machine: for the image's description.

    Raises:
        TransportError: nobody answered for PATIENCE; the capture stays open.
        LibraryError: the library was full for PATIENCE; the capture stays open.
        RefusedError: the broadcaster knows no such capture of this receiver.
    """
    return await _Run(api, order, target, on_progress, machine).run()


class _Run:
    def __init__(
        self, api: SeatApiLink, order: CaptureOrder, target: Path, on_progress: OnProgress, machine: str
    ) -> None:
        self._api = api
        self._order = order
        self._target = target
        self._on_progress = on_progress
        self._machine = machine
        self._news = CaptureNews("looking")
        self._sender: ChunkSender | None = None
        self._disk: TargetInfo | None = None
        """once it is known to be free"""

    async def run(self) -> CaptureState:
        state = await patiently(lambda: self._api.capture_state(self._order.capture_id), self._waits)
        if state.step in _OVER:
            return state
        work = asyncio.create_task(self._capture())
        watch = asyncio.create_task(self._watch())
        try:
            await asyncio.wait({work, watch}, return_when=asyncio.FIRST_COMPLETED)
            return await (work if work.done() else watch)
        finally:
            for task in (work, watch):
                task.cancel()
            await asyncio.gather(work, watch, return_exceptions=True)

    async def _capture(self) -> CaptureState:
        try:
            with ExitStack() as stack:
                self._tell()
                self._disk = await asyncio.to_thread(check_disk, self._target)
                look = await asyncio.to_thread(_look, stack, self._target, self._order.is_backup, self._unfolds())
                self._tell(findings=look.findings, total_bytes=look.survey.bytes_to_read)
                if refused := refusals(look.findings, self._order.accepts):
                    return await self._give_up(_in_words(refused), look.findings, is_refused=True)
                return await self._send(look)
        except LibraryError as error:
            if self._sender is not None:
                raise  # the broadcaster's library is full
            return await self._give_up(str(error), (), is_refused=True)  # a tool is missing here
        except (SourceError, TargetError) as error:
            return await self._give_up(str(error), self._news.findings, is_refused=self._sender is None)
        except OSError as error:
            reason = f"{self._target} cannot be captured: {error.strerror or error}"
            return await self._give_up(reason, self._news.findings, is_refused=self._sender is None)
        except RefusedError:
            # The broadcaster takes nothing more: what became of the capture is for its state to say.
            state = await self._api.capture_state(self._order.capture_id)
            if state.step in _OVER:
                return state
            raise

    async def _send(self, look: _Look) -> CaptureState:
        for _ in range(ROUNDS):
            sender = ChunkSender(self._api, self._order.capture_id, look.survey, self._waits)
            self._sender = sender
            self._tell(doing="sending")
            rows = await sender.send()
            if not len(rows):
                raise SourceError(str(self._target), "holds nothing but zeros: there is nothing to capture")
            self._tell(doing="finishing")
            disk = describe(look.survey, rows, self._machine, look.findings)
            body = await asyncio.to_thread(encode_disk, disk, rows)
            state = await self._finished(body)
            if state.step in _OVER:
                return state
        reason = f"the broadcaster lacks chunks that it was sent {ROUNDS} times: look at its log"
        return await self._give_up(reason, look.findings, is_refused=False)

    async def _finished(self, body: bytes) -> CaptureState:
        """Hand over the description, and wait until the broadcaster has proved that it has everything."""
        capture_id = self._order.capture_id
        state = await patiently(lambda: self._api.send_disk(capture_id, body), self._waits)
        while state.is_finishing:
            await asyncio.sleep(PROGRESS_INTERVAL)
            state = await patiently(lambda: self._api.capture_state(capture_id), self._waits)
        return state

    async def _watch(self) -> CaptureState:
        """Tell how far it is until the broadcaster says that it is over."""
        while True:
            await asyncio.sleep(PROGRESS_INTERVAL)
            self._tell()
            try:
                state = await self._report()
            except (TransportError, LibraryError):
                continue  # whoever sends chunks waits, and says why
            if state.step in _OVER:
                return state

    async def _report(self) -> CaptureState:
        news, disk = self._news, self._disk
        progress = CaptureProgress(
            done=min(1.0, news.read_bytes / news.total_bytes) if news.total_bytes else 0.0,
            read_bytes=news.read_bytes,
            sent_bytes=news.sent_bytes,
            target="" if disk is None else str(disk)[:MAX_SHORT_TEXT],
            disk_size=0 if disk is None else disk.size,
        )
        return await self._api.send_progress(self._order.capture_id, progress)

    async def _give_up(self, reason: str, findings: tuple[Finding, ...], *, is_refused: bool) -> CaptureState:
        failure = CaptureFailure(is_refused=is_refused, reason=reason[:MAX_LONG_TEXT], findings=findings)
        step = CaptureStep.REFUSED if is_refused else CaptureStep.FAILED
        order = self._order

        async def tell() -> CaptureState:
            if self._disk is not None:  # which may not have been told yet
                await self._report()
            return await self._api.send_failure(order.capture_id, failure)

        try:
            state = await patiently(tell, self._waits, PARTING_PATIENCE)
        except (TransportError, LibraryError):
            state = CaptureState(capture_id=order.capture_id, step=step, image=order.image)
        return state if state.reason else msgspec.structs.replace(state, reason=failure.reason)

    def _unfolds(self) -> Callable[[str, int, int], None]:
        """For open_source, which calls from its thread."""
        loop = asyncio.get_running_loop()

        def told(what: str, done: int, total: int) -> None:
            loop.call_soon_threadsafe(lambda: self._tell(doing=what, read_bytes=done, total_bytes=total))

        return told

    def _waits(self, reason: str) -> None:
        self._tell(waits_for=reason)

    def _tell(
        self,
        *,
        doing: str | None = None,
        findings: Collection[Finding] | None = None,
        read_bytes: int | None = None,
        total_bytes: int | None = None,
        waits_for: str | None = None,
    ) -> None:
        news, sender = self._news, self._sender
        self._news = replace(
            news,
            doing=news.doing if doing is None else doing,
            findings=news.findings if findings is None else tuple(findings),
            total_bytes=news.total_bytes if total_bytes is None else total_bytes,
            waits_for=news.waits_for if waits_for is None else waits_for,
            read_bytes=sender.read_bytes if sender is not None else read_bytes or 0,
            sent_bytes=0 if sender is None else sender.sent_bytes,
        )
        self._on_progress(self._news)


def _look(stack: ExitStack, target: Path, is_backup: bool, progress: Callable[[str, int, int], None]) -> _Look:
    """Open the disk for as long as ``stack`` is, and look at it."""
    scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="slatecast-capture-", dir=_roomy())))
    source = stack.enter_context(open_source(target, scratch, progress))

    def look(_check: Check) -> _Look:
        found = survey(source, scratch)
        return _Look(found, find_all(found, is_backup=is_backup))

    # A disk can be captured without being looked into, which is then one of its findings.
    return in_private_mounts(look, is_needed=False)


def _roomy() -> str | None:
    """Where a virtual disk can be unfolded, unless TMPDIR says it: /tmp may be in memory, /var/tmp is not."""
    return "/var/tmp" if tempfile.gettempdir() == "/tmp" and Path("/var/tmp").is_dir() else None


def _in_words(refused: list[Finding]) -> str:
    """One line for all that stands in the way."""
    first = refused[0]
    more = f" (and {len(refused) - 1} more)" if len(refused) > 1 else ""
    return f"{first.where}: {first.text} [{first.code}]{more}"
