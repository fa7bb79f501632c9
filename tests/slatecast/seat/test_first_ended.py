import asyncio

import pytest

from slatecast.seat.first_ended import until_first_ends

pytestmark = pytest.mark.asyncio


async def test_the_others_end_with_the_first_one() -> None:
    ended: list[str] = []

    async def lasts() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("lasting")

    async def ends() -> None:
        await asyncio.sleep(0)

    await until_first_ends(lasts(), ends())
    assert ended == ["lasting"]


async def test_what_one_raises_is_raised_as_it_is() -> None:
    async def lasts() -> None:
        await asyncio.Event().wait()

    async def fails() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError, match="x"):
        await until_first_ends(lasts(), fails())


async def test_cancelled_it_ends_all() -> None:
    ended: list[str] = []

    async def lasts() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("lasting")

    task = asyncio.create_task(until_first_ends(lasts()))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended == ["lasting"]
