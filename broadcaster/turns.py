"""Who may send next on a paced lane: addresses take turns, and all of them together keep to one rate.

Within an address first come, first served. Whoever has gone away while waiting costs nothing. The rate may change at
any time; a cap that several lanes of this host share may hold a turn back longer.
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import NamedTuple, Protocol

from broadcaster.pacing import Pacer
from protocol.errors import SessionStateError


class RateCap(Protocol):
    """What bounds all lanes of a host together."""

    def reserve(self, length_on_link: int, /) -> float:
        """Take room for so many bytes on the link; the seconds to wait before they may leave."""
        ...


class _Turn(NamedTuple):
    length: int
    granted: asyncio.Future[None]


class Turns:
    """Grants turns one after the other while ``run`` runs; ``clock`` and ``sleep`` are replaced by tests."""

    def __init__(
        self,
        rate_bits_per_second: int,
        *,
        cap: RateCap | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self.rate_bits_per_second = rate_bits_per_second
        self._cap = cap
        self._clock = clock
        self._sleep = sleep
        self._pacer = Pacer(rate_bits_per_second, clock())
        self._lines: dict[str, deque[_Turn]] = {}
        self._is_wanted = asyncio.Event()

    @property
    def rate_bits_per_second(self) -> int:
        """What all turns together may use; holds from the next turn on."""
        return self._rate

    @rate_bits_per_second.setter
    def rate_bits_per_second(self, rate: int) -> None:
        if rate < 1:
            raise SessionStateError(f"a lane cannot keep to {rate} bit/s")
        self._rate = rate

    async def take(self, address: str, length: int) -> None:
        """Wait until ``address`` may put ``length`` bytes on the link."""
        turn = _Turn(length, asyncio.get_running_loop().create_future())
        self._lines.setdefault(address, deque()).append(turn)
        self._is_wanted.set()
        await turn.granted

    async def run(self) -> None:
        """Grant turns until cancelled."""
        while True:
            await self._is_wanted.wait()
            wait = self._pacer.wait_time(self._clock())
            if wait > 0:
                await self._sleep(wait)
            turn = self._next()
            if turn is None:
                self._is_wanted.clear()
                continue
            held = 0.0 if self._cap is None else self._cap.reserve(turn.length)
            if held > 0:
                await self._sleep(held)
            self._pacer.set_rate(self._rate)  # as it is now: it may have changed during the wait
            self._pacer.spend(turn.length, self._clock())
            if not turn.granted.done():
                turn.granted.set_result(None)

    def _next(self) -> _Turn | None:
        """The turn of the address that has waited longest since its last one; it goes to the end of the row."""
        while self._lines:
            address = next(iter(self._lines))
            line = self._lines.pop(address)
            while line and line[0].granted.done():
                line.popleft()
            if line:
                turn = line.popleft()
                if line:
                    self._lines[address] = line
                return turn
        return None
