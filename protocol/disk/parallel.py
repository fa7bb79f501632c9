"""The same work on many items with all cores: results in order, few items in memory, nothing left running."""

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_WAITING_PER_WORKER: Final = 4
"""Items that are under way or done and not yet taken: with chunks 1 MiB per core, enough to ride over a slow write."""


def parallel_map(work: Callable[[Item], Result], items: Iterable[Item]) -> Generator[Result, None, None]:
    """``work`` on each item, in threads; ``items`` is drawn from in the caller's thread, and only as far as needed.

    Use it inside ``contextlib.closing``: only its close waits for the threads when the caller fails half-way.
    """
    workers = os.cpu_count() or 1
    waiting: deque[Future[Result]] = deque()
    executor = ThreadPoolExecutor(workers)
    try:
        for item in items:
            waiting.append(executor.submit(work, item))
            if len(waiting) >= workers * _WAITING_PER_WORKER:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        executor.shutdown(cancel_futures=True)
