"""Captures over the API."""

import pytest

from dashboards.user import Role
from tests.dashboards.access.console import PlayedConsole
from tests.dashboards.api.conftest import Call
from tests.dashboards.played_captures import ASKED, DONE, FINDING, OPENED, RUNNING

pytestmark = pytest.mark.asyncio


@pytest.fixture(autouse=True)
def opened(console: PlayedConsole) -> None:
    console.desk.played.captures.add(*OPENED)
    console.desk.advance()


async def test_captures_are_listed(call: Call) -> None:
    shown = (await call("GET", "/captures", Role.VIEWER)).json()
    assert [(each["capture_id"], each["step"]) for each in shown] == [
        (ASKED, "asked"),
        (RUNNING, "running"),
        (DONE, "done"),
    ]


async def test_captures_are_ordered_decided_and_stopped(call: Call) -> None:
    order = {"machine": "pc-1", "image": "windows", "accepts": ["dirty"]}
    answer = await call("POST", "/captures", Role.OPERATOR, json=order)
    assert (answer.status_code, len(answer.json()["capture_ids"])) == (202, 1)
    answer = await call("POST", "/captures/backups", Role.OPERATOR, json={"machines": ["pc-1", "pc-2"]})
    assert (answer.status_code, len(answer.json()["capture_ids"])) == (202, 2)
    for path, body, status in (
        (f"{ASKED}/allow", {"accepts": []}, 204),
        (f"{ASKED}/refuse", None, 409),
        (f"{RUNNING}/stop", None, 204),
        (f"{RUNNING}/allow", {}, 409),
        (f"{DONE}/stop", None, 409),
        ("x/stop", None, 422),
    ):
        assert (await call("POST", f"/captures/{path}", Role.OPERATOR, json=body)).status_code == status, path
    assert (await call("GET", f"/captures/{DONE}/findings", Role.VIEWER)).json() == [FINDING]


async def test_who_only_looks_may_order_nothing(call: Call) -> None:
    for path, body in (("", {"machine": "a", "image": "b"}), ("/backups", {"machines": ["a"]})):
        assert (await call("POST", f"/captures{path}", Role.VIEWER, json=body)).status_code == 403
    for body in ({"machine": "", "image": "b"}, {"machine": "a", "image": "b\n"}, {"machine": "a"}):
        assert (await call("POST", "/captures", Role.OPERATOR, json=body)).status_code == 422
