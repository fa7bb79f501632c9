"""Reports to keep and to print."""

import re

import pytest

from dashboards.plan_order import PlanOrder
from dashboards.user import Role
from tests.dashboards.access.console import PlayedConsole
from tests.dashboards.api.conftest import Call
from tests.dashboards.played_desk import OPERATOR

pytestmark = pytest.mark.asyncio

HOSTILE = "<script>alert(1)</script>\x1b[2J{{7*7}}"


async def ended(console: PlayedConsole) -> str:
    tsi = await console.desk.plan(OPERATOR, PlanOrder(room="Room 1", image="lab-ubuntu"))
    console.desk.advance(5)
    await console.desk.stop(OPERATOR, tsi)
    console.desk.advance(2)
    return tsi


async def test_download(call: Call, console: PlayedConsole) -> None:
    tsi = await ended(console)
    answer = await call("GET", f"/sessions/{tsi}/report.json", Role.VIEWER)
    assert answer.headers["content-disposition"] == f'attachment; filename="slatecast-{tsi}.json"'
    assert (answer.json()["session"], len(answer.json()["seats"]) > 10) == (tsi, True)


async def test_page(call: Call, console: PlayedConsole) -> None:
    tsi = await ended(console)
    answer = await call("GET", f"/sessions/{tsi}/report.html", Role.VIEWER)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "/dev/sda is mounted" in answer.text
    assert answer.text.count("<tr") == 1 + len((await call("GET", f"/sessions/{tsi}/report.json")).json()["seats"])
    nonce = re.search(r'<style nonce="([^"]+)"', answer.text)
    assert nonce is not None
    policy = answer.headers["content-security-policy"]
    assert f"style-src 'nonce-{nonce[1]}'" in policy
    assert "script-src" not in policy


async def test_hostile_and_strange_reports(call: Call, console: PlayedConsole, monkeypatch: pytest.MonkeyPatch) -> None:
    tsi = await ended(console)
    seat = {"seat": HOSTILE, "reason": HOSTILE, "outcome": HOSTILE, "alarm": HOSTILE, "seconds": HOSTILE, "verified": 3}

    async def report(*_: object) -> dict[str, object]:
        return {"image": HOSTILE, "seats": [seat, "no seat", {}], "end_reason": "\ud800", "seconds": None}

    monkeypatch.setattr(console.desk, "report", report)
    page = (await call("GET", f"/sessions/{tsi}/report.html")).text
    assert "<script" not in page
    assert "\x1b" not in page
    assert "49" not in page
    assert "&lt;script&gt;" in page
    assert "0 of 2 seats verified" in page


async def test_no_report(call: Call, console: PlayedConsole) -> None:
    running = await console.desk.plan(OPERATOR, PlanOrder(room="Room 1", image="lab-ubuntu"))
    assert (await call("GET", f"/sessions/{running}/report.json")).status_code == 409
    assert (await call("GET", f"/sessions/{'0' * 16}/report.html")).status_code == 404
