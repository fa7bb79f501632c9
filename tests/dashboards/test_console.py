import json
import socket
import ssl
import stat
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from tests.dashboards.console_process import HOST
from tests.end_to_end.room import Room, Running, free_port

pytestmark = [pytest.mark.system, pytest.mark.slow]


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    with Room(tmp_path) as room:
        yield room


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def console(room: Room, port: int) -> Running:
    state = room.folder / "state"
    state.mkdir(mode=0o700)
    running = room.start_python("-m", "tests.dashboards.console_process", state, port)
    running.output.until("ready")
    return running


@pytest_asyncio.fixture
async def browser(console: Running, port: int, room: Room) -> AsyncIterator[aiohttp.ClientSession]:
    """Trusts the authority that the console's file for terminals names."""
    pem = json.loads((room.folder / "state" / "console.json").read_bytes())["certificate"]
    connector = aiohttp.TCPConnector(ssl=ssl.create_default_context(cadata=pem))
    async with aiohttp.ClientSession(f"https://{HOST}:{port}", connector=connector) as session:
        yield session


@pytest.mark.asyncio
async def test_nothing_is_shown_without_a_login(browser: aiohttp.ClientSession) -> None:
    answer = await browser.get("/rooms", allow_redirects=False)
    assert (answer.status, answer.headers["location"].partition("?")[0]) == (303, "/login")
    assert (await browser.get("/api/v1/fleet")).status == 401
    assert (await browser.get("/metrics")).status == 401
    assert (await browser.get("/login")).status == 200


@pytest.mark.asyncio
async def test_it_says_that_nobody_is_heard(browser: aiohttp.ClientSession) -> None:
    assert (await browser.get("/healthz")).status == 503


@pytest.mark.asyncio
async def test_a_terminal_of_this_machine_is_let_in(browser: aiohttp.ClientSession, room: Room) -> None:
    file = room.folder / "state" / "console.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    bearer = {"authorization": f"Bearer {json.loads(file.read_bytes())['token']}"}
    answer = await browser.get("/api/v1/health", headers=bearer)
    assert answer.status == 200
    assert "broker" in " ".join((await answer.json())["problems"])
    assert "slatecast_console" in await (await browser.get("/metrics", headers=bearer)).text()


def test_it_ends_when_it_is_told_to(console: Running) -> None:
    assert "ended" in console.interrupt()


def test_a_port_that_is_taken(room: Room, port: int) -> None:
    with socket.create_server((HOST, port)):
        running = room.start_python("-m", "tests.dashboards.console_process", room.folder, port)
        assert running.finish() == 1
    assert f"the console cannot listen at {HOST}:{port}: Address already in use" in running.errors.text
    assert Path(room.folder, "console.json").exists() is False


def test_a_state_folder_that_cannot_be_written_ends_it_before_anything_begins(room: Room, port: int) -> None:
    (room.folder / "console.json").mkdir()
    running = room.start_python("-m", "tests.dashboards.console_process", room.folder, port)
    assert running.finish() == 1
    assert "console.json" in running.errors.text
    assert not list(room.folder.glob("history.sqlite*"))
