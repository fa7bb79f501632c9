"""What our dashboards have in common: name, variable, links between them, and the colours of their figures."""

from itertools import count
from typing import Final

from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.models import dashboard

from dashboards.grafana.panels import DATA_SOURCE, GREEN, RED, YELLOW, Panel

REFRESH: Final = "5s"
"""As often as the example configuration scrapes."""

OK_IF_UP: Final = {"0": ("gone", RED), "1": ("up", GREEN)}
BAD_IF_ANY: Final = ((None, GREEN), (1.0, RED))
TASK_IF_ANY: Final = ((None, GREEN), (1.0, YELLOW))
LATE: Final = ((None, GREEN), (5.0, YELLOW), (10.0, RED))

Sections = tuple[tuple[str, tuple[Panel, ...]], ...]
"""rows of panels under a heading each"""


def board(
    name: str, title: str, description: str, sections: Sections, variable: tuple[str, str, str] | None = None
) -> builders.Dashboard:
    """A dashboard; ``variable`` is a label to choose by, its title, and the metric whose label it is."""
    made = (
        builders.Dashboard(title)
        .uid(f"slatecast-{name}")
        .description(description)
        .tags(["slatecast"])
        .readonly()
        .refresh(REFRESH)
        .time("now-30m", "now")
        .timezone("browser")
        .tooltip(dashboard.DashboardCursorSync.CROSSHAIR)
        .link(
            builders.DashboardLink("Slatecast")
            .type(dashboard.DashboardLinkType.DASHBOARDS)
            .tags(["slatecast"])
            .as_dropdown(True)
            .keep_time(True)
        )
        .with_variable(builders.DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
    )
    if variable is not None:
        label, shown, metric = variable
        made.with_variable(
            builders.QueryVariable(label)
            .label(shown)
            .datasource(DATA_SOURCE)
            .query(f"label_values({metric}, {label})")
            .refresh(dashboard.VariableRefresh.ON_TIME_RANGE_CHANGED)
            .sort(dashboard.VariableSort.ALPHABETICAL_ASC)
        )
    ids = count(1)
    for row, panels in sections:
        made.with_row(builders.Row(row).id(next(ids)))
        for panel in panels:
            made.with_panel(panel.id(next(ids)))
    return made
