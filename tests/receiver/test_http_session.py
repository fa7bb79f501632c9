from collections.abc import AsyncIterator

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web

from receiver.http_session import MAX_HEADERS, MAX_LINE, strict_session

pytestmark = [pytest.mark.asyncio, pytest.mark.system]

TIMEOUT = aiohttp.ClientTimeout(total=10)


async def echo(request: web.Request) -> web.Response:
    """Tell what was sent; set a cookie, pretend to be packed, or answer with a longer head, as the query asks."""
    headers = {"Content-Encoding": "gzip"} if "packed" in request.query else {}
    headers |= {f"X-{number}": "x" for number in range(int(request.query.get("more", 0)))}
    headers["X-Long"] = "x" * int(request.query.get("long", 1))
    answer = web.json_response(dict(request.headers), headers=headers)
    answer.set_cookie("tracked", "yes")
    return answer


@pytest_asyncio.fixture
async def address() -> AsyncIterator[str]:
    application = web.Application()
    application.router.add_get("/", echo)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
    await runner.cleanup()


async def test_it_says_little_of_itself_and_what_is_added(address: str) -> None:
    async with strict_session(aiohttp.TCPConnector(), TIMEOUT, headers={"X-Mine": "1"}) as http:
        said = await (await http.get(address)).json()
    assert {name: said[name] for name in said if name not in {"Host", "Accept"}} == {
        "User-Agent": "slatecast",
        "Accept-Encoding": "identity",
        "X-Mine": "1",
    }


async def test_no_cookie_comes_back(address: str) -> None:
    async with strict_session(aiohttp.TCPConnector(), TIMEOUT) as http:
        await http.get(address)
        assert "Cookie" not in await (await http.get(address)).json()


async def test_nothing_is_unpacked(address: str) -> None:
    async with strict_session(aiohttp.TCPConnector(), TIMEOUT) as http:
        answer = await http.get(address, params={"packed": "1"})
        assert (await answer.read()).startswith(b"{")


async def test_no_proxy_of_the_environment(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9/")
    async with strict_session(aiohttp.TCPConnector(), TIMEOUT) as http:
        assert (await http.get(address)).status == 200


@pytest.mark.parametrize("asked", [{"long": str(MAX_LINE + 1)}, {"more": str(MAX_HEADERS)}])
async def test_a_head_is_bounded(address: str, asked: dict[str, str]) -> None:
    async with strict_session(aiohttp.TCPConnector(), TIMEOUT) as http:
        with pytest.raises(aiohttp.ClientError):
            await http.get(address, params=asked)
