import asyncio
import ssl
import threading
from pathlib import Path

import pytest

from protocol.capture import CaptureState, CaptureStep
from protocol.errors import LibraryError, RefusedError, TransportError
from protocol.seat_api import CaptureOrder
from receiver.capture.run import CaptureNews, OnProgress
from receiver.seat_api_link import SeatApiLink
from slatecast.seat import capturing
from slatecast.seat.capturing import Capturing
from slatecast.seat.events import INTERRUPTED, CaptureEnded, CaptureProgressed
from tests.slatecast.seat.facts import ORDER

pytestmark = pytest.mark.asyncio


class Played:
    """A capture that does what a test wants."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.end: CaptureState | Exception | None = None
        """None: it lasts until it is stopped"""
        self.is_endless = False
        self.has_begun = threading.Event()
        self.may_let_go = threading.Event()
        self.has_let_go = False
        self.answers: list[CaptureState | Exception] = []
        """to whoever asks afterwards; nobody answers when there are none"""
        monkeypatch.setattr(capturing, "run_capture", self.run)
        monkeypatch.setattr(SeatApiLink, "capture_state", self.capture_state)

    async def run(
        self, _api: SeatApiLink, _order: CaptureOrder, target: Path, tell: OnProgress, *, machine: str
    ) -> CaptureState:
        assert (str(target), machine) == ("/dev/sda", "aa:bb:cc:dd:ee:0f")
        tell(CaptureNews("sending", read_bytes=1, total_bytes=4, waits_for="the library is full"))
        self.has_begun.set()
        if isinstance(self.end, Exception):
            raise self.end
        if self.end is not None:
            return self.end
        if self.is_endless:
            await asyncio.Event().wait()
        await asyncio.to_thread(self._read)
        raise AssertionError

    async def capture_state(self, capture_id: str) -> CaptureState:
        assert capture_id == ORDER.capture_id
        if not self.answers:
            await asyncio.Event().wait()
        answer = self.answers.pop()
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _read(self) -> None:
        """Cannot be cancelled."""
        self.may_let_go.wait(10)
        self.has_let_go = True


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> Played:
    return Played(monkeypatch)


def a_capture(told: list[CaptureProgressed]) -> Capturing:
    return Capturing(
        ORDER,
        "/dev/sda",
        url="https://192.0.2.1:1",
        tls=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
        machine="aa:bb:cc:dd:ee:0f",
        tell=told.append,
    )


def state(step: CaptureStep, reason: str = "") -> CaptureState:
    return CaptureState(capture_id=ORDER.capture_id, step=step, image="classroom", reason=reason)


@pytest.mark.parametrize(
    ("end", "fault", "may_try_again"),
    [
        (state(CaptureStep.DONE), "", False),
        (state(CaptureStep.REFUSED, "a file system is dirty"), "a file system is dirty", False),
        (state(CaptureStep.FAILED), "the broadcaster says that it failed", False),
        (TransportError("away"), "away", True),
        (LibraryError("the library is full"), "the library is full", True),
        (RefusedError("no such capture"), "no such capture", False),
    ],
)
async def test_how_it_ends(played: Played, end: CaptureState | Exception, fault: str, may_try_again: bool) -> None:
    played.end = end
    told: list[CaptureProgressed] = []
    assert await a_capture(told).run() == CaptureEnded(ORDER.capture_id, fault, may_try_again)
    await asyncio.sleep(0)
    assert told == [CaptureProgressed(0.25, "sending", "the library is full")]


async def test_it_has_not_stopped_before_its_last_thread_has(played: Played) -> None:
    played.answers = [state(CaptureStep.RUNNING)]
    capture = a_capture([])
    running = asyncio.create_task(capture.run())
    await asyncio.to_thread(played.has_begun.wait, 10)
    capture.stop()
    capture.stop()
    for _ in range(5):
        await asyncio.sleep(0)
    assert not running.done()
    played.may_let_go.set()
    assert await running == CaptureEnded(ORDER.capture_id, INTERRUPTED, may_try_again=True)
    assert played.has_let_go


async def stopped(played: Played, *answers: CaptureState | Exception) -> CaptureEnded:
    """How one ends that is stopped in the middle, by what the broadcaster then says of it."""
    played.answers = list(answers)
    played.is_endless = True
    capture = a_capture([])
    running = asyncio.create_task(capture.run())
    await asyncio.to_thread(played.has_begun.wait, 10)
    capture.stop()
    return await running


async def test_stopped_by_the_session_that_waited_for_it_it_is_done(played: Played) -> None:
    assert await stopped(played, state(CaptureStep.DONE)) == CaptureEnded(ORDER.capture_id)


async def test_or_it_is_over_for_the_reason_that_the_broadcaster_knows(played: Played) -> None:
    ended = await stopped(played, state(CaptureStep.FAILED, "anna has stopped it"))
    assert ended == CaptureEnded(ORDER.capture_id, "anna has stopped it")


async def test_or_nobody_knows_and_it_comes_again(played: Played, monkeypatch: pytest.MonkeyPatch) -> None:
    again = CaptureEnded(ORDER.capture_id, INTERRUPTED, may_try_again=True)
    assert await stopped(played, TransportError("away")) == again
    monkeypatch.setattr(capturing, "LAST_LOOK", 0.01)
    assert await stopped(played) == again


async def test_stopped_before_it_began_it_does_nothing(played: Played) -> None:
    capture = a_capture([])
    capture.stop()
    assert (await capture.run()).fault == INTERRUPTED
    assert not played.has_begun.is_set()
