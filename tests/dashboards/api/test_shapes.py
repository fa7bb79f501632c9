"""Answers that msgspec encodes and describes."""

import json

import pytest

from dashboards.api.shapes import Encoded, Strangers, answers, components
from dashboards.fleet.views import FleetView
from tests.dashboards.played_desk import PlayedDesk


def test_a_field_of_a_view_is_encoded_and_described() -> None:
    shown = json.loads(bytes(Encoded(PlayedDesk().fleet()).body))
    described = components()
    assert set(shown) == set(described["FleetView"]["properties"]) == set(FleetView.__dataclass_fields__)


def test_patterns_are_those_of_json_schema() -> None:
    assert r"\Z" not in json.dumps(components())


def test_what_is_not_described_cannot_be_answered() -> None:
    assert answers(Strangers, "both", is_list=True)["responses"][200]["content"]["application/json"]["schema"] == {
        "type": "array",
        "items": {"$ref": "#/components/schemas/Strangers"},
    }
    with pytest.raises(ValueError, match="not described"):
        answers(int, "a number")
