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
from slatecast.seat.events import CaptureEnded, CaptureProgressed
from tests.slatecast.seat.facts import ORDER

pytestmark = pytest.mark.asyncio


class Played:
    """A capture that does what a test wants."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.end: CaptureState | Exception | None = None
        """None: it lasts until it is stopped"""
        self.has_begun = threading.Event()
        self.may_let_go = threading.Event()
        self.has_let_go = False
        monkeypatch.setattr(capturing, "run_capture", self.run)

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
        await asyncio.to_thread(self._read)
        raise AssertionError

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
    capture = a_capture([])
    running = asyncio.create_task(capture.run())
    await asyncio.to_thread(played.has_begun.wait, 10)
    capture.stop()
    capture.stop()
    for _ in range(5):
        await asyncio.sleep(0)
    assert not running.done()
    played.may_let_go.set()
    assert await running == CaptureEnded(ORDER.capture_id, "interrupted", may_try_again=True)
    assert played.has_let_go


async def test_stopped_before_it_began_it_does_nothing(played: Played) -> None:
    capture = a_capture([])
    capture.stop()
    assert (await capture.run()).fault == "interrupted"
    assert not played.has_begun.is_set()
