"""The picture."""

import pytest

from dashboards.user import Role
from tests.dashboards.access.console import PlayedConsole
from tests.dashboards.api.conftest import Call


@pytest.mark.asyncio
async def test_the_picture(call: Call, console: PlayedConsole) -> None:
    shown = (await call("GET", "/fleet", Role.VIEWER)).json()
    view = console.desk.fleet()
    assert [room["name"] for room in shown["rooms"]] == [room.name for room in view.rooms]
    assert [seat["state"] for seat in shown["rooms"][0]["seats"]] == [seat.state.value for seat in view.rooms[0].seats]
