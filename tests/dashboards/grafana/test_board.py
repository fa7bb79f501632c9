from grafana_foundation_sdk.models.dashboard import Dashboard, Panel, RowPanel

from dashboards.grafana.board import REFRESH, board
from dashboards.grafana.panels import Query, Unit, graph


def made(variable: tuple[str, str, str] | None = None) -> Dashboard:
    panel = graph("Loss", "Lost.", Unit.SHARE, Query("a"))
    return board("lab", "Lab", "All of it.", (("First", (panel,)),), variable).build()


def test_headings_and_panels_in_order_with_numbers() -> None:
    panels = made().panels
    assert panels is not None
    assert [type(panel) for panel in panels] == [RowPanel, Panel]
    assert [panel.id_val for panel in panels] == [1, 2]


def test_what_all_have_in_common() -> None:
    dashboard = made()
    assert (dashboard.uid, dashboard.refresh, dashboard.editable) == ("slatecast-lab", REFRESH, False)
    assert dashboard.links is not None
    assert dashboard.links[0].tags == dashboard.tags == ["slatecast"]


def test_its_viewer_chooses_the_prometheus_and_what_to_look_at() -> None:
    variables = made(("room", "Room", "slatecast_room_seats")).templating.list_val
    assert variables is not None
    assert [(variable.name, variable.query) for variable in variables] == [
        ("datasource", "prometheus"),
        ("room", "label_values(slatecast_room_seats, room)"),
    ]
