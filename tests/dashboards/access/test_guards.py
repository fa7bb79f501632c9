"""What gets past the guard."""

import html
import re
from collections.abc import AsyncIterator
from contextlib import nullcontext
from pathlib import Path

import pytest
from starlette.requests import HTTPConnection
from starlette.types import Message, Receive, Scope, Send

from dashboards.access.guards import BODY_TIME, CSRF_HEADER, Guard, current_user
from dashboards.access.policy import AccessPolicy
from dashboards.access.sessions import ABSOLUTE_LIMIT, IDLE_LIMIT
from dashboards.user import Role
from tests.dashboards.access.console import HOST, PASSWORD, URL, PlayedConsole, form_token

pytestmark = pytest.mark.asyncio


@pytest.fixture
def console(tmp_path: Path) -> PlayedConsole:
    return PlayedConsole(tmp_path)


async def test_nothing_without_login_but_what_must_be(console: PlayedConsole) -> None:
    statuses = {}
    async with console.browser() as browser:
        for path in ("/login", "/healthz", "/", "/metrics", "/_nicegui/x.js", "/docs", "/api/v1/health", "/logout"):
            statuses[path] = (await browser.get(path)).status_code
    assert statuses == {
        "/login": 200,
        "/healthz": 200,
        "/": 303,
        "/metrics": 401,
        "/_nicegui/x.js": 303,
        "/docs": 303,
        "/api/v1/health": 401,
        "/logout": 303,
    }


async def test_metrics_when_they_are_switched_on(tmp_path: Path) -> None:
    console = PlayedConsole(tmp_path, policy=AccessPolicy(hosts=frozenset({HOST}), is_metrics_open=True))
    async with console.browser() as browser:
        assert (await browser.get("/metrics")).status_code == 200
        assert (await browser.get("/metrics", headers={"authorization": "Bearer wrong"})).status_code == 200
        assert (await browser.get("/metrics", headers={"host": "rebound.example"})).status_code == 421


async def test_metrics_with_a_token(console: PlayedConsole) -> None:
    async with console.browser() as browser:
        assert (await browser.get("/metrics", headers=console.bearer(Role.VIEWER))).status_code == 200


async def test_pages_take_no_tokens(console: PlayedConsole) -> None:
    async with console.browser() as browser:
        assert (await browser.get("/", headers=console.bearer(Role.ADMIN))).status_code == 303


async def test_health_says_one_word(console: PlayedConsole) -> None:
    async with console.browser() as browser:
        assert (await browser.get("/healthz")).json() == {"status": "ok"}
        console.desk.is_broker_connected = False
        answer = await browser.get("/healthz")
        assert (answer.status_code, answer.json()) == (503, {"status": "degraded"})


@pytest.mark.parametrize(
    "cookie",
    [
        "__Host-slatecast=forged",
        "__Host-slatecast=",
        "slatecast={}",
        "__Host-slatecast={}x",
        "__Host-slatecast=" + "A" * 100_000,
        "=;=;\x7f",
        '__Host-slatecast="{}',
    ],
    ids=lambda cookie: cookie[:24],
)
async def test_forged_cookies(console: PlayedConsole, cookie: str) -> None:
    cookies, _ = console.cookies(Role.ADMIN)
    made = cookie.replace("{}", cookies["__Host-slatecast"])
    async with console.browser() as browser:
        assert (await browser.get("/api/v1/me", headers={"cookie": made})).status_code == 401


async def test_strange_cookies_of_others_do_no_harm(console: PlayedConsole) -> None:
    cookies, _ = console.cookies(Role.VIEWER)
    header = f'a="; b[]={{}}; =; {"; ".join(f"{name}={value}" for name, value in cookies.items())}; c=\x7f,"'
    async with console.browser() as browser:
        assert (await browser.get("/", headers={"cookie": header})).status_code == 200


@pytest.mark.parametrize("path", ["/rooms/Raum%20%C3%96%2F1?x=%26", "/sessions/0?a=1&b=2", "/"])
async def test_after_the_login_one_is_where_one_wanted_to_be(console: PlayedConsole, path: str) -> None:
    async with console.browser() as browser:
        asked = await browser.get(path)
        form = {"csrf": form_token(await browser.get(asked.headers["location"])), "name": "vera", "password": PASSWORD}
        page = await browser.get(asked.headers["location"])
        wanted = re.search(r'name="next" value="([^"]*)"', page.text)
        assert wanted is not None
        form["next"] = html.unescape(wanted[1])
        answer = await browser.post("/login", data=form, headers={"origin": URL})
    assert answer.headers["location"] == path


async def test_expired_cookies(console: PlayedConsole) -> None:
    async with console.browser() as browser:
        browser.cookies.update(console.cookies(Role.ADMIN)[0])
        console.time.now += IDLE_LIMIT - 1
        assert (await browser.get("/")).status_code == 200
        console.time.now += IDLE_LIMIT - 1
        assert (await browser.get("/api/v1/me")).status_code == 200, "but a script's request is no deed"
        console.time.now += 1
        assert (await browser.get("/api/v1/me")).status_code == 401
        browser.cookies.update(console.cookies(Role.ADMIN)[0])
        for _ in range(int(ABSOLUTE_LIMIT / IDLE_LIMIT) + 1):
            last = (await browser.get("/")).status_code
            console.time.now += IDLE_LIMIT - 1
        assert last == 200
        assert (await browser.get("/")).status_code == 303


async def test_a_request_of_our_own_page(console: PlayedConsole) -> None:
    cookies, csrf = console.cookies(Role.OPERATOR)
    async with console.browser() as browser:
        browser.cookies.update(cookies)
        body = {"room": "Room 1"}
        for own in ({"origin": URL}, {"sec-fetch-site": "same-origin"}):
            answer = await browser.post("/api/v1/rooms/wake", json=body, headers={CSRF_HEADER: csrf, **own})
            assert answer.status_code == 200
        assert (await browser.post("/", headers={"origin": URL})).status_code == 403
        assert (await browser.post("/", headers={CSRF_HEADER: csrf})).status_code == 403, "nobody says whose page"
        assert (await browser.post("/", headers={"origin": URL, CSRF_HEADER: csrf})).status_code == 200


async def test_a_link_from_elsewhere_leads_to_a_page_and_a_picture_does_not(console: PlayedConsole) -> None:
    async with console.browser() as browser:
        browser.cookies.update(console.cookies(Role.VIEWER)[0])
        link = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
        assert (await browser.get("/", headers=link)).status_code == 200
        assert (await browser.get("/", headers={**link, "sec-fetch-mode": "no-cors"})).status_code == 403


async def test_bodies_are_bounded(console: PlayedConsole) -> None:
    limit = console.access.policy.max_body
    headers = {**console.bearer(Role.ADMIN), "content-type": "application/json"}

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"[" * 65536

    async with console.browser() as browser:
        assert (await browser.post("/login", content=b"a" * (limit + 1))).status_code == 413
        assert (await browser.put("/api/v1/rooms", content=b"a" * (limit + 1), headers=headers)).status_code == 413
        assert (await browser.put("/api/v1/rooms", content=endless(), headers=headers)).status_code == 413
        for length in ("-1", "1e9", "9" * 30, "0x10"):
            lying = {**headers, "content-length": length}
            assert (await browser.put("/api/v1/rooms", content=b"[]", headers=lying)).status_code == 413
        assert (await browser.put("/api/v1/rooms", content=b"[" * limit, headers=headers)).status_code == 422
    assert BODY_TIME > 0


@pytest.mark.parametrize("path", ["/api/v1/me%0a", "/%00", "/rooms/%1b%5b2J", "/\u202e"])
async def test_addresses_with_control_characters(console: PlayedConsole, path: str) -> None:
    async with console.browser() as browser:
        answer = await browser.get(path)
    assert answer.status_code == 400


async def test_every_answer_has_the_headers(console: PlayedConsole) -> None:
    async with console.browser() as browser:
        for path in ("/", "/login", "/healthz", "/api/v1/me", "/api/v1/nothing"):
            answer = await browser.get(path)
            assert "default-src 'none'" in answer.headers["content-security-policy"], path
            assert answer.headers["x-frame-options"] == "DENY"
            assert answer.headers["cache-control"] == "no-store"
        nonces = {(await browser.get("/")).headers["content-security-policy"] for _ in range(3)}
    assert len(nonces) == 3


async def test_the_socket_of_pages_is_no_address_for_requests(console: PlayedConsole) -> None:
    async with console.browser() as browser:
        browser.cookies.update(console.cookies(Role.VIEWER)[0])
        assert (await browser.get("/_nicegui_ws/socket.io/?transport=polling")).status_code == 403


async def test_who_a_page_belongs_to_later(console: PlayedConsole) -> None:
    account = console.access.accounts.get("vera")
    assert account is not None
    _, login = console.access.sessions.begin(account, console.time.now)
    request = HTTPConnection({"type": "http", "state": {"login": login, "user": login.user}})
    assert current_user(request, console.access) == account.user
    console.time.now += IDLE_LIMIT
    assert current_user(request, console.access) is None
    console.access.accounts.set_role("vera", Role.OPERATOR)
    assert login.is_ended
    assert current_user(HTTPConnection({"type": "http"}), console.access) is None


@pytest.mark.parametrize("has_left", [True, False])
async def test_a_browser_that_hangs_up_is_no_fault(console: PlayedConsole, has_left: bool) -> None:
    async def unanswered(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        raise RuntimeError("No response returned.")

    async def receive() -> Message:
        return {"type": "http.disconnect" if has_left else "http.request"}

    async def send(message: Message) -> None:
        raise AssertionError(f"nobody is there to hear {message}")

    headers = [(b"host", HOST.encode())]
    scope = {"type": "http", "method": "GET", "path": "/healthz", "headers": headers, "query_string": b""}
    with nullcontext() if has_left else pytest.raises(RuntimeError):
        await Guard(unanswered, console.access)(scope, receive, send)
