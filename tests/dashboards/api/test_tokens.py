"""Tokens over the API."""

from typing import Any

import httpx
import pytest

from dashboards.access.guards import CSRF_HEADER
from dashboards.user import Role
from tests.dashboards.access.console import URL, PlayedConsole
from tests.dashboards.api.conftest import Call

pytestmark = pytest.mark.asyncio


async def by_login(console: PlayedConsole, role: Role, method: str, path: str, body: Any = None) -> httpx.Response:
    cookies, csrf = console.cookies(role)
    async with console.browser() as browser:
        browser.cookies.update(cookies)
        headers = {"origin": URL, CSRF_HEADER: csrf}
        return await browser.request(method, f"/api/v1{path}", json=body, headers=headers)


async def test_from_beginning_to_end(console: PlayedConsole) -> None:
    order = {"name": "nightly", "role": "operator", "expires_at": console.time.now + 60}
    made = (await by_login(console, Role.OPERATOR, "POST", "/tokens", order)).json()
    async with console.browser() as browser:
        headers = {"authorization": f"Bearer {made['secret']}"}
        assert (await browser.get("/api/v1/me", headers=headers)).json()["name"] == "otto/nightly"
        listed = await by_login(console, Role.OPERATOR, "GET", "/tokens")
        assert [token["token_id"] for token in listed.json()] == [made["token_id"]]
        assert made["secret"] not in listed.text
        assert (await by_login(console, Role.VIEWER, "GET", "/tokens")).json() == []
        assert len((await by_login(console, Role.ADMIN, "GET", "/tokens")).json()) == 1
        assert (await by_login(console, Role.VIEWER, "DELETE", f"/tokens/{made['token_id']}")).status_code == 404
        console.time.now += 60
        assert (await browser.get("/api/v1/me", headers=headers)).status_code == 401
    assert (await by_login(console, Role.ADMIN, "DELETE", f"/tokens/{made['token_id']}")).status_code == 204


async def test_no_more_than_ones_own_role(console: PlayedConsole, call: Call) -> None:
    order = {"name": "nightly", "role": "admin"}
    answer = await by_login(console, Role.OPERATOR, "POST", "/tokens", order)
    assert (answer.status_code, "your role is operator" in answer.json()["detail"]) == (409, True)
    assert (await call("POST", "/tokens", json=order)).status_code == 409, "a token makes none"
