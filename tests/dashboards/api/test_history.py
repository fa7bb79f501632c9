"""The history over the API."""

import threading
from typing import Any

import pytest

from dashboards.history.records import past_session
from dashboards.plan_order import PlanOrder
from dashboards.user import Role
from tests.dashboards.access.console import PlayedConsole
from tests.dashboards.api.conftest import Call
from tests.dashboards.played_desk import OPERATOR


@pytest.mark.asyncio
async def test_history(call: Call, console: PlayedConsole) -> None:
    tsi = await console.desk.plan(OPERATOR, PlanOrder(room="Room 1", image="lab-ubuntu"))
    session = console.desk.session(tsi)
    assert session is not None
    console.desk.past = [past_session(session, ended_at=5.0)]
    listed = (await call("GET", "/history?room=Room 1&limit=5", Role.VIEWER)).json()
    assert [(each["tsi"], each["ended_at"]) for each in listed] == [(tsi, 5.0)]
    assert (await call("GET", "/history?room=other")).json() == []
    assert (await call("GET", "/history?limit=0")).status_code == 422
    assert (await call("GET", "/history?before=nan")).status_code == 422


@pytest.mark.asyncio
async def test_a_disk_that_hangs_holds_up_only_who_asks(
    call: Call, console: PlayedConsole, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[threading.Thread] = []

    def history(*_: Any, **__: Any) -> list[Any]:
        asked.append(threading.current_thread())
        return []

    monkeypatch.setattr(console.desk, "history", history)
    assert (await call("GET", "/history", Role.VIEWER)).json() == []
    assert asked
    assert asked[0] is not threading.current_thread()
