import asyncio
import hashlib
import hmac
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
from aiohttp import web

from dashboards.notices.events import Event
from dashboards.notices.outbox import Outbox
from dashboards.notices.webhook import EVENT_HEADER, SIGNATURE_HEADER, Webhook, signature
from protocol.errors import ConfigError, RefusedError, TransportError
from tests.dashboards.notices.happened import LOOPBACK, ended, failed, hostile_events, loopback_tls
from tests.end_to_end.room import free_port

pytestmark = [pytest.mark.asyncio, pytest.mark.system]


class Hook:
    """A program that notes what it is told, and answers each time with the next status; the last one stays."""

    def __init__(self, *statuses: int, scheme: str = "http") -> None:
        self.statuses = list(statuses) or [204]
        self.got: list[tuple[bytes, dict[str, str]]] = []
        self.scheme = scheme
        self.port = 0

    @property
    def url(self) -> str:
        return f"{self.scheme}://{LOOPBACK}:{self.port}/hook?key=secret-word"

    async def answer(self, request: web.Request) -> web.Response:
        self.got.append((await request.read(), dict(request.headers)))
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        return web.Response(status=status, headers={"Location": "/elsewhere"} if 300 <= status < 400 else {})


@asynccontextmanager
async def listening(hook: Hook, tls: ssl.SSLContext | None = None) -> AsyncIterator[Hook]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", hook.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, LOOPBACK, 0, ssl_context=tls)
    await site.start()
    hook.port = runner.addresses[0][1]
    yield hook
    await runner.cleanup()


async def test_one_signed_post() -> None:
    async with listening(Hook()) as hook:
        await Webhook(hook.url, secret=b"key").deliver(failed())
    ((body, headers),) = hook.got
    assert msgspec.json.decode(body) == failed().as_json()
    assert headers["Content-Type"] == "application/json"
    assert headers[EVENT_HEADER] == failed().id
    assert headers[SIGNATURE_HEADER] == f"sha256={hmac.new(b'key', body, hashlib.sha256).hexdigest()}"
    assert headers[SIGNATURE_HEADER] != signature(body, b"another key")


async def test_without_a_secret_nothing_is_signed() -> None:
    async with listening(Hook()) as hook:
        await Webhook(hook.url).deliver(ended())
    assert SIGNATURE_HEADER not in hook.got[0][1]


@pytest.mark.parametrize("event", hostile_events(), ids=["ended", "failed"])
async def test_hostile_texts_arrive_as_texts(event: Event) -> None:
    async with listening(Hook()) as hook:
        await Webhook(hook.url).deliver(event)
    ((body, headers),) = hook.got
    assert msgspec.json.decode(body) == event.as_json()
    assert "Bcc" not in headers
    assert headers[EVENT_HEADER].isascii()


@pytest.mark.parametrize(
    ("status", "error", "words"),
    [
        (302, RefusedError, "redirect"),
        (307, RefusedError, "redirect"),
        (401, RefusedError, "status 401"),
        (404, RefusedError, "status 404"),
        (429, TransportError, "status 429"),
        (500, TransportError, "status 500"),
        (503, TransportError, "status 503"),
    ],
)
async def test_answers(status: int, error: type[Exception], words: str) -> None:
    async with listening(Hook(status)) as hook:
        with pytest.raises(error, match=words) as caught:
            await Webhook(hook.url).deliver(ended())
    assert len(hook.got) == 1
    assert "secret-word" not in str(caught.value)


async def test_nobody_there() -> None:
    with pytest.raises(TransportError, match="cannot be reached") as caught:
        await Webhook(f"http://{LOOPBACK}:{free_port()}/?key=secret-word").deliver(ended())
    assert "secret-word" not in str(caught.value)


async def test_a_certificate_is_checked(tmp_path: Path) -> None:
    tls, authority = loopback_tls(tmp_path)
    async with listening(Hook(scheme="https"), tls) as hook:
        with pytest.raises(RefusedError, match="certificate is not trusted"):
            await Webhook(hook.url).deliver(ended())
        assert not hook.got
        await Webhook(hook.url, authority=authority).deliver(ended())
    assert len(hook.got) == 1


async def test_another_host_than_the_certificate_names(tmp_path: Path) -> None:
    tls, authority = loopback_tls(tmp_path)
    async with listening(Hook(scheme="https"), tls) as hook:
        with pytest.raises(RefusedError, match="certificate is not trusted"):
            await Webhook(f"https://localhost:{hook.port}/", authority=authority).deliver(ended())
    assert not hook.got


async def test_proxies_of_the_environment_are_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    async with listening(Hook()) as hook, listening(Hook()) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        await Webhook(hook.url).deliver(ended())
    assert (len(hook.got), len(proxy.got)) == (1, 0)


async def test_through_the_outbox_until_it_is_taken() -> None:
    async with listening(Hook(503, 429, 200)) as hook:
        outbox = Outbox([Webhook(hook.url)], first_pause=0.001)
        outbox.start()
        outbox.put(ended())
        await outbox.stop(patience=10.0)
    assert [headers[EVENT_HEADER] for _, headers in hook.got] == [ended().id] * 3
    assert outbox.problems == ()


async def test_a_program_that_never_answers() -> None:
    async def say_nothing(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    silent = await asyncio.start_server(say_nothing, LOOPBACK, 0)
    port = silent.sockets[0].getsockname()[1]
    outbox = Outbox([Webhook(f"http://{LOOPBACK}:{port}/")], attempt_timeout=0.05, give_up_after=0.0)
    outbox.start()
    outbox.put(ended())
    await outbox.stop(patience=10.0)
    assert "no answer within 0.05 s" in outbox.problems[0]
    silent.close()


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ftp://host/",
        "http://",
        "host/path",
        "http://host:99999/",
        "http://ho st/",
        "http://host/\n",
        "http://[::1/",
    ],
)
async def test_urls_that_are_none(url: str) -> None:
    with pytest.raises(ConfigError, match="write https://HOST/PATH"):
        Webhook(url)


async def test_secrets_are_not_told() -> None:
    hook = Webhook("https://host:8443/path-secret?query-secret", secret=b"key-secret")
    assert (hook.name, repr(hook)) == ("https://host:8443", "Webhook('https://host:8443')")
    with pytest.raises(ConfigError, match="holds a name or password") as caught:
        Webhook("https://user:pass-secret@host/")
    assert "secret" not in str(caught.value).replace("its secret instead", "")
    with pytest.raises(ConfigError, match="no certificate in PEM"):
        Webhook("https://host/", authority=b"x")
