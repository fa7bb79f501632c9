"""The picture once a second as server-sent events, for ``slatecast session watch`` and other programs."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse

from dashboards.api.bounds import Tsi
from dashboards.api.errors import UnknownError
from dashboards.api.roles import Viewer
from dashboards.desk import Desk
from dashboards.fleet.views import FleetView, SessionView

EVENT_INTERVAL: Final = 1.0
"""[s] between two events: as often as the broadcaster speaks"""

MAX_EVENTS: Final = 1_000_000
"""of one request, eleven days; whoever wants more asks again"""

Limit = Annotated[int, Query(ge=1, le=MAX_EVENTS, description="end after so many events")]


def events_router(desk: Desk, *, interval: float = EVENT_INTERVAL) -> APIRouter:
    """Routes under /events; ``interval`` in seconds."""
    router = APIRouter(prefix="/events", tags=["events"])
    stream: dict[str, Any] = {
        "response_class": StreamingResponse,
        "response_model": None,
        "responses": {
            200: {
                "description": "`data` of each event is the JSON of the same address without `events`",
                "content": {"text/event-stream": {"schema": {"type": "string"}}},
            }
        },
    }

    @router.get("", summary="The whole picture once a second", **stream)
    async def follow_fleet(user: Viewer, request: Request, limit: Limit = MAX_EVENTS) -> StreamingResponse:
        return _stream(_events("fleet", desk.fleet, request.state.is_allowed, limit, interval))

    @router.get("/sessions/{tsi}", summary="One session once a second, until it has gone", **stream)
    async def follow_session(user: Viewer, request: Request, tsi: Tsi, limit: Limit = MAX_EVENTS) -> StreamingResponse:
        if desk.session(tsi) is None:
            raise UnknownError("there is no such session: it may be in the history")
        return _stream(_events("session", lambda: desk.session(tsi), request.state.is_allowed, limit, interval))

    return router


async def _events(
    name: str,
    look: Callable[[], FleetView | SessionView | None],
    is_allowed: Callable[[], bool],
    limit: int,
    interval: float,
) -> AsyncIterator[bytes]:
    """Until whoever listens goes, or may listen no more, or there is nothing to be seen."""
    for count in range(limit):
        if count:
            await asyncio.sleep(interval)
        picture = look() if is_allowed() else None
        if picture is None:
            return
        yield b"event: " + name.encode() + b"\ndata: " + msgspec.json.encode(picture) + b"\n\n"


def _stream(events: AsyncIterator[bytes]) -> StreamingResponse:
    return StreamingResponse(events, media_type="text/event-stream", headers={"x-accel-buffering": "no"})
