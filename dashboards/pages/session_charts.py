"""The course of a session as charts over time: rates, loss, repair, progress.

The browser keeps the points that it was sent; each look adds only those that are newer. The colours are seen on light
and on dark ground alike, so that a change of theme needs no new chart.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from nicegui import ui

from dashboards.fleet.views import Sample
from dashboards.pages.local_time import TIME
from dashboards.pages.quantities import loss_in_words, rate_in_words, share_in_words
from dashboards.pages.words import section_title

BLUE: Final = "#3d8bd4"
ORANGE: Final = "#d08a24"
GREEN: Final = "#3a9d63"
GREY: Final = "#8593a0"
WORDS_COLOUR: Final = "#8593a0"
LINE_COLOUR: Final = "rgba(133, 147, 160, 0.25)"

RATE_UNIT: Final = "value => value >= 1e9 ? value / 1e9 + ' Gbit/s' : value / 1e6 + ' Mbit/s'"
EXACT_RATE: Final = "value => (value / 1e6).toFixed(1) + ' Mbit/s'"
TIME_OF_DAY: Final = f"value => new Date(value).{TIME}"
"""in the zone and the manner of whoever looks, as all times of the page"""

SHARE_UNIT: Final = "value => +(value * 100).toFixed(2) + ' %'"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a chart."""

    name: str
    colour: str
    value: Callable[[Sample], float]
    is_dashed: bool = False


@dataclass(frozen=True, slots=True)
class Chart:
    """What one chart shows."""

    title: str
    lines: tuple[Line, ...]
    now: Callable[[Sample], str]
    """the newest sample in words"""
    is_rate: bool = False
    top: float | None = None
    """of the scale; None: as the values need it"""


CHARTS: Final = (
    Chart(
        "Rate",
        (
            Line("On the wire", BLUE, lambda sample: sample.rate_bits_per_second),
            Line("Catch-up", GREEN, lambda sample: sample.catch_up_bits_per_second),
            Line("Set rate", ORANGE, lambda sample: sample.set_rate_bits_per_second, is_dashed=True),
            Line("Cap", GREY, lambda sample: sample.cap_bits_per_second, is_dashed=True),
        ),
        lambda sample: (
            f"{rate_in_words(sample.rate_bits_per_second)} on the wire, cap {rate_in_words(sample.cap_bits_per_second)}"
        ),
        is_rate=True,
    ),
    Chart(
        "Loss",
        (
            Line("Median seat", BLUE, lambda sample: sample.loss_ratio),
            Line("Worst seat", ORANGE, lambda sample: sample.worst_loss_ratio),
        ),
        lambda sample: f"median {loss_in_words(sample.loss_ratio)}, worst {loss_in_words(sample.worst_loss_ratio)}",
    ),
    Chart(
        "Repair",
        (Line("Share of the datagrams", BLUE, lambda sample: sample.repair_ratio),),
        lambda sample: f"{loss_in_words(sample.repair_ratio)} of the datagrams",
    ),
    Chart(
        "Progress",
        (Line("Median seat", BLUE, lambda sample: sample.progress_median),),
        lambda sample: f"median {share_in_words(sample.progress_median)}",
        top=1.0,
    ),
)


class SessionCharts:
    """All charts of a session."""

    def __init__(self) -> None:
        self._shown_to = float("-inf")
        self._now: list[tuple[Chart, ui.label]] = []
        self._charts: list[tuple[Chart, ui.echart]] = []
        with ui.element("div").classes("charts") as self._grid:
            for chart in CHARTS:
                with ui.element("section").classes("panel"):
                    with ui.element("div").classes("chart-head"):
                        section_title(chart.title)
                        self._now.append((chart, ui.label().classes("muted small numbers")))
                    drawn = ui.echart(_options(chart)).classes("chart")
                    drawn.props["role"] = "img"
                    drawn.props["aria-label"] = f"{chart.title} over time; the newest value stands above"
                    self._charts.append((chart, drawn))

    def show(self, samples: tuple[Sample, ...]) -> None:
        """Add what is newer than what is shown."""
        self._grid.visible = bool(samples)
        new = samples if not samples or samples[0].at > self._shown_to else _newer(samples, self._shown_to)
        if not new:
            return
        self._shown_to = new[-1].at
        for chart, label in self._now:
            label.text = chart.now(new[-1])
        for chart, drawn in self._charts:
            points = [[[round(sample.at * 1000), line.value(sample)] for sample in new] for line in chart.lines]
            ui.run_javascript(f"slatecastAppend({drawn.id}, {json.dumps(points)})")


def _newer(samples: tuple[Sample, ...], than: float) -> tuple[Sample, ...]:
    count = 0
    for sample in reversed(samples):
        if sample.at <= than:
            break
        count += 1
    return samples[len(samples) - count :]


def _options(chart: Chart) -> dict[str, Any]:
    unit = RATE_UNIT if chart.is_rate else SHARE_UNIT
    words = {"color": WORDS_COLOUR}
    return {
        "animation": False,
        "grid": {"left": 8, "right": 36, "top": 36, "bottom": 4, "containLabel": True},
        "legend": {"top": 0, "left": 0, "icon": "roundRect", "itemWidth": 14, "itemHeight": 4, "textStyle": words},
        "tooltip": {
            "trigger": "axis",
            "confine": True,
            ":valueFormatter": EXACT_RATE if chart.is_rate else SHARE_UNIT,
        },
        "xAxis": {
            "type": "time",
            "axisLabel": {**words, "hideOverlap": True, ":formatter": TIME_OF_DAY},
            "axisLine": {"lineStyle": {"color": LINE_COLOUR}},
        },
        "yAxis": {
            "type": "value",
            "min": 0,
            "max": chart.top,
            "splitNumber": 4,
            **({"interval": chart.top / 4} if chart.top else {}),
            "axisLabel": {**words, ":formatter": unit},
            "splitLine": {"lineStyle": {"color": LINE_COLOUR}},
        },
        "series": [
            {
                "name": line.name,
                "type": "line",
                "showSymbol": False,
                "data": [],
                "color": line.colour,
                "lineStyle": {"width": 2, "type": "dashed" if line.is_dashed else "solid"},
            }
            for line in chart.lines
        ],
    }
