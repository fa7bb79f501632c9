"""What a joined seat does beside its sessions, over the seat API: ask for work, capture, restore, configure.

A broadcaster without a seat API has no errands: then a verified disk is restarted from as it is.
"""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Self

from protocol.capture import CaptureFailure
from protocol.errors import SlatecastError, TransportError
from protocol.fields import MAX_LONG_TEXT
from protocol.link.tls import pinned_context
from protocol.seat_api import WORK_INTERVAL, CaptureOrder, RestoreOffer, RestoreWish
from receiver.enrolment import Enrolment
from receiver.seat_api_link import SeatApiLink
from slatecast.seat.capturing import Capturing
from slatecast.seat.configuring import configure_disk
from slatecast.seat.disk_turn import DiskTurn
from slatecast.seat.events import (
    Afterwards,
    CaptureEnded,
    ConfigurationEnded,
    Event,
    RestoreAnswered,
    WorkSeen,
)


class Errands:
    """Of one seat that one broadcaster has let in, while entered."""

    def __init__(self, enrolment: Enrolment, tell: Callable[[Event], object], turn: DiskTurn, *, machine: str) -> None:
        """Nothing is connected yet; ``machine`` is the stable name of this PC."""
        self._enrolment = enrolment
        self._machine = machine
        self._tls = pinned_context(enrolment.trust.authority, enrolment.certificate)
        self._tell = tell
        self._turn = turn
        self._link: SeatApiLink | None = None
        self._capturing: Capturing | None = None
        self._stop_reason = ""
        self._jobs: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        """Get ready to ask."""
        if self._enrolment.seat_api:
            self._link = await SeatApiLink(self._enrolment.seat_api, self._tls).__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End what is under way, and wait until nothing of it has the disk any more."""
        self.stop_capture("")
        if self._jobs:
            await asyncio.wait(self._jobs)
        if self._link is not None:
            await self._link.__aexit__(kind, error, trace)

    async def look_for_work(self) -> None:
        """Ask again and again, until cancelled."""
        while True:
            try:
                self._tell(WorkSeen(None if self._link is None else await self._link.work()))
            except SlatecastError:
                self._tell(WorkSeen(None))
            await asyncio.sleep(WORK_INTERVAL)

    # --- captures ----------------------------------------------------------------------------------------------------

    def start_capture(self, order: CaptureOrder, target: str) -> None:
        """Read the disk into the library; its end is told."""
        url = self._enrolment.seat_api
        self._stop_reason = ""
        self._capturing = Capturing(order, target, url=url, tls=self._tls, machine=self._machine, tell=self._tell)
        self._start(self._capture(order, self._capturing))

    def stop_capture(self, reason: str) -> None:
        """End the capture that runs; with a ``reason`` the broadcaster is told that it is not to be expected."""
        self._stop_reason = reason
        if self._capturing is not None:
            self._capturing.stop()

    def refuse_capture(self, capture_id: str, reason: str) -> None:
        """Tell that it cannot be made here; how that went is told as its end."""
        self._start(self._refuse_capture(capture_id, reason))

    async def _refuse_capture(self, capture_id: str, reason: str) -> None:
        if self._link is None:
            return
        is_told = False
        with contextlib.suppress(TransportError):
            await self._link.send_failure(capture_id, CaptureFailure(is_refused=True, reason=reason[:MAX_LONG_TEXT]))
            is_told = True
        self._tell(CaptureEnded(capture_id, reason, may_try_again=not is_told))

    async def _capture(self, order: CaptureOrder, capturing: Capturing) -> None:
        if self._link is None or not self._turn.take():
            self._tell(CaptureEnded(order.capture_id, "the disk is in use", may_try_again=True))
            return
        try:
            ended = await capturing.run()
        finally:
            self._turn.give_back()
        if ended.fault and (reason := self._stop_reason):
            ended = CaptureEnded(order.capture_id, reason)
            with contextlib.suppress(SlatecastError):
                await self._link.send_failure(order.capture_id, CaptureFailure(is_refused=False, reason=reason))
        self._tell(ended)

    # --- restores ----------------------------------------------------------------------------------------------------

    def ask_restore(self, offer: RestoreOffer) -> None:
        """Tell the broadcaster what was chosen here; what it says is told."""
        self._start(self._ask_restore(offer))

    async def _ask_restore(self, offer: RestoreOffer) -> None:
        if self._link is None:
            return
        try:
            answer = await self._link.restore(RestoreWish(image=offer.image, version=offer.version))
        except SlatecastError as error:
            self._tell(RestoreAnswered(str(error)))
        else:
            self._tell(RestoreAnswered(answer.refusal))

    # --- configuration -----------------------------------------------------------------------------------------------

    async def configure(self, tsi: str, target: str) -> None:
        """Do to the verified disk what the broadcaster wants done, and tell how that ended."""
        ended = ConfigurationEnded(Afterwards.RESTART, is_configured=False)
        if self._link is not None:
            await asyncio.to_thread(self._turn.wait)  # for a capture that was told to stop
            try:
                ended = await configure_disk(tsi, target, self._link, self._tell)
            finally:
                self._turn.give_back()
        self._tell(ended)

    def _start(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        job = asyncio.create_task(work)
        self._jobs.add(job)
        job.add_done_callback(self._jobs.discard)
        return job
