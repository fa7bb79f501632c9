import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards.grafana.board import REFRESH
from dashboards.grafana.generate import BOARDS, FOLDER, board_document, board_file
from dashboards.grafana.panels import Unit
from tests.dashboards.grafana.board_queries import choices, committed, expressions, panels
from tests.dashboards.prometheus.metric_names import DESCRIBED, names_in, strange_names

boards = pytest.mark.parametrize("board", BOARDS)


@boards
def test_the_committed_dashboard_is_what_the_code_says(board: str) -> None:
    assert board_file(board).read_text(encoding="utf-8") == board_document(board), (
        "run: python -m dashboards.grafana.generate"
    )


@boards
def test_grafana_s_own_model_reads_all_of_it(board: str) -> None:
    document = committed(board)
    read = json.loads(json.dumps(Dashboard.from_json(document), cls=JSONEncoder))
    assert read == document


@boards
def test_every_panel_has_a_unit_a_title_and_a_description(board: str) -> None:
    for panel in panels(committed(board)):
        assert panel["title"]
        assert panel["description"].endswith("."), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"] in {unit.value for unit in Unit}, panel["title"]
        assert panel["targets"], panel["title"]


@boards
def test_every_metric_of_a_query_is_described(board: str) -> None:
    document = committed(board)
    for title, expression in expressions(document):
        assert names_in(expression) or "ALERTS" in expression, title
        assert not strange_names(expression), title
    for choice in choices(document):
        assert choice.label in DESCRIBED[choice.metric].labels


@boards
def test_labels_of_a_query_are_those_of_its_metrics(board: str) -> None:
    for title, expression in expressions(committed(board)):
        for name, matchers in re.findall(r"([\w:]+)\{([^}]*)\}", expression):
            if name in DESCRIBED:
                assert set(re.findall(r"(\w+)=", matchers)) <= set(DESCRIBED[name].labels), title


@boards
def test_variables_are_used_and_used_ones_are_there(board: str) -> None:
    document = committed(board)
    used = {name for _, expression in expressions(document) for name in re.findall(r"\$(\w+)", expression)}
    assert used - {"__rate_interval"} == {choice.label for choice in choices(document)}


@boards
def test_panels_neither_overlap_nor_leave_the_grid(board: str) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in committed(board)["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken, panel["title"]
        taken |= cells


def test_identities_are_unique() -> None:
    documents = [committed(board) for board in BOARDS]
    assert len({document["uid"] for document in documents}) == len(BOARDS)
    for document in documents:
        ids = [panel["id"] for panel in document["panels"]]
        assert len(set(ids)) == len(ids)


def test_no_file_is_left_of_a_dashboard_that_is_gone() -> None:
    assert set(FOLDER.glob("*.json")) == {board_file(board) for board in BOARDS}


def test_provisioning() -> None:
    source = provisioned("datasources/slatecast.yml")["datasources"][0]
    assert (source["type"], source["jsonData"]["timeInterval"]) == ("prometheus", REFRESH)
    provider = provisioned("dashboards/slatecast.yml")["providers"][0]
    assert Path(provider["options"]["path"]).is_absolute()
    assert provider["type"] == "file"


def provisioned(name: str) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((FOLDER / "provisioning" / name).read_text(encoding="utf-8"))
    assert document["apiVersion"] == 1
    return document
