"""Writes docs/metrics.md from the metrics' own descriptions: ``python -m slatecast.metrics_reference``.

The document is committed; a test makes it anew and compares.
"""

from pathlib import Path
from typing import Final

import broadcaster.metrics
import dashboards.prometheus.health_metrics
import dashboards.prometheus.seat_metrics
import dashboards.prometheus.session_metrics
import receiver.metrics
from protocol.link.metric import MetricDescription

DOCUMENT: Final = Path(__file__).parents[1] / "docs" / "metrics.md"

INTRODUCTION: Final = """\
# Metrics

This page is generated: `python -m slatecast.metrics_reference` writes it from the code, and a test compares the two.
How to switch the exporters on, and what to give Prometheus and Grafana, is in [operations.md](operations.md#metrics).

Names follow [prometheus.io](https://prometheus.io/docs/practices/naming/): base units at the end, bytes and not bits,
`_total` for counters. Texts in labels are what receivers and operators wrote, cut to 64 characters. The series of a
session end with it.
"""

PARTS: Final = (
    (
        "Broadcaster",
        "Of each session that is open, by the broadcaster itself: `--metrics-port`.",
        broadcaster.metrics.METRICS,
    ),
    (
        "Receiver",
        "By each receiver that is started with `--metrics-port`, once it is in a session.",
        receiver.metrics.METRICS,
    ),
    (
        "Console: health",
        "As the console sees broker, broadcaster, library and interface.",
        dashboards.prometheus.health_metrics.METRICS,
    ),
    (
        "Console: sessions and rooms",
        "Of each open session, and of the last one of a room that has ended.",
        dashboards.prometheus.session_metrics.METRICS,
    ),
    (
        "Console: seats",
        "Of each seat, from what its receiver reports to the broadcaster; only `slatecast_seat_state` for seats that "
        "take part in no session. A receiver without a seat in a room has an empty `room`.",
        dashboards.prometheus.seat_metrics.METRICS,
    ),
)


def reference() -> str:
    """The whole document."""
    return "\n".join([INTRODUCTION, *(_part(*part) for part in PARTS)])


def _part(title: str, words: str, metrics: tuple[MetricDescription, ...]) -> str:
    head = "| metric | type | unit | labels | meaning | what a value tells |\n|---|---|---|---|---|---|\n"
    return f"## {title}\n\n{words}\n\n{head}{''.join(map(_row, metrics))}"


def _row(metric: MetricDescription) -> str:
    labels = ", ".join(f"`{label}`" for label in metric.labels)
    return f"| `{metric.name}` | {metric.type} | {metric.unit} | {labels} | {metric.meaning} | {metric.advice} |\n"


if __name__ == "__main__":
    DOCUMENT.write_text(reference(), encoding="utf-8")
