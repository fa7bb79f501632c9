"""Fetches what a seat misses from the broadcaster's catch-up lane, block by block, for as long as it runs.

The session decides what to fetch and what to do with it; this keeps a few fetches under way, waits when there is
nothing to fetch, and tries again when the lane fails. It never gives up: whoever runs it decides how long.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Protocol

from tenacity import AsyncRetrying, RetryCallState, RetryError, retry_if_exception_type, wait_random_exponential

from protocol.errors import TransportError
from receiver.events import Want

FETCHES: Final = 2
"""[blocks] under way: while one travels the broadcaster encodes the other; the lane allows four per address."""

IDLE_POLL: Final = 0.2
"""[s] How soon something new to fetch is noticed without ``wake``; less than half the interval of reports."""

FIRST_BACKOFF: Final = 0.25
"""[s] Ceiling of the random wait after a failed fetch; doubles with each further one."""

LONGEST_BACKOFF: Final = 5.0
"""[s] Ceiling of that wait: a broadcaster that restarts is back within 5 s."""

_logger = logging.getLogger(__name__)


class BlockSource(Protocol):
    """Where blocks are fetched from."""

    async def fetch(self, toi: int, sbn: int, esis: range | None = None) -> bytes | None:
        """The sealed datagrams, or None where the block is damaged at the source. Raises TransportError."""
        ...

    async def fetch_digests(self, toi: int, sbn: int, esis: range) -> bytes | None:
        """What these symbols must hash to; otherwise as ``fetch``."""
        ...


class CatchUpLoop:
    """Hands every block that ``next_want`` asks for to ``on_fetched``, while ``run`` runs.

    Args:
        next_want: what to fetch next, None while there is nothing. What it has handed out it must not hand out again.
        on_fetched: takes a want and its sealed datagrams, or the digests that it asks for; None where the block is
            damaged in the broadcaster's library.
        is_wanted: asked before a failed fetch is repeated; a want that is not wanted any more is dropped silently.

    All three are called in the event loop and must be short.
    """

    def __init__(
        self,
        next_want: Callable[[], Want | None],
        on_fetched: Callable[[Want, bytes | None], object],
        is_wanted: Callable[[Want], bool] = lambda want: True,
    ) -> None:
        self._next_want = next_want
        self._on_fetched = on_fetched
        self._is_wanted = is_wanted
        self._wake = asyncio.Event()
        self.trouble = ""
        """why the last fetch failed, in words; empty while fetches succeed"""
        self.failure_count = 0
        """fetches that failed and were repeated"""

    def wake(self) -> None:
        """There may be something to fetch now."""
        self._wake.set()

    async def run(self, source: BlockSource) -> None:
        """Fetch until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for _ in range(FETCHES):
                tasks.create_task(self._fetch_one_by_one(source), name="catch-up")

    async def _fetch_one_by_one(self, source: BlockSource) -> None:
        while True:
            want = self._next_want()
            if want is None:
                # Cleared before anything else can run since the look above, so nothing is missed.
                self._wake.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(IDLE_POLL):
                        await self._wake.wait()
                continue
            # Each want ends by success or because nobody wants it any more.
            with suppress(RetryError):
                self._on_fetched(want, await self._retrying(want)(_fetch, source, want))
                self.trouble = ""

    def _retrying(self, want: Want) -> AsyncRetrying:
        return AsyncRetrying(
            retry=retry_if_exception_type(TransportError),
            wait=wait_random_exponential(multiplier=FIRST_BACKOFF, max=LONGEST_BACKOFF),
            stop=lambda _: not self._is_wanted(want),
            before_sleep=self._failed,
        )

    def _failed(self, state: RetryCallState) -> None:
        assert state.outcome is not None
        self.failure_count += 1
        trouble = str(state.outcome.exception())
        if trouble != self.trouble:
            _logger.warning("%s; trying again", trouble)
        self.trouble = trouble


async def _fetch(source: BlockSource, want: Want) -> bytes | None:
    if want.wants_digests and want.esis is not None:
        return await source.fetch_digests(want.toi, want.sbn, want.esis)
    return await source.fetch(want.toi, want.sbn, want.esis)
