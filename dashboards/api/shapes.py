"""Answers in the values that the rest of the console uses, encoded and described by msgspec.

So a field that is added to a view is in the API and in its description at once, and a thousand seats a second cost
little.
"""

from dataclasses import dataclass
from typing import Any, Final

import msgspec
from fastapi.responses import JSONResponse

from dashboards.access.problems import MEDIA_TYPE, Problem
from dashboards.api.work import Job
from dashboards.fleet.capture_view import CaptureView
from dashboards.fleet.views import FleetView, Health, RoomView, SeatView, SessionView
from dashboards.history.records import PastSession
from dashboards.rooms.rooms import Rooms
from protocol.operators import ApplicantNews, ImageNews


@dataclass(frozen=True, slots=True)
class Strangers:
    """Receivers that stand in no room."""

    applicants: tuple[ApplicantNews, ...]
    """wait to be let in"""
    tray: tuple[SeatView, ...]
    """were let in, and have no seat"""


_COMPONENTS: Final = "#/components/schemas/{name}"
_SHAPES: Final = (CaptureView, FleetView, Health, ImageNews, Job, PastSession, Rooms, RoomView, SessionView, Strangers)

REFUSED: Final[dict[int | str, dict[str, Any]]] = {
    "4XX": {
        "description": "Refused: `detail` says what to do.",
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    },
    503: {
        "description": "The broadcaster or the broker does not answer.",
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    },
}
"""How every route says no."""


class Encoded(JSONResponse):
    """JSON of a value that msgspec knows."""

    def render(self, content: object) -> bytes:
        """The bytes to send."""
        return msgspec.json.encode(content)


def answers(shape: type, description: str, *, status: int = 200, is_list: bool = False) -> dict[str, Any]:
    """Arguments for a route that answers ``Encoded`` values of ``shape``."""
    if shape not in _SHAPES:
        raise ValueError(f"{shape.__name__} is not described")  # our own misuse, seen when the module is imported
    one = {"$ref": _COMPONENTS.format(name=shape.__name__)}
    schema = {"type": "array", "items": one} if is_list else one
    content = {"application/json": {"schema": schema}}
    return {
        "status_code": status,
        "response_class": Encoded,
        "response_model": None,
        "responses": {status: {"description": description, "content": content}},
    }


def components() -> dict[str, Any]:
    """The schemas that the description of the API refers to."""
    _, schemas = msgspec.json.schema_components(_SHAPES, ref_template=_COMPONENTS)
    described: dict[str, Any] = _plain_patterns(schemas)
    return {**described, "Problem": Problem.model_json_schema()}


def _plain_patterns(value: Any) -> Any:
    r"""JSON Schema has the patterns of JavaScript, which know no \Z."""
    if isinstance(value, dict):
        return {
            key: each.replace(r"\Z", "$") if key == "pattern" and isinstance(each, str) else _plain_patterns(each)
            for key, each in value.items()
        }
    if isinstance(value, list):
        return [_plain_patterns(each) for each in value]
    return value
