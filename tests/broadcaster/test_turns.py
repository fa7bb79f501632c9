import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from broadcaster.pacing import BURST_SECONDS
from broadcaster.turns import RateCap, Turns
from protocol.errors import SessionStateError

MEGABIT = 1_000_000


class Clock:
    """Time passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds
        await asyncio.sleep(0)


@asynccontextmanager
async def running(rate: int, clock: Clock, cap: RateCap | None = None) -> AsyncIterator[Turns]:
    turns = Turns(rate, cap=cap, clock=clock, sleep=clock.sleep)
    task = asyncio.create_task(turns.run())
    try:
        yield turns
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@pytest.mark.asyncio
async def test_all_together_keep_to_the_rate() -> None:
    clock, rng, sent = Clock(), random.Random(1), 0
    lengths = [[rng.randrange(1, 64_000) for _ in range(50)] for _ in range(5)]

    async def send(turns: Turns, address: str, mine: list[int]) -> None:
        nonlocal sent
        for length in mine:
            await turns.take(address, length)
            assert sent <= (clock.now - 1000 + BURST_SECONDS) * 100 * MEGABIT / 8
            sent += length

    async with running(100 * MEGABIT, clock) as turns:
        await asyncio.gather(*(send(turns, f"10.0.0.{n}", mine) for n, mine in enumerate(lengths)))
    assert clock.now - 1000 == pytest.approx(sent * 8 / (100 * MEGABIT), rel=0.02)


@pytest.mark.asyncio
async def test_addresses_take_turns_however_much_one_asks() -> None:
    clock, order = Clock(), list[str]()

    async def ask(turns: Turns, address: str) -> None:
        for _ in range(4):
            await turns.take(address, 1000)
            order.append(address)

    async with running(MEGABIT, clock) as turns:
        await asyncio.gather(*(ask(turns, "greedy") for _ in range(20)), ask(turns, "a"), ask(turns, "b"))
    assert Counter(order[:12]) == {"greedy": 4, "a": 4, "b": 4}
    assert len(order) == 88


@pytest.mark.asyncio
async def test_the_rate_may_change_at_any_time() -> None:
    clock = Clock()
    async with running(8 * MEGABIT, clock) as turns:
        for rate in (8, 80, 4):
            turns.rate_bits_per_second = rate * MEGABIT
            assert turns.rate_bits_per_second == rate * MEGABIT
            await turns.take("a", 1)
            began = clock.now
            for _ in range(100):
                await turns.take("a", 10_000)
            assert clock.now - began == pytest.approx(8 / rate, rel=0.02)
        for nonsense in (0, -1):
            with pytest.raises(SessionStateError):
                turns.rate_bits_per_second = nonsense


@pytest.mark.asyncio
async def test_a_turn_after_a_change_of_rate_is_charged_at_the_new_one() -> None:
    class ClockWithEvent(Clock):
        async def sleep(self, seconds: float) -> None:
            turns.rate_bits_per_second = 1000 * MEGABIT
            await super().sleep(seconds)

    clock = ClockWithEvent()
    async with running(MEGABIT // 10, clock) as turns:
        await turns.take("a", 1450)
        await turns.take("a", 60_000)  # asked for, and then waited for, while the rate is still low
        await turns.take("a", 1)
    assert 0.1 < clock.now - 1000 < 0.13


@pytest.mark.asyncio
async def test_a_cap_of_the_host_holds_turns_back() -> None:
    class Cap:
        reserved = 0

        def reserve(self, length: int) -> float:
            self.reserved += length
            return 0.5

    clock, cap = Clock(), Cap()
    async with running(1000 * MEGABIT, clock, cap) as turns:
        for _ in range(10):
            await turns.take("a", 1000)
    assert clock.now - 1000 == pytest.approx(5)
    assert cap.reserved == 10_000


@pytest.mark.asyncio
async def test_who_has_gone_costs_nothing() -> None:
    clock = Clock()
    async with running(MEGABIT, clock) as turns:
        gone = [asyncio.create_task(turns.take(address, 125_000)) for address in "aab"]
        await asyncio.sleep(0)
        for task in gone:
            task.cancel()
        began = clock.now
        await turns.take("a", 125_000)
        await turns.take("c", 125_000)
    assert clock.now - began <= 2.01
