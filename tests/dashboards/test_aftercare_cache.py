import asyncio
from typing import Any

import pytest

from dashboards.aftercare_cache import AFTERCARE_AGE, MAX_KEPT, AftercareCache
from protocol.errors import RefusedError

pytestmark = pytest.mark.asyncio


class Broadcaster:
    def __init__(self) -> None:
        self.now = 100.0
        self.asked: list[tuple[str, str]] = []
        self.go_on = asyncio.Event()
        self.go_on.set()
        self.cache = AftercareCache(self.fetch, lambda: self.now)

    async def fetch(self, tsi: str, operator: str) -> dict[str, Any]:
        self.asked.append((tsi, operator))
        await self.go_on.wait()
        if tsi == "unknown":
            raise RefusedError("nothing is known")
        return {"seats": [], "number": len(self.asked)}


async def test_pages_share_an_answer_for_a_few_seconds() -> None:
    broadcaster = Broadcaster()
    first = await broadcaster.cache.get("a", "otto")
    assert await broadcaster.cache.get("a", "vera") is first
    broadcaster.now += AFTERCARE_AGE - 0.01
    assert await broadcaster.cache.get("a", "vera") is first
    await broadcaster.cache.get("b", "vera")
    broadcaster.now += 0.01
    assert (await broadcaster.cache.get("a", "vera"))["number"] == 3
    assert broadcaster.asked == [("a", "otto"), ("b", "vera"), ("a", "vera")]


async def test_whoever_asks_meanwhile_waits_for_the_same_answer() -> None:
    broadcaster = Broadcaster()
    broadcaster.go_on.clear()
    pages = [asyncio.create_task(broadcaster.cache.get("a", "otto")) for _ in range(3)]
    await asyncio.sleep(0)
    broadcaster.now += 10 * AFTERCARE_AGE
    pages.append(asyncio.create_task(broadcaster.cache.get("a", "otto")))
    pages.pop(0).cancel()  # a page that is closed takes the answer from nobody
    await asyncio.sleep(0)
    broadcaster.go_on.set()
    assert {(await page)["number"] for page in pages} == {1}
    assert len(broadcaster.asked) == 1


async def test_a_refusal_is_not_asked_for_again_at_once() -> None:
    broadcaster = Broadcaster()
    for _ in range(2):
        with pytest.raises(RefusedError):
            await broadcaster.cache.get("unknown", "otto")
    assert len(broadcaster.asked) == 1


async def test_no_more_than_a_few_are_kept() -> None:
    broadcaster = Broadcaster()
    for number in range(MAX_KEPT + 3):
        await broadcaster.cache.get(str(number), "otto")
    assert len(broadcaster.cache._asked) == MAX_KEPT
    await broadcaster.cache.get("0", "otto")
    assert broadcaster.asked.count(("0", "otto")) == 2
