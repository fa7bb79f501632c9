"""Lets a handler carry out one command outside of a host."""

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec

from broadcaster.host.commands import Handler, Work
from protocol.commands import AnyCommand, Command, Order


def carry_out(
    handlers: Mapping[type[Command], Handler],
    command: AnyCommand,
    operator: str = "anna",
    told: list[str] | None = None,
) -> Any:
    """What is answered, as the console reads it; ``told`` takes the words of progress."""

    async def handle() -> object:
        order = Order(command_id="0" * 32, generation="0" * 32, operator="anna", command=command)
        words = [] if told is None else told
        with ThreadPoolExecutor(1) as threads:
            work = Work(order, lambda share, text: words.append(text), threads)
            return await handlers[type(command)](command, work)

    result = asyncio.run(handle())
    return msgspec.json.decode(result if isinstance(result, bytes) else msgspec.json.encode(result))
