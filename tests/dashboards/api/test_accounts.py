"""Accounts over the API."""

import pytest

from dashboards.access.guards import CSRF_HEADER
from dashboards.user import Role
from tests.dashboards.access.console import PASSWORD, URL, PlayedConsole, log_in
from tests.dashboards.api.conftest import Call

pytestmark = pytest.mark.asyncio


async def test_from_beginning_to_end(call: Call, console: PlayedConsole) -> None:
    made = await call("POST", "/accounts", json={"name": "nina", "password": PASSWORD, "role": "viewer"})
    assert (made.status_code, made.json()["role"]) == (201, "viewer")
    twice = await call("POST", "/accounts", json={"name": "nina", "password": PASSWORD, "role": "viewer"})
    assert twice.status_code == 409
    assert (await call("PUT", "/accounts/nina/role", json={"role": "operator"})).json()["role"] == "operator"
    assert (await call("PUT", "/accounts/nina/password", json={"password": "another horse"})).status_code == 204
    async with console.browser() as browser:
        assert (await log_in(browser, "nina", "another horse")).status_code == 303
        assert (await call("DELETE", "/accounts/nina")).status_code == 204
        assert (await browser.get("/")).status_code == 303, "its login has ended"
    names = [account["name"] for account in (await call("GET", "/accounts")).json()]
    assert names == ["ada", "otto", "vera"]
    assert "hash" not in (await call("GET", "/accounts")).text


async def test_the_last_admin(call: Call) -> None:
    for method, path, body in (("DELETE", "/accounts/ada", None), ("PUT", "/accounts/ada/role", {"role": "viewer"})):
        answer = await call(method, path, json=body)
        assert (answer.status_code, "last admin" in answer.json()["detail"]) == (409, True)


@pytest.mark.parametrize("password", ["short", "nina nina nina", "aaaaaaaaaaaa", "x" * 257, ""])
async def test_bad_passwords(call: Call, password: str) -> None:
    answer = await call("POST", "/accounts", json={"name": "nina", "password": password, "role": "viewer"})
    assert answer.status_code == 422
    assert not password or password not in answer.text


async def test_own_password(console: PlayedConsole, call: Call) -> None:
    async with console.browser() as browser:
        await log_in(browser, "vera")
        csrf = next(iter(console.access.sessions._logins.values())).csrf_token
        headers = {"origin": URL, CSRF_HEADER: csrf}
        body = {"old_password": "wrong", "new_password": "another horse"}
        assert (await browser.put("/api/v1/me/password", json=body, headers=headers)).status_code == 403
        body["old_password"] = PASSWORD
        assert (await browser.put("/api/v1/me/password", json=body, headers=headers)).status_code == 204
        assert (await browser.get("/api/v1/me")).status_code == 401
        assert (await log_in(browser, "vera", "another horse")).status_code == 303
        assert (await browser.get("/api/v1/me")).json() == {"name": "vera", "role": "viewer"}


async def test_unknown(call: Call) -> None:
    assert (await call("DELETE", "/accounts/nobody")).status_code == 404
    assert (await call("GET", "/me", Role.VIEWER)).json() == {"name": "vera/t1", "role": "viewer"}
