import asyncio
import contextlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from broadcaster.dispatch import LOOKAHEAD, Dispatch
from broadcaster.encoder import SealedSymbols
from broadcaster.transmission import Transmission
from protocol.digests import Buffer
from protocol.errors import IntegrityError, SlatecastError, TransportError

LENGTH = 1450
DAMAGED = 3


def transmission(sbn: int) -> Transmission:
    return Transmission(1, sbn, 2, range(2), is_first_pass=True)


class Rate:
    rate_bits_per_second = 10**11
    reason = "at the set rate"


class PlannedSession:
    """Decides what it was given, one after the other, and records what has left."""

    def __init__(self, sbns: Sequence[int]) -> None:
        self.rate = Rate()
        self.stepped = asyncio.Event()
        self.planned = list(sbns)
        self.decided = 0
        self.left: list[int] = []

    def next_transmission(self, now: float) -> Transmission | None:
        if not self.planned:
            return None
        self.decided += 1
        self.stepped.set()
        return transmission(self.planned.pop(0))

    def transmitted(self, transmission: Transmission, now: float) -> None:
        self.left.append(transmission.sbn)
        self.stepped.set()


class Encoder:
    """Seals in no time; one block is damaged."""

    def encode(self, transmission: Transmission) -> SealedSymbols:
        if transmission.sbn == DAMAGED:
            raise IntegrityError("block 3", bytes(32), b"")
        return SealedSymbols(transmission, memoryview(bytes([transmission.sbn]) * 2 * LENGTH), LENGTH)


class Sender:
    """What a MulticastSender does, into a list; or it fails."""

    overhead = 46

    def __init__(self) -> None:
        self.is_down = False
        self.heard: list[int] = []

    def send_batch(self, buffers: Sequence[Buffer], datagram_length: int) -> None:
        if self.is_down:
            raise TransportError("the interface is down")
        self.heard.extend(bytes(buffer)[0] for buffer in buffers)


class Bench:
    def __init__(self, sbns: Sequence[int], executor: ThreadPoolExecutor) -> None:
        self.session, self.sender = PlannedSession(sbns), Sender()
        self.damaged: list[tuple[int, int]] = []
        self.failures: list[Exception] = []
        self.dispatch = Dispatch(
            self.session,  # type: ignore[arg-type]  # decides without a room
            Encoder(),  # type: ignore[arg-type]  # seals without a library
            executor,
            self.sender,  # type: ignore[arg-type]  # has the sender's interface without its socket
            host_cap=None,
            wait=lambda seconds: asyncio.sleep(0),
            on_damaged=self._cannot_send,
            on_failure=self._fail,
        )

    def _cannot_send(self, toi: int, sbn: int, error: SlatecastError) -> None:
        self.damaged.append((toi, sbn))

    def _fail(self, error: Exception) -> None:
        self.failures.append(error)
        self.session.stepped.set()

    async def run_until(self, is_so: Callable[[], bool], turns: int = 0) -> None:
        """Run until it is so, which is looked at after each step, and then for more turns of the loop."""
        running = asyncio.create_task(self.dispatch.run())
        async with asyncio.timeout(10):
            while not is_so():
                self.session.stepped.clear()
                await self.session.stepped.wait()
        for _ in range(turns):
            await asyncio.sleep(0)
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running


@pytest.fixture(name="executor")
def an_executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as executor:
        yield executor


@pytest.mark.asyncio
async def test_what_is_decided_leaves_and_what_is_damaged_takes_no_place(executor: ThreadPoolExecutor) -> None:
    sbns = [1, 2, *([DAMAGED] * 2 * LOOKAHEAD), *range(4, 30)]
    bench = Bench(sbns, executor)
    bench.dispatch.start()
    await bench.run_until(lambda: len(bench.session.left) == 28)
    bench.dispatch.stop()
    assert sorted(bench.session.left) == [1, 2, *range(4, 30)]
    assert set(bench.sender.heard) == {1, 2, *range(4, 30)}
    assert bench.damaged == [(1, DAMAGED)] * 2 * LOOKAHEAD
    assert bench.dispatch.bytes_sent == 28 * 2 * LENGTH
    assert not bench.failures


@pytest.mark.asyncio
async def test_no_more_is_decided_than_may_be_under_way(executor: ThreadPoolExecutor) -> None:
    bench = Bench(range(4, 100), executor)  # the transmitter is not started: nothing leaves
    await bench.run_until(lambda: bench.session.decided >= LOOKAHEAD, turns=200)
    assert bench.session.decided == LOOKAHEAD


@pytest.mark.asyncio
async def test_a_group_that_cannot_be_sent_to_is_told(executor: ThreadPoolExecutor) -> None:
    bench = Bench([1], executor)
    bench.sender.is_down = True
    bench.dispatch.start()
    await bench.run_until(lambda: bool(bench.failures))
    bench.dispatch.stop()
    assert [str(error) for error in bench.failures] == ["the interface is down"]
    assert not bench.session.left


@pytest.mark.asyncio
async def test_the_rate_follows_the_session(executor: ThreadPoolExecutor, caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench([], executor)
    with caplog.at_level("INFO"):
        bench.dispatch.follow_rate()
        assert not caplog.messages
        bench.session.rate.rate_bits_per_second = 5_000_000
        bench.session.rate.reason = "3 seats report loss"
        bench.dispatch.follow_rate()
        bench.dispatch.follow_rate()
    assert caplog.messages == ["rate 5 Mbit/s: 3 seats report loss"]
