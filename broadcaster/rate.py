"""The room's rate: found by rising from a modest start, lowered while most seats lose datagrams or cannot keep up.

The median seat decides, so that one bad port cannot slow the room and a congested trunk does. While nothing is wrong
the rate rises fast up to its ceiling; after the first sign of trouble it falls to what the median seat really received,
or could decode and write, and then rises slowly. Loss that a lower rate does not cure is not the rate's doing: the step
is taken back, and only more loss than that counts from then on. Pure: no time but ``now``.
"""

from dataclasses import dataclass
from math import inf
from statistics import median
from typing import Final

from protocol.messages import ReceiverReport

STEP_DOWN_LOSS_RATIO: Final = 0.05
"""Chosen: repair by count carries 5 % for 8 % more datagrams, so below it slowing down costs more than it saves."""

STEP_DOWN_BUFFER_FILL: Final = 0.5
"""Share of the receive buffer or of the memory for blocks in use; beyond it loss is near."""

STEP_UP_BUFFER_FILL: Final = 0.25
"""A seat that keeps up has its buffers nearly empty."""

STEP_DOWN_FACTORS: Final = (0.3, 0.8)
"""Bounds of one step down; between them the rate falls to the share that arrived, less a twentieth."""

STEP_DOWN_INTERVAL: Final = 1.0
"""[s] Two reports of every seat must have seen the new rate before the next step."""

PROBE_FACTOR: Final = 1.5
PROBE_INTERVAL: Final = 0.5
"""[s] One report of every seat: from 900 Mbit/s to 9 Gbit/s in 3 s."""

STEP_UP_FACTOR: Final = 1.1
STEP_UP_INTERVAL: Final = 1.0
"""[s] Two reports of every seat, as on the way down; a tenth too much fills the buffers slowly enough to be seen."""

CURED_SHARE: Final = 0.7
"""A step down that leaves more than this of the loss that it could have cured has cured nothing."""

MAX_INNATE_LOSS_RATIO: Final = 0.9
"""Beyond it nobody receives anything worth a rate."""

FLOOR_RATIO: Final = 0.05
"""A repair scheme copes with loss, a rate of nothing copes with nothing."""

MIN_SAMPLE_SYMBOLS: Final = 200
"""[symbols] Fewer say nothing about a ratio of 5 %."""

MIN_SAMPLE_SECONDS: Final = 0.1
"""[s] Two reports that the broker delivers together say nothing about a rate."""


RATE_IN_USE_RATIO: Final = 0.7
"""Below this share of the allowed rate something else limits the sender, and allowing more would only arm a burst."""


@dataclass(frozen=True, slots=True)
class _Totals:
    """What a seat had come to when it was last sampled."""

    at: float
    symbols_expected: int
    symbols_lost: int
    bytes_taken: int
    """received, less what waits in memory to be decoded and written"""


@dataclass(frozen=True, slots=True)
class _Sample:
    loss_ratio: float
    buffer_fill_ratio: float
    taken_bits_per_second: float


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
        self._totals: dict[str, _Totals] = {}
        self._samples: dict[str, _Sample] = {}
        self._is_probing = True
        self._stepped_at = now
        self._bytes_sent = 0
        self._bytes_sent_at_step = 0
        self._innate_loss_ratio = 0.0
        self._before_step: _Step | None = None

    @property
    def _is_at_ceiling(self) -> bool:
        return self.rate_bits_per_second == self.ceiling_bits_per_second

    def seat_reported(self, report: ReceiverReport, now: float) -> None:
        """Take a receiver's running totals, of which only the growth counts, and the fill of its buffers."""
        # A seat's first report says nothing about its speed: it may have waited for long before anything was sent.
        before = self._totals.get(report.receiver_id, _Totals(-inf, 0, 0, 0))
        bytes_taken = report.bytes_received - report.backlog_bytes
        totals = _Totals(now, report.symbols_expected, report.symbols_lost, bytes_taken)
        expected = totals.symbols_expected - before.symbols_expected
        if expected < 0:
            self._totals[report.receiver_id] = totals
        elif expected >= MIN_SAMPLE_SYMBOLS:
            self._totals[report.receiver_id] = totals
            self._samples[report.receiver_id] = _Sample(
                max(0, totals.symbols_lost - before.symbols_lost) / expected,
                report.buffer_fill_ratio,
                inf
                if before.at == -inf
                else max(0, totals.bytes_taken - before.bytes_taken) * 8 / max(MIN_SAMPLE_SECONDS, now - before.at),
            )

    def forget(self, receiver_id: str) -> None:
        """A receiver that is gone or done decides nothing."""
        self._samples.pop(receiver_id, None)
        self._totals.pop(receiver_id, None)

    def update(self, bytes_sent: int, now: float) -> None:
        """Step the rate if it is time, and at least half of the seats say how they fare.

        ``bytes_sent`` is all that has left since the session began.
        """
        self._bytes_sent = bytes_sent
        if not self._samples or 2 * len(self._samples) < len(self._totals):
            return
        loss_ratio = median(sample.loss_ratio for sample in self._samples.values())
        fill_ratio = median(sample.buffer_fill_ratio for sample in self._samples.values())
        elapsed = now - self._stepped_at
        if elapsed >= STEP_DOWN_INTERVAL and self._takes_back_last_step(loss_ratio, now):
            return
        if self._excess(loss_ratio) > STEP_DOWN_LOSS_RATIO or fill_ratio > STEP_DOWN_BUFFER_FILL:
            if elapsed >= STEP_DOWN_INTERVAL or self._is_probing:
                self._step_down(loss_ratio, fill_ratio, now)
        elif fill_ratio <= STEP_UP_BUFFER_FILL and self._may_rise(elapsed):
            self._step_up(now)

    def _takes_back_last_step(self, loss_ratio: float, now: float) -> bool:
        """Judge the last step down once; if it cured nothing, undo it and take the loss as innate."""
        before, self._before_step = self._before_step, None
        if before is None:
            return False
        # If the room takes only so much, as much arrives as before: far above that, much is still lost.
        inevitable = max(0.0, 1 - (1 - before.excess) * before.rate_bits_per_second / self.rate_bits_per_second)
        cured = inevitable + (before.excess - inevitable) * CURED_SHARE
        if self._excess(loss_ratio) <= max(STEP_DOWN_LOSS_RATIO, cured):
            return False
        self._innate_loss_ratio = min(loss_ratio, MAX_INNATE_LOSS_RATIO)
        self._is_probing = before.is_probing
        self._set(before.rate_bits_per_second, now)
        self.reason = f"kept: the median seat loses {loss_ratio:.1%} at lower rates too"
        return True

    def _may_rise(self, elapsed: float) -> bool:
        """Whether a step up is due and would be used."""
        sent = (self._bytes_sent - self._bytes_sent_at_step) * 8
        is_used = sent >= self.rate_bits_per_second * elapsed * RATE_IN_USE_RATIO
        interval = PROBE_INTERVAL if self._is_probing else STEP_UP_INTERVAL
        return not self._is_at_ceiling and elapsed >= interval and is_used

    def _excess(self, loss_ratio: float) -> float:
        """Share of what could arrive that does not: loss beyond the innate."""
        return max(0.0, (loss_ratio - self._innate_loss_ratio) / (1 - self._innate_loss_ratio))

    def _step_down(self, loss_ratio: float, fill_ratio: float, now: float) -> None:
        least, most = STEP_DOWN_FACTORS
        excess = self._excess(loss_ratio)
        share = 1 - excess
        if fill_ratio > STEP_DOWN_BUFFER_FILL:
            taken = median(sample.taken_bits_per_second for sample in self._samples.values())
            share = min(share, taken / self.rate_bits_per_second)
        factor = min(most, max(least, share * 0.95))
        floor = self.ceiling_bits_per_second * FLOOR_RATIO
        lowered = int(max(floor, self.rate_bits_per_second * factor))
        if excess > STEP_DOWN_LOSS_RATIO and lowered < self.rate_bits_per_second:
            self._before_step = _Step(self.rate_bits_per_second, excess, self._is_probing)
        self._set(lowered, now)
        self._is_probing = False
        self.reason = (
            f"lowered: the median seat loses {loss_ratio:.1%}"
            if excess > STEP_DOWN_LOSS_RATIO
            else f"lowered: the median seat's buffers are {fill_ratio:.0%} full, it cannot keep up"
        )

    def _step_up(self, now: float) -> None:
        factor = PROBE_FACTOR if self._is_probing else STEP_UP_FACTOR
        self._set(min(self.ceiling_bits_per_second, int(self.rate_bits_per_second * factor)), now)
        self.reason = "at the set rate" if self._is_at_ceiling else "rising: most seats have no trouble"

    def _set(self, rate_bits_per_second: int, now: float) -> None:
        self.rate_bits_per_second = rate_bits_per_second
        self._stepped_at = now
        self._bytes_sent_at_step = self._bytes_sent
        self._samples.clear()
