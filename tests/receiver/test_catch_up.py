import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import pytest

from protocol.errors import MessageError, TransportError
from receiver import catch_up
from receiver.catch_up import FETCHES, CatchUpLoop
from receiver.catch_up_source import CatchUpSource
from receiver.events import Want

pytestmark = pytest.mark.asyncio


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catch_up, "FIRST_BACKOFF", 0.0)


class Lane:
    """A source that answers what it is told to, when it is told to."""

    def __init__(self, *, is_open: bool = True) -> None:
        self.asked: list[Want] = []
        self.failures: dict[int, list[str]] = {}
        self.damaged: set[int] = set()
        self.under_way = 0
        self.most_under_way = 0
        self.cancelled = 0
        self.is_full = asyncio.Event()
        self.go = asyncio.Event()
        if is_open:
            self.go.set()

    async def fetch_digests(self, toi: int, sbn: int, esis: range) -> bytes | None:
        raise AssertionError("nobody has asked for digests")

    async def fetch(self, toi: int, sbn: int, esis: range | None = None) -> bytes | None:
        self.asked.append(Want(toi, sbn, esis))
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        if self.under_way == FETCHES:
            self.is_full.set()
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.under_way -= 1
        if self.failures.get(sbn):
            raise TransportError(self.failures[sbn].pop(0))
        return None if sbn in self.damaged else b"%d" % sbn


class Session:
    """Wants what it is told to, and remembers what it got."""

    def __init__(self, *wants: Want, until: int | None = None) -> None:
        self.wants = list(wants)
        self.got: list[tuple[Want, bytes | None]] = []
        self.is_done = asyncio.Event()
        self.wanting = asyncio.Event()
        self.has_been_asked_in_vain = asyncio.Event()
        self._until = len(wants) if until is None else until

    def next_want(self) -> Want | None:
        if not self.wants:
            self.has_been_asked_in_vain.set()
            return None
        return self.wants.pop(0)

    def take(self, want: Want, data: bytes | None) -> None:
        self.got.append((want, data))
        if len(self.got) == self._until:
            self.is_done.set()


@asynccontextmanager
async def running(loop: CatchUpLoop, lane: Lane) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(loop.run(lane))
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def fetch_all(session: Session, lane: Lane, is_wanted: Callable[[Want], bool] = lambda want: True) -> CatchUpLoop:
    loop = CatchUpLoop(session.next_want, session.take, is_wanted)
    async with running(loop, lane):
        await asyncio.wait_for(session.is_done.wait(), 10)
    return loop


async def test_everything_wanted_is_fetched_once() -> None:
    wants = [Want(0, 0), *(Want(1, sbn, range(2, sbn + 3)) for sbn in range(20))]
    session, lane = Session(*wants), Lane()
    loop = await fetch_all(session, lane)
    assert sorted(session.got, key=str) == sorted([(want, b"%d" % want.sbn) for want in wants], key=str)
    assert lane.asked == wants
    assert loop.trouble == ""
    assert loop.failure_count == 0


async def test_a_few_are_under_way_at_a_time() -> None:
    session, lane = Session(*(Want(1, sbn) for sbn in range(6))), Lane(is_open=False)
    async with running(CatchUpLoop(session.next_want, session.take), lane):
        await lane.is_full.wait()
        assert len(session.wants) == 6 - FETCHES
        lane.go.set()
        await session.is_done.wait()
    assert lane.most_under_way == FETCHES


async def test_a_damaged_block_is_handed_on_as_none() -> None:
    session, lane = Session(Want(1, 3), Want(1, 4)), Lane()
    lane.damaged.add(3)
    await fetch_all(session, lane)
    assert sorted(session.got, key=str) == [(Want(1, 3), None), (Want(1, 4), b"4")]


async def test_a_failed_fetch_is_tried_again_until_it_succeeds(caplog: pytest.LogCaptureFixture) -> None:
    session, lane = Session(Want(1, 3)), Lane()
    lane.failures[3] = ["lane is down"] * 30 + ["lane is odd"]
    loop = CatchUpLoop(session.next_want, session.take)
    seen: list[str] = []
    lane_fetch = lane.fetch

    async def fetch(toi: int, sbn: int, esis: range | None = None) -> bytes | None:
        seen.append(loop.trouble)
        return await lane_fetch(toi, sbn, esis)

    lane.fetch = fetch  # type: ignore[method-assign]  # watched from outside
    async with running(loop, lane):
        await asyncio.wait_for(session.is_done.wait(), 10)
        await session.has_been_asked_in_vain.wait()
        assert loop.trouble == ""
    assert session.got == [(Want(1, 3), b"3")]
    assert seen == ["", *["lane is down"] * 30, "lane is odd"]
    assert loop.failure_count == 31
    assert [record.getMessage() for record in caplog.records] == [
        "lane is down; trying again",
        "lane is odd; trying again",
    ]


async def test_what_nobody_wants_any_more_is_not_tried_again() -> None:
    session, lane = Session(Want(1, 3), Want(1, 4), Want(1, 5), until=2), Lane()
    lane.failures[3] = ["lane is down"] * 1000
    await fetch_all(session, lane, is_wanted=lambda want: want.sbn != 3)
    assert sorted(want.sbn for want, _data in session.got) == [4, 5]
    assert [want.sbn for want in lane.asked].count(3) == 1


@pytest.mark.parametrize("is_woken", [True, False])
async def test_new_wants_are_noticed(is_woken: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catch_up, "IDLE_POLL", 1000.0 if is_woken else 0.01)
    session, lane = Session(until=1), Lane()
    loop = CatchUpLoop(session.next_want, session.take)
    async with running(loop, lane):
        await session.has_been_asked_in_vain.wait()
        session.wants.append(Want(1, 3))
        if is_woken:
            loop.wake()
        await asyncio.wait_for(session.is_done.wait(), 5)


async def test_being_cancelled_ends_every_fetch() -> None:
    session, lane = Session(*(Want(1, sbn) for sbn in range(6))), Lane(is_open=False)
    async with running(CatchUpLoop(session.next_want, session.take), lane) as task:
        await lane.is_full.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert lane.cancelled == FETCHES
    assert lane.under_way == 0
    assert session.got == []


async def test_being_cancelled_ends_the_wait_after_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catch_up, "FIRST_BACKOFF", 1000.0)
    monkeypatch.setattr(catch_up, "LONGEST_BACKOFF", 1000.0)
    has_failed = asyncio.Event()

    def is_wanted(want: Want) -> bool:
        has_failed.set()
        return True

    session, lane = Session(Want(1, 3)), Lane()
    lane.failures[3] = ["lane is down"] * 10
    async with running(CatchUpLoop(session.next_want, session.take, is_wanted), lane) as task:
        await has_failed.wait()
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_a_source_is_opened_for_a_good_url_only() -> None:
    async with CatchUpSource("http://127.0.0.1:9", "00" * 8, 1416, None) as source:
        assert source.bytes_received == 0
    with pytest.raises(MessageError):
        CatchUpSource("http://lab.example:80", "00" * 8, 1416, None)
