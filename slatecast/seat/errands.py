"""What a joined seat does beside its sessions, over the seat API: ask for work, capture, restore, configure.

A broadcaster without a seat API has no errands: then a verified disk is restarted from as it is.
"""

import asyncio
import contextlib
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_delay, wait_fixed

from protocol.capture import CaptureFailure
from protocol.configuration import Restart
from protocol.errors import SlatecastError, TransportError
from protocol.link.tls import pinned_context
from protocol.seat_api import WORK_INTERVAL, CaptureOrder, RestoreOffer, RestoreWish
from receiver.enrolment import Enrolment
from receiver.seat_api_link import SeatApiLink
from slatecast.seat.disk_jobs import capture_disk, configure_disk
from slatecast.seat.disk_turn import DiskTurn
from slatecast.seat.events import (
    Afterwards,
    CaptureEnded,
    ConfigurationEnded,
    Event,
    RestoreAnswered,
    WorkSeen,
)

FETCH_PATIENCE: Final = 60.0
"""[s] How long a configuration is asked for: a broadcaster that restarts at that very moment is back by then."""

RETRY_SECONDS: Final = 1.0
"""[s] between two such questions"""

_AFTERWARDS: Final = {
    Restart.REBOOT: Afterwards.RESTART,
    Restart.POWEROFF: Afterwards.POWER_OFF,
    Restart.STAY: Afterwards.STAY,
}


class Errands:
    """Of one seat that one broadcaster has let in, while entered."""

    def __init__(self, enrolment: Enrolment, tell: Callable[[Event], object], turn: DiskTurn) -> None:
        """Nothing is connected yet."""
        self._enrolment = enrolment
        self._tell = tell
        self._turn = turn
        self._link: SeatApiLink | None = None
        self._capture: asyncio.Task[None] | None = None
        self._stop_reason = ""
        self._jobs: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        """Get ready to ask."""
        if self._enrolment.seat_api:
            tls = pinned_context(self._enrolment.trust.authority, self._enrolment.certificate)
            self._link = await SeatApiLink(self._enrolment.seat_api, tls).__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End what is under way, and wait until nothing of it has the disk any more."""
        for job in self._jobs:
            job.cancel()
        if self._jobs:
            await asyncio.wait(self._jobs)
        if self._link is not None:
            await self._link.__aexit__(kind, error, trace)

    async def look_for_work(self) -> None:
        """Ask again and again, until cancelled."""
        if self._link is None:
            return
        while True:
            try:
                self._tell(WorkSeen(await self._link.work()))
            except SlatecastError:
                self._tell(WorkSeen(None))
            await asyncio.sleep(WORK_INTERVAL)

    # --- captures ----------------------------------------------------------------------------------------------------

    def start_capture(self, order: CaptureOrder, target: str) -> None:
        """Read the disk into the library; its end is told."""
        self._stop_reason = ""
        self._capture = self._start(self._run_capture(order, target))

    def stop_capture(self, reason: str) -> None:
        """End the capture that runs; with a ``reason`` the broadcaster is told that it is not to be expected."""
        if self._capture is not None:
            self._stop_reason = reason
            self._capture.cancel()

    async def _run_capture(self, order: CaptureOrder, target: str) -> None:
        if self._link is None or not self._turn.take():
            self._tell(CaptureEnded(order.capture_id, "the disk is in use", may_try_again=True))
            return
        try:
            ended = await capture_disk(order, target, self._link, self._tell)
        except asyncio.CancelledError:
            ended = CaptureEnded(order.capture_id, self._stop_reason or "interrupted", not self._stop_reason)
            if self._stop_reason:
                with contextlib.suppress(SlatecastError):
                    failure = CaptureFailure(is_refused=False, reason=self._stop_reason)
                    await self._link.send_failure(order.capture_id, failure)
        finally:
            self._turn.give_back()
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
        if self._link is None:
            self._tell(ConfigurationEnded(Afterwards.RESTART, is_configured=False))
            return
        try:
            body = await self._fetched_configuration(self._link, tsi)
        except SlatecastError as error:
            self._tell(ConfigurationEnded(Afterwards.STAY, f"the configuration cannot be fetched: {error}"))
            return
        if body is None:
            self._tell(ConfigurationEnded(Afterwards.RESTART, is_configured=False))
            return
        await asyncio.to_thread(self._turn.wait)  # for a capture that was told to stop
        try:
            restart, fault = await configure_disk(body, tsi, target, self._link, self._tell)
        finally:
            self._turn.give_back()
        self._tell(ConfigurationEnded(Afterwards.STAY if fault else _AFTERWARDS[restart], fault))

    async def _fetched_configuration(self, link: SeatApiLink, tsi: str) -> bytes | None:
        async for attempt in AsyncRetrying(
            retry=retry_if_exception_type(TransportError),
            wait=wait_fixed(RETRY_SECONDS),
            stop=stop_after_delay(FETCH_PATIENCE),
            reraise=True,
        ):
            with attempt:
                return await link.configuration(tsi)
        return None

    def _start(self, work: "asyncio._CoroutineLike[None]") -> asyncio.Task[None]:
        job: asyncio.Task[None] = asyncio.ensure_future(work)  # type: ignore[arg-type]
        self._jobs.add(job)
        job.add_done_callback(self._jobs.discard)
        return job
