"""The picture once a second."""

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest
from fastapi.routing import APIRoute
from starlette.responses import StreamingResponse

from dashboards.api.events import events_router
from dashboards.desk import Desk
from dashboards.plan_order import PlanOrder
from dashboards.user import Role
from tests.dashboards.access.console import PlayedConsole
from tests.dashboards.api.conftest import Call
from tests.dashboards.played_desk import OPERATOR, VIEWER, PlayedDesk

pytestmark = pytest.mark.asyncio


async def test_some_events(call: Call, console: PlayedConsole) -> None:
    tsi = await console.desk.plan(OPERATOR, PlanOrder(room="Room 1", image="lab-ubuntu"))
    answer = await call("GET", "/events?limit=1", Role.VIEWER)
    assert answer.headers["content-type"].startswith("text/event-stream")
    name, data, *rest = answer.text.split("\n")
    assert (name, rest) == ("event: fleet", ["", ""])
    assert msgspec.json.decode(data.removeprefix("data: "))["rooms"]
    answer = await call("GET", f"/events/sessions/{tsi}?limit=1", Role.VIEWER)
    assert answer.text.startswith('event: session\ndata: {"tsi":')


async def test_a_session_that_is_not_there(call: Call) -> None:
    assert (await call("GET", f"/events/sessions/{'0' * 16}", Role.VIEWER)).status_code == 404


async def listen(
    desk: PlayedDesk, is_allowed: Callable[[], bool], path: str = "/events", **more: Any
) -> StreamingResponse:
    router = events_router(cast(Desk, desk), interval=0.0)
    route = next(each for each in router.routes if isinstance(each, APIRoute) and each.path_format == path)
    request = SimpleNamespace(state=SimpleNamespace(is_allowed=is_allowed))
    answer = await route.endpoint(user=VIEWER, request=request, **more)
    assert isinstance(answer, StreamingResponse)
    return answer


async def test_it_ends_when_the_login_does() -> None:
    allowed = [True, True, False, True]
    answer = await listen(PlayedDesk(), lambda: allowed.pop(0), limit=10)
    assert len([event async for event in answer.body_iterator]) == 2


async def test_it_ends_with_the_session() -> None:
    desk = PlayedDesk()
    tsi = await desk.plan(OPERATOR, PlanOrder(room="Room 1", image="lab-ubuntu"))
    answer = await listen(desk, lambda: True, "/events/sessions/{tsi}", tsi=tsi, limit=10)
    events = answer.body_iterator.__aiter__()
    assert str(tsi) in str(await events.__anext__())
    desk.session = lambda _: None  # type: ignore[method-assign,assignment] # it has gone from the picture
    with pytest.raises(StopAsyncIteration):
        await asyncio.wait_for(events.__anext__(), 5)
