import re

import pytest

from protocol.link.metric import MetricDescription
from slatecast.metrics_reference import DOCUMENT, PARTS, reference
from tests.test_docs import section, table

METRICS = [metric for _, _, metrics in PARTS for metric in metrics]

BASE_UNITS = {
    "bytes": "_bytes",
    "seconds": "_seconds",
    "ratio": "_ratio",
    "bytes per second": "_bytes_per_second",
    "seconds since 1970": "_time_seconds",
}
"""What a name ends with, by unit (prometheus.io/docs/practices/naming)."""


def test_the_committed_document_is_what_the_code_says() -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == reference(), "run: python -m slatecast.metrics_reference"


def test_every_metric_has_its_row() -> None:
    rows = [row for title, _, _ in PARTS for row in table(section(reference(), title))]
    assert [row[:2] for row in rows] == [[metric.name, metric.type] for metric in METRICS]
    assert all(row[cell] for row in rows for cell in (2, 4, 5)), "unit, meaning and what a value tells"


def test_names_are_unique() -> None:
    names = [metric.name for metric in METRICS]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_name_follows_prometheus(metric: MetricDescription) -> None:
    bare = metric.name.removesuffix("_total")
    assert re.fullmatch(r"slatecast_[a-z]+(?:_[a-z]+)+", metric.name)
    assert "bits" not in metric.name
    assert bare.endswith(BASE_UNITS.get(metric.unit, ""))
    assert not [end for unit, end in BASE_UNITS.items() if bare.endswith(end) and not metric.unit.startswith(unit[:5])]
    assert all(re.fullmatch(r"[a-z][a-z_]*", label) for label in metric.labels)
    assert not metric.meaning.endswith(".")
    assert metric.advice.endswith(".")
    assert "|" not in metric.meaning + metric.advice
