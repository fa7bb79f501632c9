"""What the committed dashboards ask of Prometheus."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from dashboards.grafana.generate import board_file


def committed(board: str) -> dict[str, Any]:
    """The dashboard as Grafana reads it."""
    document: dict[str, Any] = json.loads(board_file(board).read_text(encoding="utf-8"))
    return document


def panels(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Its panels without the headings."""
    return (panel for panel in document["panels"] if panel["type"] != "row")


@dataclass(frozen=True)
class Choice:
    """A variable of a dashboard: the label of a metric that its viewer chooses by."""

    metric: str
    label: str


def choices(document: dict[str, Any]) -> Iterator[Choice]:
    for variable in document["templating"]["list"]:
        if variable["type"] == "query":
            match = re.fullmatch(r"label_values\((\w+), (\w+)\)", variable["query"])
            assert match is not None, variable
            assert variable["name"] == match[2]
            yield Choice(match[1], match[2])


def expressions(document: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Title of the panel and expression, of each query."""
    for panel in panels(document):
        for target in panel["targets"]:
            yield panel["title"], target["expr"]
