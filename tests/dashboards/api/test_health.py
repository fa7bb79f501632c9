"""Health."""

import pytest

from dashboards.user import Role
from tests.dashboards.access.console import PlayedConsole
from tests.dashboards.api.conftest import Call


@pytest.mark.asyncio
async def test_health(call: Call, console: PlayedConsole) -> None:
    assert (await call("GET", "/health", Role.VIEWER)).json()["is_broker_connected"] is True
    console.desk.is_broker_connected = False
    shown = (await call("GET", "/health", Role.VIEWER)).json()
    assert shown["is_broker_connected"] is False
    assert shown["problems"]
