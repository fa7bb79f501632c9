"""How much of the allowed rate the sender really uses: its best half second of late. Pure: no time but ``now``.

The mean since the last step would be wrong: a session waits for seats and scans, and a pass has gaps.
"""

from collections import deque
from typing import Final

SPAN: Final = 0.5
"""[s] One report of every seat; short beside a step of the rate, long beside one transmission at usual rates."""

MEMORY: Final = 3.0
"""[s] How far back the best span may lie: as long as reports of a new rate may take."""

ALL_RATIO: Final = 0.85
"""Share from which on all is in use: whole transmissions are counted, without the headers of the link."""

RAMP_RATIO: Final = 0.5
"""A span that follows one with less than this share of its rate began in its middle, and those before it are past."""


class RateInUse:
    """Watches what has left in all."""

    def __init__(self) -> None:
        self._mark: tuple[float, int] | None = None
        self._last_rate = 0.0
        self._spans: deque[tuple[float, float]] = deque()

    def sent(self, bytes_sent: int, now: float) -> None:
        """So many bytes have left since the beginning."""
        if self._mark is None:
            self._mark = now, bytes_sent
        then, bytes_then = self._mark
        if now - then >= SPAN:
            rate = (bytes_sent - bytes_then) * 8 / (now - then)
            if self._last_rate < rate * RAMP_RATIO:
                self._spans.clear()
            else:
                self._spans.append((now, rate))
            self._last_rate = rate
            self._mark = now, bytes_sent
        while self._spans and now - self._spans[0][0] > MEMORY:
            self._spans.popleft()

    @property
    def is_known(self) -> bool:
        """Whether there was a whole span since sending began."""
        return bool(self._spans)

    def of(self, rate_bits_per_second: int) -> float:
        """Bits per second used of that rate; all of it while that is not known."""
        best = max((rate for _, rate in self._spans), default=0.0)
        if not best or best > ALL_RATIO * rate_bits_per_second:
            return rate_bits_per_second
        return best
