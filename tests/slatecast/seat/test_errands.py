import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest
import pytest_asyncio

from protocol.capture import CaptureFailure
from protocol.errors import RefusedError, TransportError
from protocol.seat_api import RestoreAnswer, RestoreWish, Work
from slatecast.seat import errands as errands_module
from slatecast.seat.disk_turn import DiskTurn
from slatecast.seat.errands import Errands
from slatecast.seat.events import (
    Afterwards,
    CaptureEnded,
    ConfigurationEnded,
    Event,
    RestoreAnswered,
    WorkSeen,
)
from tests.slatecast.seat.facts import OFFER, ORDER, TSI, WORK

pytestmark = pytest.mark.asyncio

DONE = CaptureEnded(ORDER.capture_id)
INTERRUPTED = CaptureEnded(ORDER.capture_id, "interrupted", may_try_again=True)


class SeatApi:
    """What a broadcaster answers, and what it was told."""

    def __init__(self) -> None:
        self.works: list[Work | Exception] = []
        self.answer: RestoreAnswer | Exception = RestoreAnswer(tsi=TSI)
        self.wishes: list[RestoreWish] = []
        self.failures: list[CaptureFailure] = []
        self.is_away = False

    async def __aenter__(self) -> "SeatApi":
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    async def work(self) -> Work:
        if not self.works:
            await asyncio.Event().wait()
        work = self.works.pop(0)
        if isinstance(work, Exception):
            raise work
        return work

    async def restore(self, wish: RestoreWish) -> RestoreAnswer:
        self.wishes.append(wish)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    async def send_failure(self, capture_id: str, failure: CaptureFailure) -> None:
        assert capture_id == ORDER.capture_id
        if self.is_away:
            raise TransportError("away")
        self.failures.append(failure)


class PlayedCapture:
    """Reads until it is told to stop, or is done."""

    def __init__(self, *_given: Any, **_more: Any) -> None:
        self.ended: asyncio.Future[CaptureEnded] = asyncio.get_running_loop().create_future()

    async def run(self) -> CaptureEnded:
        return await self.ended

    def stop(self) -> None:
        if not self.ended.done():
            self.ended.set_result(INTERRUPTED)


class Seat:
    """Errands with everything around them."""

    def __init__(self, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.api = SeatApi()
        self.turn = DiskTurn()
        self.told: asyncio.Queue[Event] = asyncio.Queue()
        self.captures: list[PlayedCapture] = []
        monkeypatch.setattr(errands_module, "pinned_context", lambda *_: None)
        monkeypatch.setattr(errands_module, "SeatApiLink", lambda *_: self.api)
        monkeypatch.setattr(errands_module, "Capturing", self._capture)
        monkeypatch.setattr(errands_module, "WORK_INTERVAL", 0.0)
        monkeypatch.setattr(errands_module, "configure_disk", self._configure)
        enrolment: Any = SimpleNamespace(
            seat_api=url, trust=SimpleNamespace(authority=b""), certificate=SimpleNamespace()
        )
        self.errands = Errands(enrolment, self.told.put_nowait, self.turn, machine="aa:bb:cc:dd:ee:0f")

    def _capture(self, *given: Any, **more: Any) -> PlayedCapture:
        self.captures.append(PlayedCapture(*given, **more))
        return self.captures[-1]

    async def _configure(self, tsi: str, target: str, link: object, _tell: object) -> ConfigurationEnded:
        assert (tsi, target, link) == (TSI, "/dev/sda", self.api)
        assert not self.turn.take()
        return ConfigurationEnded(Afterwards.POWER_OFF)


@pytest_asyncio.fixture
async def seat(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Seat]:
    seat = Seat("https://192.0.2.1:1", monkeypatch)
    async with seat.errands:
        yield seat


async def test_work_is_looked_for_again_and_again(seat: Seat) -> None:
    seat.api.works = [WORK, TransportError("away"), WORK]
    looking = asyncio.create_task(seat.errands.look_for_work())
    assert [await seat.told.get() for _ in range(3)] == [WorkSeen(WORK), WorkSeen(None), WorkSeen(WORK)]
    looking.cancel()


async def test_a_capture_has_the_disk_until_its_end(seat: Seat) -> None:
    seat.errands.start_capture(ORDER, "/dev/sda")
    await asyncio.sleep(0)
    assert not seat.turn.take()
    seat.captures[0].ended.set_result(DONE)
    assert await seat.told.get() == DONE
    assert seat.turn.take()


async def test_one_that_has_to_yield_may_come_again(seat: Seat) -> None:
    seat.errands.start_capture(ORDER, "/dev/sda")
    seat.errands.stop_capture("")
    assert await seat.told.get() == INTERRUPTED
    assert seat.api.failures == []


async def test_one_that_was_stopped_here_is_told_to_the_broadcaster(seat: Seat) -> None:
    seat.errands.start_capture(ORDER, "/dev/sda")
    seat.errands.stop_capture("stopped at the seat")
    assert await seat.told.get() == CaptureEnded(ORDER.capture_id, "stopped at the seat")
    assert [failure.reason for failure in seat.api.failures] == ["stopped at the seat"]


async def test_it_is_done_although_it_was_to_be_stopped(seat: Seat) -> None:
    seat.errands.start_capture(ORDER, "/dev/sda")
    seat.captures[0].ended.set_result(DONE)
    seat.errands.stop_capture("stopped at the seat")
    assert await seat.told.get() == DONE


async def test_no_capture_of_a_disk_that_somebody_else_uses(seat: Seat) -> None:
    assert seat.turn.take()
    seat.errands.start_capture(ORDER, "/dev/sda")
    assert await seat.told.get() == CaptureEnded(ORDER.capture_id, "the disk is in use", may_try_again=True)


@pytest.mark.parametrize(
    ("answer", "refusal"),
    [
        (RestoreAnswer(tsi=TSI), ""),
        (RestoreAnswer(tsi="", refusal="the room allows none"), "the room allows none"),
        (RefusedError("who are you"), "who are you"),
    ],
)
async def test_a_restore_is_asked_for_as_it_was_shown(
    seat: Seat, answer: RestoreAnswer | Exception, refusal: str
) -> None:
    seat.api.answer = answer
    seat.errands.ask_restore(OFFER)
    assert await seat.told.get() == RestoreAnswered(refusal)
    assert seat.api.wishes == [RestoreWish(image="classroom", version=3)]


async def test_a_disk_is_configured_when_nobody_else_has_it(seat: Seat) -> None:
    seat.errands.start_capture(ORDER, "/dev/sda")
    await asyncio.sleep(0)
    configuring = asyncio.create_task(seat.errands.configure(TSI, "/dev/sda"))
    for _ in range(5):
        await asyncio.sleep(0)
    assert not configuring.done()
    seat.errands.stop_capture("")
    await configuring
    assert await seat.told.get() == INTERRUPTED
    assert await seat.told.get() == ConfigurationEnded(Afterwards.POWER_OFF)
    assert seat.turn.take()


async def test_at_the_end_nothing_has_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    seat = Seat("https://192.0.2.1:1", monkeypatch)
    async with seat.errands:
        seat.errands.start_capture(ORDER, "/dev/sda")
    assert await seat.told.get() == INTERRUPTED
    assert seat.turn.take()


async def test_a_broadcaster_without_a_seat_api_has_no_errands(monkeypatch: pytest.MonkeyPatch) -> None:
    seat = Seat("", monkeypatch)
    async with seat.errands:
        looking = asyncio.create_task(seat.errands.look_for_work())
        assert await seat.told.get() == WorkSeen(None)
        looking.cancel()
        seat.errands.ask_restore(OFFER)
        seat.errands.start_capture(ORDER, "/dev/sda")
        assert (await seat.told.get()) == CaptureEnded(ORDER.capture_id, "the disk is in use", may_try_again=True)
        await seat.errands.configure(TSI, "/dev/sda")
        assert await seat.told.get() == ConfigurationEnded(Afterwards.RESTART, is_configured=False)


@pytest.mark.parametrize("is_away", [False, True])
async def test_a_capture_that_cannot_be_made_is_refused_once_somebody_hears_it(seat: Seat, is_away: bool) -> None:
    seat.api.is_away = is_away
    seat.errands.refuse_capture(ORDER.capture_id, "auto: fits 2 disks")
    assert await seat.told.get() == CaptureEnded(ORDER.capture_id, "auto: fits 2 disks", may_try_again=is_away)
    assert seat.api.failures == ([] if is_away else [CaptureFailure(is_refused=True, reason="auto: fits 2 disks")])
