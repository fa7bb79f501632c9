"""The room's rate: found by rising from a modest start, lowered while most seats lose datagrams or cannot keep up.

The median seat decides, so that one bad port cannot slow the room and a congested trunk does. While nothing is wrong
the rate rises fast up to its ceiling; after the first sign of trouble it falls to what the median seat really received,
and then rises slowly. Loss that a lower rate does not cure is not the rate's doing: the step is taken back, and only
more loss than that counts from then on. Pure: no time but ``now``.
"""

from dataclasses import dataclass
from statistics import median
from typing import Final

STEP_DOWN_LOSS_RATIO: Final = 0.05
"""Chosen: repair by count carries 5 % for 8 % more datagrams, so below it slowing down costs more than it saves."""

STEP_DOWN_BUFFER_FILL: Final = 0.5
"""Share of the receive buffer in use; beyond it loss is a quarter of a second away at 1 Gbit/s (32 MiB)."""

STEP_UP_BUFFER_FILL: Final = 0.25
"""A seat that keeps up has its buffer nearly empty."""

STEP_DOWN_FACTORS: Final = (0.3, 0.8)
"""Bounds of one step down; between them the rate falls to the share that arrived, less a twentieth."""

STEP_DOWN_INTERVAL: Final = 1.0
"""[s] Two reports of every seat must have seen the new rate before the next step."""

PROBE_FACTOR: Final = 1.5
PROBE_INTERVAL: Final = 0.5
"""[s] One report of every seat: from 900 Mbit/s to 9 Gbit/s in 3 s."""

STEP_UP_FACTOR: Final = 1.05
STEP_UP_INTERVAL: Final = 2.0
"""[s] Slower up than down, so that a room at its limit oscillates within a twentieth."""

CURED_SHARE: Final = 0.7
"""A step down that leaves more than this of the loss that it could have cured has cured nothing."""

MAX_INNATE_LOSS_RATIO: Final = 0.9
"""Beyond it nobody receives anything worth a rate."""

FLOOR_RATIO: Final = 0.05
"""A repair scheme copes with loss, a rate of nothing copes with nothing."""

MIN_SAMPLE_SYMBOLS: Final = 200
"""[symbols] Fewer say nothing about a ratio of 5 %."""


@dataclass(frozen=True, slots=True)
class _Sample:
    loss_ratio: float
    buffer_fill_ratio: float


@dataclass(frozen=True, slots=True)
class _Step:
    """What was before a step down, to judge it by."""

    rate_bits_per_second: int
    excess: float
    is_probing: bool


class RateControl:
    """Follows what most seats can take."""

    def __init__(self, ceiling_bits_per_second: int, now: float, *, start_bits_per_second: int | None = None) -> None:
        """Start at ``start_bits_per_second``, or at the ceiling when that is lower or no start is given."""
        start = ceiling_bits_per_second if start_bits_per_second is None else start_bits_per_second
        self.ceiling_bits_per_second = ceiling_bits_per_second
        self.rate_bits_per_second = min(start, ceiling_bits_per_second)
        self.reason = "at the set rate" if self._is_at_ceiling else "rising: no seat has trouble yet"
        self._counters: dict[str, tuple[int, int]] = {}
        self._samples: dict[str, _Sample] = {}
        self._is_probing = True
        self._stepped_at = now
        self._innate_loss_ratio = 0.0
        self._before_step: _Step | None = None

    @property
    def _is_at_ceiling(self) -> bool:
        return self.rate_bits_per_second == self.ceiling_bits_per_second

    def seat_reported(
        self, receiver_id: str, symbols_expected: int, symbols_lost: int, buffer_fill_ratio: float
    ) -> None:
        """Take a receiver's running totals, of which only the growth counts, and the fill of its receive buffer."""
        expected_before, lost_before = self._counters.get(receiver_id, (0, 0))
        expected = symbols_expected - expected_before
        if expected < 0:
            self._counters[receiver_id] = (symbols_expected, symbols_lost)
        elif expected >= MIN_SAMPLE_SYMBOLS:
            self._counters[receiver_id] = (symbols_expected, symbols_lost)
            loss_ratio = max(0, symbols_lost - lost_before) / expected
            self._samples[receiver_id] = _Sample(loss_ratio, buffer_fill_ratio)

    def forget(self, receiver_id: str) -> None:
        """A receiver that is gone or done decides nothing."""
        self._samples.pop(receiver_id, None)
        self._counters.pop(receiver_id, None)

    def update(self, now: float) -> None:
        """Step the rate if it is time, and at least half of the seats say how they fare."""
        if not self._samples or 2 * len(self._samples) < len(self._counters):
            return
        loss_ratio = median(sample.loss_ratio for sample in self._samples.values())
        fill_ratio = median(sample.buffer_fill_ratio for sample in self._samples.values())
        elapsed = now - self._stepped_at
        excess = self._excess(loss_ratio)
        if elapsed >= STEP_DOWN_INTERVAL and self._before_step is not None:
            before, self._before_step = self._before_step, None
            # If the room takes only so much, as much arrives as before: far above that, much is still lost.
            inevitable = max(0.0, 1 - (1 - before.excess) * before.rate_bits_per_second / self.rate_bits_per_second)
            if excess > max(STEP_DOWN_LOSS_RATIO, inevitable + (before.excess - inevitable) * CURED_SHARE):
                self._innate_loss_ratio = min(loss_ratio, MAX_INNATE_LOSS_RATIO)
                self._is_probing = before.is_probing
                self._set(before.rate_bits_per_second, now)
                self.reason = f"kept: the median seat loses {loss_ratio:.1%} at lower rates too"
                return
        if excess > STEP_DOWN_LOSS_RATIO or fill_ratio > STEP_DOWN_BUFFER_FILL:
            if elapsed >= STEP_DOWN_INTERVAL or self._is_probing:
                self._step_down(loss_ratio, fill_ratio, now)
        elif not self._is_at_ceiling and fill_ratio <= STEP_UP_BUFFER_FILL:
            interval = PROBE_INTERVAL if self._is_probing else STEP_UP_INTERVAL
            if elapsed >= interval:
                self._step_up(now)

    def _excess(self, loss_ratio: float) -> float:
        """Share of what could arrive that does not: loss beyond the innate."""
        return max(0.0, (loss_ratio - self._innate_loss_ratio) / (1 - self._innate_loss_ratio))

    def _step_down(self, loss_ratio: float, fill_ratio: float, now: float) -> None:
        least, most = STEP_DOWN_FACTORS
        excess = self._excess(loss_ratio)
        factor = min(most, max(least, (1 - excess) * 0.95))
        floor = self.ceiling_bits_per_second * FLOOR_RATIO
        lowered = int(max(floor, self.rate_bits_per_second * factor))
        if excess > STEP_DOWN_LOSS_RATIO and lowered < self.rate_bits_per_second:
            self._before_step = _Step(self.rate_bits_per_second, excess, self._is_probing)
        self._set(lowered, now)
        self._is_probing = False
        self.reason = (
            f"lowered: the median seat loses {loss_ratio:.1%}"
            if excess > STEP_DOWN_LOSS_RATIO
            else f"lowered: the median seat's receive buffer is {fill_ratio:.0%} full"
        )

    def _step_up(self, now: float) -> None:
        factor = PROBE_FACTOR if self._is_probing else STEP_UP_FACTOR
        self._set(min(self.ceiling_bits_per_second, int(self.rate_bits_per_second * factor)), now)
        self.reason = "at the set rate" if self._is_at_ceiling else "rising: most seats have no trouble"

    def _set(self, rate_bits_per_second: int, now: float) -> None:
        self.rate_bits_per_second = rate_bits_per_second
        self._stepped_at = now
        self._samples.clear()
