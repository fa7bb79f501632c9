"""Websockets and the logins behind them."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from dashboards.access.guards import Guard
from dashboards.access.sessions import IDLE_LIMIT
from dashboards.access.sockets import CLOSED_BY_GUARD
from dashboards.user import Role
from tests.dashboards.access.console import HOST, URL, PlayedConsole

pytestmark = pytest.mark.asyncio


class Browser:
    """The far end of a websocket, and an application behind the guard that echoes."""

    def __init__(self, console: PlayedConsole, headers: dict[str, str]) -> None:
        self.sent: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.heard: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.app_heard: list[dict[str, Any]] = []
        scope = {
            "type": "websocket",
            "path": "/_nicegui_ws/socket.io/",
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        }
        self.sent.put_nowait({"type": "websocket.connect"})
        guard = Guard(self.echo, console.access)
        self.running = asyncio.ensure_future(guard(scope, self.sent.get, self.hear))

    async def hear(self, message: Any) -> None:
        await self.heard.put(message)

    async def echo(self, scope: Any, receive: Any, send: Any) -> None:
        while True:
            message = await receive()
            self.app_heard.append(message)
            if message["type"] == "websocket.connect":
                await send({"type": "websocket.accept"})
            elif message["type"] == "websocket.receive":
                await send({"type": "websocket.send", "text": message["text"]})
            else:
                return

    def say(self, text: str) -> None:
        self.sent.put_nowait({"type": "websocket.receive", "text": text})

    async def next(self) -> dict[str, Any]:
        return await asyncio.wait_for(self.heard.get(), 5)


@pytest.fixture
def console(tmp_path: Path) -> PlayedConsole:
    return PlayedConsole(tmp_path)


def cookie_header(console: PlayedConsole, role: Role = Role.VIEWER) -> dict[str, str]:
    cookies, _ = console.cookies(role)
    return {"host": HOST, "cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())}


async def test_a_page_of_ours_talks_until_it_goes(console: PlayedConsole) -> None:
    browser = Browser(console, {**cookie_header(console), "origin": URL})
    assert (await browser.next())["type"] == "websocket.accept"
    browser.say("hello")
    assert (await browser.next())["text"] == "hello"
    browser.sent.put_nowait({"type": "websocket.disconnect", "code": 1001})
    await asyncio.wait_for(browser.running, 5)
    assert browser.app_heard[-1]["code"] == 1001


@pytest.mark.parametrize(
    "changed",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": f"http://{HOST}"},
        {"cookie": "__Host-slatecast=forged", "origin": URL},
        {"host": "rebound.example", "origin": "https://rebound.example"},
        {},
        {"sec-fetch-site": "same-origin"},
    ],
    ids=str,
)
async def test_others_are_refused_before_it_opens(console: PlayedConsole, changed: dict[str, str]) -> None:
    browser = Browser(console, {**cookie_header(console), **changed})
    assert await browser.next() == {"type": "websocket.close", "code": CLOSED_BY_GUARD}
    await asyncio.wait_for(browser.running, 5)
    assert browser.app_heard == []


@pytest.mark.parametrize("end", ["logout", "role", "password", "account"])
async def test_it_is_cut_when_the_login_ends(console: PlayedConsole, end: str) -> None:
    headers = cookie_header(console)
    browser = Browser(console, {**headers, "origin": URL})
    await browser.next()
    accounts = console.access.accounts
    match end:
        case "logout":
            console.access.sessions.end(headers["cookie"].partition("=")[2])
        case "role":
            accounts.set_role("vera", Role.OPERATOR)
        case "password":
            accounts.set_password("vera", "other hash")
        case "account":
            accounts.remove("vera")
    assert await browser.next() == {"type": "websocket.close", "code": CLOSED_BY_GUARD}
    await asyncio.wait_for(browser.running, 5)
    assert browser.app_heard[-1] == {"type": "websocket.disconnect", "code": CLOSED_BY_GUARD}
    assert browser.heard.empty()


async def test_heartbeats_keep_no_login_alive_and_deeds_do(console: PlayedConsole) -> None:
    browser = Browser(console, {**cookie_header(console), "origin": URL})
    await browser.next()
    login = next(iter(console.access.sessions._logins.values()))
    begun = login.used_at
    console.time.now += 60
    browser.say("3")
    browser.say('42["ack",{"next_message_id":3}]')
    await browser.next()
    await browser.next()
    assert login.used_at == begun
    browser.say('42["event",{"id":1}]')
    await browser.next()
    assert login.used_at == console.time.now
    browser.running.cancel()


async def test_it_is_cut_when_the_time_of_the_login_is_over(console: PlayedConsole) -> None:
    headers = cookie_header(console)
    console.time.now += IDLE_LIMIT - 0.05
    browser = Browser(console, {**headers, "origin": URL})
    assert (await browser.next())["type"] == "websocket.accept"
    console.time.now += 1
    assert (await browser.next())["type"] == "websocket.close"
