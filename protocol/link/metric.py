"""What a metric is: name, unit, labels, meaning and what to make of its values; its family is made from that.

The names follow prometheus.io: one prefix, base units (bytes, seconds, ratio) at the end, ``_total`` for what only
grows. docs/metrics.md is generated from these descriptions, so a metric that is exported is a metric that is explained.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

TOTAL: Final = "_total"

MAX_LABEL_LENGTH: Final = 64
"""[characters] of a label's value: as much as a name in a message may have."""


@dataclass(frozen=True, slots=True)
class MetricDescription:
    """One metric of a role."""

    name: str
    """as Prometheus shows it: a counter's ends in ``_total``"""
    unit: str
    """of its values, in words: bytes, seconds, ratio, datagrams, 0 or 1, ..."""
    meaning: str
    """what is counted or measured: one sentence without a full stop"""
    advice: str
    """what a value means for an operator: one sentence or two"""
    labels: tuple[str, ...] = ()

    @property
    def type(self) -> str:
        """Either ``counter`` or ``gauge``."""
        return "counter" if self.name.endswith(TOTAL) else "gauge"

    def family(self) -> "MetricFamily":
        """An empty family, to be filled for one scrape."""
        return MetricFamily(self)


class MetricFamily:
    """The values of one metric in one scrape; of two values with the same labels the first counts."""

    def __init__(self, description: MetricDescription) -> None:
        kind = CounterMetricFamily if description.type == "counter" else GaugeMetricFamily
        self._label_count = len(description.labels)
        self._seen: set[tuple[str, ...]] = set()
        self.exposed: CounterMetricFamily | GaugeMetricFamily = kind(
            description.name, f"{description.meaning}.", labels=description.labels
        )
        """what the library's collectors yield"""

    def add(self, value: float, labels: Sequence[str] = ()) -> None:
        """Tell one value. Label values of any origin are cut to MAX_LABEL_LENGTH and escaped by the library.

        Half a surrogate pair, which nobody can encode, becomes a question mark.

        Raises ValueError for a wrong number of labels, which is a fault of ours.
        """
        if len(labels) != self._label_count:
            raise ValueError(f"{self.exposed.name}: {len(labels)} labels instead of {self._label_count}")
        cut = tuple(label[:MAX_LABEL_LENGTH].encode(errors="replace").decode() for label in labels)
        if cut not in self._seen:  # Prometheus would refuse the whole scrape for a series that comes twice
            self._seen.add(cut)
            self.exposed.add_metric(cut, value)
