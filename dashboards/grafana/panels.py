"""The panels of our dashboards: a figure, a graph, a table; each has a unit, a title and a description."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from grafana_foundation_sdk.builders import common as common_builders
from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.builders import prometheus, stat, table, timeseries
from grafana_foundation_sdk.models import common, dashboard
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

DATA_SOURCE: Final = dashboard.DataSourceRef(type_val="prometheus", uid="${datasource}")
"""Whichever Prometheus is chosen at the top of the dashboard."""

FIGURE_HEIGHT: Final = 4
GRAPH_HEIGHT: Final = 8
TABLE_HEIGHT: Final = 12
FULL_WIDTH: Final = 24
"""Grafana's grid has so many columns."""

GREEN: Final = "green"
YELLOW: Final = "orange"
RED: Final = "red"


class Unit(StrEnum):
    """Grafana's names of the units that we use."""

    COUNT = "short"
    SHARE = "percentunit"
    """0 to 1, shown as 0 to 100 %"""
    SECONDS = "s"
    BYTES = "bytes"
    BYTES_PER_SECOND = "Bps"
    BITS_PER_SECOND = "bps"
    PER_SECOND = "cps"
    """counts per second"""
    TEXT = "string"


@dataclass(frozen=True, slots=True)
class Query:
    """One question to Prometheus, and the name of each answer."""

    expression: str
    legend: str = "__auto"


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table of seats or rooms."""

    title: str
    expression: str
    """its values; the labels are the first columns"""
    unit: Unit


Panel = stat.Panel | timeseries.Panel | table.Panel


def figure(
    title: str,
    description: str,
    unit: Unit,
    expression: str,
    *,
    width: int = 4,
    steps: Sequence[tuple[float | None, str]] = ((None, GREEN),),
    words: dict[str, tuple[str, str]] | None = None,
    none: str = "none",
    legend: str = "",
) -> stat.Panel:
    """One number of now. ``steps``: from which value on which colour; ``words``: text and colour of single values."""
    panel = (
        stat.Panel()
        .title(title)
        .description(description)
        .datasource(DATA_SOURCE)
        .span(width)
        .height(FIGURE_HEIGHT)
        .unit(unit.value)
        .no_value(none)
        .thresholds(_thresholds(steps))
        .color_scheme(builders.FieldColor().mode(dashboard.FieldColorModeId.THRESHOLDS))
        .reduce_options(common_builders.ReduceDataOptions().calcs(["lastNotNull"]).values(False))
        .graph_mode(common.BigValueGraphMode.NONE)
        .with_target(prometheus.Dataquery().expr(expression).legend_format(legend or title).instant().ref_id("A"))
    )
    if legend:
        panel.text_mode(common.BigValueTextMode.NAME)
    if words is not None:
        options = {
            value: dashboard.ValueMappingResult(text=text, color=color) for value, (text, color) in words.items()
        }
        panel.mappings([dashboard.ValueMap(options=options)])
    return panel


def graph(
    title: str, description: str, unit: Unit, *queries: Query, width: int = 12, is_stacked: bool = False
) -> timeseries.Panel:
    """Values over time; shares have a fixed scale from 0."""
    panel = (
        timeseries.Panel()
        .title(title)
        .description(description)
        .datasource(DATA_SOURCE)
        .span(width)
        .height(GRAPH_HEIGHT)
        .unit(unit.value)
        .min(0)
        .fill_opacity(60 if is_stacked else 10)
        .show_points(common.VisibilityMode.NEVER)
        .legend(
            common_builders.VizLegendOptions()
            .display_mode(common.LegendDisplayMode.LIST)
            .placement(common.LegendPlacement.BOTTOM)
            .show_legend(True)
        )
        .tooltip(
            common_builders.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI).sort(common.SortOrder.DESCENDING)
        )
    )
    if is_stacked:
        panel.stacking(common_builders.StackingConfig().mode(common.StackingMode.NORMAL))
    for ref_id, query in zip("ABCDEFGH", queries, strict=False):
        panel.with_target(
            prometheus.Dataquery().expr(query.expression).legend_format(query.legend).range().ref_id(ref_id)
        )
    return panel


def listing(title: str, description: str, labels: Sequence[str], *columns: Column) -> table.Panel:
    """One row for each set of labels, as of now; the first label is the one that rows are sorted by."""
    refs = dict(zip("ABCDEFGHIJ", columns, strict=False))
    kept = {label: place for place, label in enumerate(labels)}
    names = {f"Value #{ref}": column.title for ref, column in refs.items()}
    panel = (
        table.Panel()
        .title(title)
        .description(description)
        .datasource(DATA_SOURCE)
        .span(FULL_WIDTH)
        .height(TABLE_HEIGHT)
        .unit(Unit.COUNT.value)
        .with_transformation(dashboard.DataTransformerConfig(id_val="merge", options={}))
        .with_transformation(
            dashboard.DataTransformerConfig(
                id_val="organize",
                options={
                    "excludeByName": dict.fromkeys(("Time", "__name__", "instance", "job"), True),
                    "indexByName": {**kept, **{name: len(kept) + place for place, name in enumerate(names)}},
                    "renameByName": names,
                },
            )
        )
        .sort_by([common_builders.TableSortByFieldState().display_name(labels[0]).desc(False)])
    )
    for ref, column in refs.items():
        panel.with_target(
            prometheus.Dataquery()
            .expr(column.expression)
            .format(PromQueryFormat.TABLE)
            .legend_format(column.title)
            .instant()
            .ref_id(ref)
        )
        panel.override_by_name(column.title, [dashboard.DynamicConfigValue(id_val="unit", value=column.unit.value)])
    return panel


def _thresholds(steps: Sequence[tuple[float | None, str]]) -> builders.ThresholdsConfig:
    thresholds = [dashboard.Threshold(value=value, color=color) for value, color in steps]
    return builders.ThresholdsConfig().mode(dashboard.ThresholdsMode.ABSOLUTE).steps(thresholds)
