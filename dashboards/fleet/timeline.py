"""The course of a session as samples: one a second for a while, older ones joined to longer spans. Pure.

    the last 10 minutes    one second each
    then to 2 hours        ten seconds
    then to 12 hours       a minute
    before that            ten minutes

So a day takes under MAX_SAMPLES, and a picture of it can be drawn; beyond that the oldest are let go. A sample that
stands for a longer span holds the mean of its rates and ratios, and the worst of the worst.
"""

from collections import deque
from dataclasses import dataclass
from typing import Final

from dashboards.fleet.views import Sample

SAMPLE_INTERVAL: Final = 1.0
"""[s] as often as a broadcaster tells of a session"""

MAX_SAMPLES: Final = 2000
"""[samples] of one session, as many as the history keeps; bounds what a session that nobody ends can take"""

_TIERS: Final = ((600.0, 10.0), (7200.0, 60.0), (43200.0, 600.0))
"""[s] the age from which on samples are joined, and to spans of which length"""


@dataclass(slots=True)
class _Span:
    """Samples that were joined, and how long they lasted together."""

    sample: Sample
    seconds: float
    bucket: int = 0


class Timeline:
    """The samples of one session."""

    def __init__(self) -> None:
        self._tiers: tuple[deque[_Span], ...] = tuple(deque() for _ in range(len(_TIERS) + 1))

    def add(self, sample: Sample, seconds: float) -> None:
        """Append what happened in the ``seconds`` before ``sample.at``; what is not later than the last is dropped."""
        newest = self._tiers[0]
        if newest and sample.at <= newest[-1].sample.at:
            return
        newest.append(_Span(sample, seconds))
        for tier, (age, length) in enumerate(_TIERS):
            while self._tiers[tier] and self._tiers[tier][0].sample.at < sample.at - age:
                _append(self._tiers[tier + 1], self._tiers[tier].popleft(), length)
        while len(self) > MAX_SAMPLES:
            next(tier for tier in reversed(self._tiers) if tier).popleft()

    def samples(self) -> tuple[Sample, ...]:
        """Oldest first."""
        return tuple(span.sample for tier in reversed(self._tiers) for span in tier)

    def __len__(self) -> int:
        """Number of samples."""
        return sum(map(len, self._tiers))


def _append(tier: deque[_Span], span: _Span, length: float) -> None:
    bucket = int(span.sample.at // length)
    if tier and tier[-1].bucket == bucket:
        tier[-1] = _joined(tier[-1], span)
    else:
        tier.append(_Span(span.sample, span.seconds, bucket))


def _joined(first: _Span, second: _Span) -> _Span:
    seconds = first.seconds + second.seconds
    one, two = first.sample, second.sample
    share = first.seconds / seconds if seconds else 0.5

    def mean(before: float, after: float) -> float:
        return before * share + after * (1 - share)

    joined = Sample(
        at=two.at,
        rate_bits_per_second=mean(one.rate_bits_per_second, two.rate_bits_per_second),
        cap_bits_per_second=two.cap_bits_per_second,
        set_rate_bits_per_second=round(mean(one.set_rate_bits_per_second, two.set_rate_bits_per_second)),
        catch_up_bits_per_second=mean(one.catch_up_bits_per_second, two.catch_up_bits_per_second),
        repair_ratio=mean(one.repair_ratio, two.repair_ratio),
        loss_ratio=mean(one.loss_ratio, two.loss_ratio),
        worst_loss_ratio=max(one.worst_loss_ratio, two.worst_loss_ratio),
        progress_median=two.progress_median,
    )
    return _Span(joined, seconds, first.bucket)
