"""Runs one capture for a seat, in a thread with an event loop of its own, so that its end is the end of all of it.

A capture looks at the disk in threads that cannot be cancelled, and may have a file system of it mounted, read-only. It
is over only when the last of them is: before that nobody else gets the disk.
"""

import asyncio
import ssl
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

from protocol.capture import CaptureState, CaptureStep
from protocol.errors import LibraryError, SlatecastError, TransportError
from protocol.seat_api import CaptureOrder
from receiver.capture.run import CaptureNews, run_capture
from receiver.seat_api_link import SeatApiLink
from slatecast.seat.events import INTERRUPTED, CaptureEnded, CaptureProgressed

LAST_LOOK: Final = 2.0
"""[s] for asking once more what became of a capture that was stopped: a session waits for the disk meanwhile."""


_OVER: Final = (CaptureStep.DONE, CaptureStep.REFUSED, CaptureStep.FAILED)


class Capturing:
    """One capture."""

    def __init__(
        self,
        order: CaptureOrder,
        target: str,
        *,
        url: str,
        tls: ssl.SSLContext,
        machine: str,
        tell: Callable[[CaptureProgressed], object],
    ) -> None:
        """``url`` and ``tls`` are the seat API's; ``tell`` is called in the event loop that this is made in."""
        self._order = order
        self._target = target
        self._url = url
        self._tls = tls
        self._machine = machine
        self._tell = tell
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._inner: tuple[asyncio.AbstractEventLoop, asyncio.Task[CaptureEnded]] | None = None
        self._is_stopped = False

    async def run(self) -> CaptureEnded:
        """Its end, when nothing of it has the disk any more."""
        # asyncio.run waits for every thread that was started in its loop.
        return await asyncio.to_thread(lambda: asyncio.run(self._capture()))

    def stop(self) -> None:
        """Let it end soon; as often as one likes."""
        with self._lock:
            was_stopped, self._is_stopped = self._is_stopped, True
            if self._inner is not None and not was_stopped:
                loop, task = self._inner
                loop.call_soon_threadsafe(task.cancel)

    async def _capture(self) -> CaptureEnded:
        task = asyncio.current_task()
        assert task is not None
        with self._lock:
            self._inner = (asyncio.get_running_loop(), task)
            if self._is_stopped:
                return self._interrupted()
        try:
            async with SeatApiLink(self._url, self._tls) as link:
                try:
                    state = await run_capture(
                        link, self._order, Path(self._target), self._progress, machine=self._machine
                    )
                except asyncio.CancelledError:
                    return await self._stopped(link)
        except asyncio.CancelledError:
            return self._interrupted()
        except SlatecastError as error:
            may_try_again = isinstance(error, TransportError | LibraryError)
            return CaptureEnded(self._order.capture_id, str(error), may_try_again)
        finally:
            with self._lock:
                self._inner = None
        return self._ended(state)

    async def _stopped(self, link: SeatApiLink) -> CaptureEnded:
        """A backup lets its session begin before this seat has heard that it is done: so that is asked for."""
        try:
            async with asyncio.timeout(LAST_LOOK):
                state = await link.capture_state(self._order.capture_id)
        except (SlatecastError, TimeoutError):
            return self._interrupted()
        return self._ended(state) if state.step in _OVER else self._interrupted()

    def _ended(self, state: CaptureState) -> CaptureEnded:
        fault = "" if state.step is CaptureStep.DONE else state.reason or f"the broadcaster says that it {state.step}"
        return CaptureEnded(self._order.capture_id, fault)

    def _interrupted(self) -> CaptureEnded:
        return CaptureEnded(self._order.capture_id, INTERRUPTED, may_try_again=True)

    def _progress(self, news: CaptureNews) -> None:
        """In the capture's loop."""
        done = min(1.0, news.read_bytes / news.total_bytes) if news.total_bytes else 0.0
        self._loop.call_soon_threadsafe(self._tell, CaptureProgressed(done, news.doing, news.waits_for))
