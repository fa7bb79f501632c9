"""Several things at once, for as long as none of them ends."""

import asyncio
from collections.abc import Coroutine
from typing import Any


async def until_first_ends(*work: Coroutine[Any, Any, None]) -> None:
    """Run all until one ends, and end the others; raises what that one raised, as it is.

    All have ended when this returns, however it does.
    """
    tasks = [asyncio.create_task(each) for each in work]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
