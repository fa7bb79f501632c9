import json
from typing import Any

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from dashboards.grafana.panels import Column, Panel, Query, Unit, figure, graph, listing


def built(panel: Panel) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(json.dumps(panel.build(), cls=JSONEncoder))
    return document


def test_a_figure_is_asked_for_once_and_coloured() -> None:
    panel = built(figure("Broker", "Is it there.", Unit.COUNT, "up", words={"0": ("gone", "red")}))
    assert (panel["title"], panel["description"], panel["type"]) == ("Broker", "Is it there.", "stat")
    assert panel["targets"][0]["instant"]
    assert panel["fieldConfig"]["defaults"]["mappings"][0]["options"] == {"0": {"text": "gone", "color": "red"}}


def test_a_figure_may_show_a_label_instead_of_its_value() -> None:
    panel = built(figure("Step", "Where it is.", Unit.TEXT, "step", legend="{{step}}"))
    assert panel["options"]["textMode"] == "name"
    assert panel["targets"][0]["legendFormat"] == "{{step}}"


def test_a_graph_asks_over_time_and_each_query_has_a_letter() -> None:
    panel = built(graph("Loss", "Lost.", Unit.SHARE, Query("a", "one"), Query("b", "two"), is_stacked=True))
    assert [(each["refId"], each["expr"], each["range"]) for each in panel["targets"]] == [
        ("A", "a", True),
        ("B", "b", True),
    ]
    assert panel["fieldConfig"]["defaults"]["custom"]["stacking"]["mode"] == "normal"
    assert panel["fieldConfig"]["defaults"]["unit"] == "percentunit"


def test_a_table_joins_its_columns_by_label() -> None:
    panel = built(listing("Seats", "All.", ("seat",), Column("Progress", "p", Unit.SHARE)))
    merge, organize = panel["transformations"]
    assert merge["id"] == "merge"
    assert organize["options"]["indexByName"] == {"seat": 0, "Value #A": 1}
    assert organize["options"]["renameByName"] == {"Value #A": "Progress"}
    assert panel["targets"][0]["format"] == "table"
    assert panel["fieldConfig"]["overrides"][0]["properties"] == [{"id": "unit", "value": "percentunit"}]
