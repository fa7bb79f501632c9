"""The room's rate: a ceiling, lowered while most seats lose datagrams, raised again while most do not.

The median seat decides, so that one bad port cannot slow the room and a congested trunk does. Steps are limited in time
so that one burst is answered once. The rate never falls below a floor: a repair scheme copes with loss, a rate of
nothing copes with nothing. Pure: no time but ``now``.
"""

from statistics import median
from typing import Final

STEP_DOWN_LOSS_RATIO: Final = 0.05
"""Chosen: repair by count carries 5 % for 8 % more datagrams, so below it slowing down costs more than it saves."""

STEP_DOWN_FACTOR: Final = 0.8
STEP_UP_FACTOR: Final = 1.05
STEP_DOWN_INTERVAL: Final = 1.0
"""[s] Two reports of every seat must have seen the new rate before the next step."""

STEP_UP_INTERVAL: Final = 2.0
"""[s] Slower up than down, so that a room at its limit oscillates within a twentieth."""

FLOOR_RATIO: Final = 0.05
MIN_SAMPLE_SYMBOLS: Final = 200
"""[symbols] Fewer say nothing about a ratio of 5 %."""


class RateControl:
    """Follows what most seats can take."""

    def __init__(self, ceiling_bits_per_second: int, now: float) -> None:
        self.ceiling_bits_per_second = ceiling_bits_per_second
        self.rate_bits_per_second = ceiling_bits_per_second
        self.reason = "at the set rate"
        self._counters: dict[str, tuple[int, int]] = {}
        self._samples: dict[str, float] = {}
        self._stepped_at = now

    def loss_reported(self, receiver_id: str, symbols_expected: int, symbols_lost: int) -> None:
        """Take a receiver's running totals; only the growth since its previous sample counts."""
        expected_before, lost_before = self._counters.get(receiver_id, (0, 0))
        expected = symbols_expected - expected_before
        if expected < 0:
            self._counters[receiver_id] = (symbols_expected, symbols_lost)
        elif expected >= MIN_SAMPLE_SYMBOLS:
            self._counters[receiver_id] = (symbols_expected, symbols_lost)
            self._samples[receiver_id] = max(0, symbols_lost - lost_before) / expected

    def forget(self, receiver_id: str) -> None:
        """A receiver that is gone or done decides nothing."""
        self._samples.pop(receiver_id, None)

    def update(self, now: float) -> None:
        """Step the rate if it is time and the samples say so."""
        if not self._samples:
            return
        loss_ratio = median(self._samples.values())
        elapsed = now - self._stepped_at
        if loss_ratio > STEP_DOWN_LOSS_RATIO and elapsed >= STEP_DOWN_INTERVAL:
            floor = int(self.ceiling_bits_per_second * FLOOR_RATIO)
            self._step(max(floor, int(self.rate_bits_per_second * STEP_DOWN_FACTOR)), now)
            self.reason = f"lowered: the median seat loses {loss_ratio:.1%}"
        elif (
            loss_ratio <= STEP_DOWN_LOSS_RATIO
            and elapsed >= STEP_UP_INTERVAL
            and self.rate_bits_per_second < self.ceiling_bits_per_second
        ):
            self._step(min(self.ceiling_bits_per_second, int(self.rate_bits_per_second * STEP_UP_FACTOR)), now)
            at_ceiling = self.rate_bits_per_second == self.ceiling_bits_per_second
            self.reason = "at the set rate" if at_ceiling else "rising again: the median seat loses little"

    def _step(self, rate_bits_per_second: int, now: float) -> None:
        self.rate_bits_per_second = rate_bits_per_second
        self._stepped_at = now
        self._samples.clear()
