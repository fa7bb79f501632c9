"""The room's rate: follows what the median seat can take, and says why it is what it is. Pure: no time but ``now``.

One bad port cannot slow the room, and a congested trunk does. What the rate's doing is and what not is found out:

- Full or overflowing buffers are: the rate falls at once to what was decoded and written.
- Loss right after a rise is: the rate falls at once to what arrived, but not below what was fine before.
- Other loss is tried: the rate falls by a tenth. A trunk of less than the rate then loses exactly so much less, and the
  rate goes on to what arrived. Random loss stays as it was: the step is taken back, and only more loss than this
  *innate* loss counts from then on. Innate loss falls with the loss that is seen, and is tried again from time to time.

It rises only on reports that were made of the present rate alone; the more rises go well, the larger they get, and
after one that did not it takes its time.
"""

from dataclasses import dataclass
from statistics import median
from typing import Final

from broadcaster.rate_in_use import RateInUse
from protocol.messages import ReceiverReport
from protocol.wire import ENCODING_SYMBOL_LENGTH, INTERLEAVED_BLOCKS

STEP_DOWN_LOSS_RATIO: Final = 0.05
"""Chosen: repair by count carries 5 % for 8 % more datagrams, so below it slowing down costs more than it saves."""

STEP_DOWN_BUFFER_FILL: Final = 0.5
"""Share of the receive buffer or of the memory for blocks in use; beyond it loss is near."""

STEP_DOWN_DROP_RATIO: Final = 0.02
"""Share of datagrams for which a receive buffer had no room: unlike loss on the way, it is always the rate's doing."""

STEP_UP_BUFFER_FILL: Final = 0.25
"""A seat that keeps up has its buffers nearly empty."""

STEP_DOWN_FACTORS: Final = (0.3, 0.9)
"""Bounds of one step down; between them the rate falls to the share that arrived or was taken, less a twentieth."""

TRIAL_FACTOR: Final = 0.9
"""Enough that a congested trunk shows 11 % more of what it lets through, and random loss costs 1 % of 10 s."""

PATIENCE: Final = 1.2
"""[s] Two reports of every seat: half of the seats do not judge a new rate while the others may still speak."""

RISE_FACTORS: Final = (1.1, 1.2, 1.35, 1.5)
"""One after the other while rises go well. A cast begins with the largest: from 900 Mbit/s to 2 Gbit/s in 2 s."""

STEP_UP_INTERVAL: Final = 0.5
"""[s] One report of every seat; after a rise that went wrong it doubles."""

LONGEST_STEP_UP_INTERVAL: Final = 8.0
"""[s] A trunk that others stop using is noticed within that."""

UNCURED_SHARE: Final = 0.5
"""A step down that leaves more than this of the loss that it could have cured has cured nothing."""

CURED_SHARE: Final = 0.25
"""One that leaves less than this of it was right, and the rate goes on to what arrives."""

WORSE_LOSS_RATIO: Final = 0.015
"""More loss by this after a step down than before it: the loss had only begun, and the step says nothing about it."""

MAX_INNATE_LOSS_RATIO: Final = 0.9
"""Beyond it nobody receives anything worth a rate."""

INNATE_MEMORY: Final = 4.0
"""[s] How fast innate loss is forgotten when less is seen: a burst a second is tried once, not each time."""

TRIAL_INTERVAL: Final = 20.0
"""[s] Innate loss is tried again so often: 0.5 % of the time for the case that it has become the rate's doing."""

FLOOR_RATIO: Final = 0.05
"""A repair scheme copes with loss, a rate of nothing copes with nothing."""

MIN_SAMPLE_SYMBOLS: Final = 200
"""[symbols] Fewer say nothing about a ratio of 5 %."""

LOSSLESS_SPAN: Final = 1.5
"""[s] A seat that receives for so long, and no block goes by, is in the repair after the pass: loss does not show."""

MIN_SAMPLE_SECONDS: Final = 0.1
"""[s] Two reports that the broker delivers together say nothing about a rate."""

SETTLING_BITS: Final = (INTERLEAVED_BLOCKS + 2) * 186 * 1500 * 8
"""[bits] Receivers tell of a loss when so much more has come; reports of less than that still speak of the old rate."""

LONGEST_SETTLING: Final = 3.0
"""[s] At a few Mbit/s the room does not wait for all of it."""

RATE_IN_USE_RATIO: Final = 0.7
"""Below this share of the allowed rate something else limits the sender, and allowing more would only arm a burst."""


@dataclass(frozen=True, slots=True)
class _Totals:
    """What a seat had come to when it was last sampled."""

    at: float
    symbols_expected: int
    symbols_lost: int
    bytes_received: int
    bytes_taken: int
    """received, less what waits in memory to be decoded and written"""
    buffer_drops: int
    blocks_without_room: int


@dataclass(frozen=True, slots=True)
class _Sample:
    """How a seat fared between two reports."""

    since: float
    loss_ratio: float
    fill_ratio: float
    drop_ratio: float
    taken_bits_per_second: float


@dataclass(frozen=True, slots=True)
class _Room:
    """The median seat."""

    loss_ratio: float
    fill_ratio: float
    drop_ratio: float
    taken_bits_per_second: float


@dataclass(frozen=True, slots=True)
class _Step:
    """What was before a step, to judge it by."""

    rate_bits_per_second: int
    used_bits_per_second: float
    excess: float


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
        self._stepped_at = now
        self._has_fallen = False
        self._in_use = RateInUse()
        self._rises_in_a_row = len(RISE_FACTORS) - 1
        self._step_up_interval = STEP_UP_INTERVAL
        self._before_rise: int | None = None
        self._before_step: _Step | None = None
        self._innate_loss_ratio = 0.0
        self._innate_at = self._tried_at = now

    @property
    def _is_at_ceiling(self) -> bool:
        return self.rate_bits_per_second == self.ceiling_bits_per_second

    def seat_reported(self, report: ReceiverReport, now: float) -> None:
        """Take a receiver's running totals, of which only the growth counts, and the fill of its buffers."""
        totals = _Totals(
            now,
            report.symbols_expected,
            report.symbols_lost,
            report.bytes_received,
            report.bytes_received - report.backlog_bytes,
            report.buffer_drops,
            report.blocks_without_room,
        )
        before = self._totals.get(report.receiver_id)
        if before is None or totals.symbols_expected < before.symbols_expected:
            self._totals[report.receiver_id] = totals
        elif (sample := _sample(before, totals, report.buffer_fill_ratio)) is not None:
            self._totals[report.receiver_id] = totals
            self._samples[report.receiver_id] = sample

    def forget(self, receiver_id: str) -> None:
        """A receiver that is gone or done decides nothing."""
        self._samples.pop(receiver_id, None)
        self._totals.pop(receiver_id, None)

    def update(self, bytes_sent: int, now: float) -> None:
        """Step the rate if it is time, and at least half of the seats say how they fare.

        ``bytes_sent`` is all that has left since the session began.
        """
        self._in_use.sent(bytes_sent, now)
        settled_at = self._stepped_at + min(LONGEST_SETTLING, SETTLING_BITS / self.rate_bits_per_second)
        settled = self._room([each for each in self._samples.values() if each.since >= settled_at], settled_at, now)
        if settled is not None:
            self._update_settled(settled, now)
        elif not self._has_fallen:
            # Reports that speak of the lower rate before too: what is wrong in spite of it is wrong indeed.
            early = self._room(list(self._samples.values()), self._stepped_at, now)
            if early is not None and self._is_in_trouble(early):
                self._meet_trouble(early, now)

    def _room(self, samples: list[_Sample], since: float, now: float) -> _Room | None:
        """The median of all seats; of half of them when the others keep it waiting."""
        least = len(self._totals) if now - since < PATIENCE else -(-len(self._totals) // 2)
        if not samples or len(samples) < least:
            return None
        return _Room(
            median(sample.loss_ratio for sample in samples),
            median(sample.fill_ratio for sample in samples),
            median(sample.drop_ratio for sample in samples),
            median(sample.taken_bits_per_second for sample in samples),
        )

    def _update_settled(self, room: _Room, now: float) -> None:
        before, self._before_step = self._before_step, None
        excess = self._excess(room.loss_ratio)
        if before is not None and excess > STEP_DOWN_LOSS_RATIO / 2 and not _is_choked(room):
            self._judge(before, room, now)
            return
        self._forget_innate(room.loss_ratio, now)
        if self._is_in_trouble(room):
            self._meet_trouble(room, now)
            return
        self._before_rise = None
        if self._innate_loss_ratio > STEP_DOWN_LOSS_RATIO and now - self._tried_at >= TRIAL_INTERVAL:
            self._try(room, now)
        elif room.fill_ratio <= STEP_UP_BUFFER_FILL and not self._is_at_ceiling:
            self._consider_rise(now)

    def _is_in_trouble(self, room: _Room) -> bool:
        return self._excess(room.loss_ratio) > STEP_DOWN_LOSS_RATIO or _is_choked(room)

    def _judge(self, before: _Step, room: _Room, now: float) -> None:
        """Much is lost after a step down too: still the rate's doing, or never was, or something else has begun."""
        excess = self._excess(room.loss_ratio)
        # If the room takes only so much, as much arrives as before: far above that, much is still lost.
        inevitable = max(0.0, 1 - (1 - before.excess) * before.used_bits_per_second / self.rate_bits_per_second)
        curable = before.excess - inevitable
        if excess > before.excess + WORSE_LOSS_RATIO:
            self._try(room, now)
        elif excess > inevitable + curable * UNCURED_SHARE:
            self._take_back(before, room, now)
        elif inevitable and excess > STEP_DOWN_LOSS_RATIO and excess <= inevitable + curable * CURED_SHARE:
            step = _Step(self.rate_bits_per_second, self._rate_in_use, excess)
            self._lower(1 - excess, f"the median seat loses {room.loss_ratio:.1%}, less than before", now)
            self._before_step = step
        elif excess > STEP_DOWN_LOSS_RATIO:
            self._keep(room, now)

    def _keep(self, room: _Room, now: float) -> None:
        self._innate_loss_ratio = min(room.loss_ratio, MAX_INNATE_LOSS_RATIO)
        self._innate_at = self._tried_at = now
        self.reason = f"kept: the median seat loses {room.loss_ratio:.1%} at lower rates too"

    def _take_back(self, before: _Step, room: _Room, now: float) -> None:
        self._set(before.rate_bits_per_second, now)
        self._keep(room, now)

    def _meet_trouble(self, room: _Room, now: float) -> None:
        excess = self._excess(room.loss_ratio)
        before_rise, self._before_rise = self._before_rise, None
        if before_rise is not None:
            self._step_up_interval = min(LONGEST_STEP_UP_INTERVAL, 2 * self._step_up_interval)
        self._rises_in_a_row = 0
        if _is_choked(room):
            share = min(1 - room.drop_ratio, room.taken_bits_per_second / self._rate_in_use)
            self._lower(share, _in_words(room), now)
        elif before_rise is not None:
            arrived = self.rate_bits_per_second * (1 - excess)
            rate = min(self.rate_bits_per_second, max(before_rise, int(arrived * 0.95)))
            self.reason = f"lowered: the median seat lost {room.loss_ratio:.1%} when the rate had risen"
            self._set(rate, now)
        else:
            self._try(room, now)

    def _try(self, room: _Room, now: float) -> None:
        """Lower the rate a little, to see whether the loss is its doing; once it is known how much of it is used."""
        if not self._in_use.is_known:
            return
        if self._innate_loss_ratio and now - self._tried_at >= TRIAL_INTERVAL:
            self._innate_loss_ratio = 0.0
        self._tried_at = now
        step = _Step(self.rate_bits_per_second, self._rate_in_use, self._excess(room.loss_ratio))
        floor = int(self.ceiling_bits_per_second * FLOOR_RATIO)
        lowered = max(floor, int(step.used_bits_per_second * TRIAL_FACTOR))
        if lowered >= self.rate_bits_per_second:
            self._keep(room, now)  # there is no lower rate to try
            return
        self._before_step = step
        self._set(lowered, now)
        self.reason = (
            f"lowered: the median seat loses {room.loss_ratio:.1%}; a trial whether less is lost at a lower rate"
        )

    def _lower(self, share: float, reason: str, now: float) -> None:
        least, most = STEP_DOWN_FACTORS
        factor = min(most, max(least, share * 0.95))
        floor = self.ceiling_bits_per_second * FLOOR_RATIO
        self._set(int(min(self.rate_bits_per_second, max(floor, self._rate_in_use * factor))), now)
        self.reason = f"lowered: {reason}"

    def _consider_rise(self, now: float) -> None:
        if now - self._stepped_at < self._step_up_interval:
            return
        if self._rate_in_use < self.rate_bits_per_second * RATE_IN_USE_RATIO:
            return
        before = self.rate_bits_per_second
        factor = RISE_FACTORS[min(self._rises_in_a_row, len(RISE_FACTORS) - 1)]
        self._set(min(self.ceiling_bits_per_second, int(before * factor) + 1), now)
        self._before_rise = before
        self._rises_in_a_row += 1
        if self._rises_in_a_row > 1:
            self._step_up_interval = STEP_UP_INTERVAL
        self.reason = "at the set rate" if self._is_at_ceiling else "rising: most seats have no trouble"

    @property
    def _rate_in_use(self) -> float:
        """Of the present rate, what the sender really uses, bits per second."""
        return self._in_use.of(self.rate_bits_per_second)

    def _excess(self, loss_ratio: float) -> float:
        """Share of what could arrive that does not: loss beyond the innate."""
        return max(0.0, (loss_ratio - self._innate_loss_ratio) / (1 - self._innate_loss_ratio))

    def _forget_innate(self, loss_ratio: float, now: float) -> None:
        share = min(1.0, (now - self._innate_at) / INNATE_MEMORY)
        self._innate_loss_ratio -= max(0.0, self._innate_loss_ratio - loss_ratio) * share
        self._innate_at = now

    def _set(self, rate_bits_per_second: int, now: float) -> None:
        self._has_fallen = rate_bits_per_second < self.rate_bits_per_second
        self.rate_bits_per_second = rate_bits_per_second
        self._stepped_at = now
        self._samples.clear()


def _sample(before: _Totals, totals: _Totals, fill_ratio: float) -> _Sample | None:
    """What lies between two reports, or None while it says too little."""
    expected = totals.symbols_expected - before.symbols_expected
    received = max(0, totals.bytes_received - before.bytes_received)
    has_thrown_away = totals.blocks_without_room > before.blocks_without_room
    says_nothing_of_loss = expected < MIN_SAMPLE_SYMBOLS
    if says_nothing_of_loss and (
        received < MIN_SAMPLE_SYMBOLS * ENCODING_SYMBOL_LENGTH
        or not (
            totals.at - before.at >= LOSSLESS_SPAN
            or has_thrown_away
            or fill_ratio > STEP_DOWN_BUFFER_FILL
            or totals.buffer_drops > before.buffer_drops
        )
    ):
        return None
    lost = min(expected, max(0, totals.symbols_lost - before.symbols_lost))
    taken = max(0, totals.bytes_taken - before.bytes_taken)
    if has_thrown_away:
        # These came, and were thrown away: the memory was full, whatever it is now.
        fill_ratio = 1.0
        taken = min(taken, (expected - lost) * ENCODING_SYMBOL_LENGTH)
    dropped = max(0, totals.buffer_drops - before.buffer_drops) * ENCODING_SYMBOL_LENGTH
    return _Sample(
        before.at,
        0.0 if says_nothing_of_loss else lost / expected,
        fill_ratio,
        dropped / (dropped + received) if dropped else 0.0,
        taken * 8 / max(MIN_SAMPLE_SECONDS, totals.at - before.at),
    )


def _is_choked(room: _Room) -> bool:
    """Whether the receivers themselves cannot keep up."""
    return room.fill_ratio > STEP_DOWN_BUFFER_FILL or room.drop_ratio > STEP_DOWN_DROP_RATIO


def _in_words(room: _Room) -> str:
    if room.fill_ratio > STEP_DOWN_BUFFER_FILL:
        return f"the median seat's buffers are {room.fill_ratio:.0%} full, it cannot keep up"
    return f"the median seat's receive buffer drops {room.drop_ratio:.1%}, it cannot keep up"
