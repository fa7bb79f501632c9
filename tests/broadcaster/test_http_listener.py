import asyncio
import logging
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_address

import pytest
from aiohttp import web

from broadcaster import http_listener
from broadcaster.authority import Authority
from broadcaster.http_listener import MAX_CONNECTIONS, MAX_CONNECTIONS_PER_ADDRESS, PRODUCT, HttpListener
from protocol.errors import TransportError
from protocol.link.tls import pinned_context, server_context

pytestmark = [pytest.mark.asyncio, pytest.mark.system]

HOST = "127.0.0.1"
STRANGER = "127.0.0.2"


async def say_hello(request: web.BaseRequest) -> web.StreamResponse:
    return web.Response(text="hello", headers=PRODUCT)


@asynccontextmanager
async def listening(answer: http_listener.Answer = say_hello, host: str = HOST) -> AsyncIterator[HttpListener]:
    async with HttpListener(ip_address(host), 0, 1, answer) as listener:
        yield listener


async def connect(listener: HttpListener, source: str = STRANGER) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection(HOST, listener.port, local_addr=(source, 0))


async def ask(listener: HttpListener, request: bytes) -> bytes:
    """All that comes back until the connection ends."""
    reader, writer = await connect(listener)
    try:
        writer.write(request)
        return await asyncio.wait_for(reader.read(), 10)
    except ConnectionError:
        return b""
    finally:
        writer.close()


async def test_a_request_is_answered_and_the_connection_kept() -> None:
    async with listening() as listener:
        reader, writer = await connect(listener)
        for _ in range(3):
            writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200")
            assert await reader.readexactly(5) == b"hello"
        writer.close()


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 20,
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nA: b\x00c\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET /" + b"a" * 5000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nA: " + b"b" * 5000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n" + b"A: b\r\n" * 200 + b"\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n" + b"A" * 5000 + b": b\r\n\r\n",
    ],
    ids=lambda value: repr(value[:40]),
)
async def test_nonsense_is_refused_without_telling_what_runs_here(
    request_bytes: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with listening() as listener:
        answer = await ask(listener, request_bytes + b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert b"aiohttp" not in answer
        assert b"Python" not in answer
        assert b"hello" not in answer
        assert answer.startswith((b"HTTP/1.0 400", b"HTTP/1.1 400"))
        assert b"hello" in await ask(listener, b"GET / HTTP/1.0\r\n\r\n")
    assert not caplog.records


async def test_a_body_is_not_read() -> None:
    async with listening() as listener:
        began = time.monotonic()
        answer = await ask(
            listener, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n" + b"a" * 100_000
        )
        assert answer.count(b"HTTP/1.1") <= 1
        assert time.monotonic() - began < 2


async def test_a_fault_of_ours_is_logged_and_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    async def fail(request: web.BaseRequest) -> web.StreamResponse:
        raise ValueError("secret")

    async with listening(fail) as listener:
        answer = await ask(listener, b"GET / HTTP/1.1\r\nHost: a\r\nAccept: text/html\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 500")
    assert b"secret" not in answer
    assert len(caplog.records) == 1


async def is_open(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    try:
        return (await reader.read(12)).startswith(b"HTTP/1.1 200")
    except ConnectionError:
        return False


async def test_connections_of_one_address_are_bounded() -> None:
    async with listening() as listener:
        opened = [await connect(listener) for _ in range(MAX_CONNECTIONS_PER_ADDRESS + 3)]
        answered = [await is_open(*each) for each in opened]
        assert answered == [True] * MAX_CONNECTIONS_PER_ADDRESS + [False] * 3
        own = [await connect(listener, HOST) for _ in range(MAX_CONNECTIONS_PER_ADDRESS + 3)]
        assert all([await is_open(*each) for each in own])
        opened[0][1].write_eof()
        assert (await opened[0][0].read()).endswith(b"hello")  # until the listener has hung up too
        assert await is_open(*await connect(listener))
        for _reader, writer in opened + own:
            writer.close()


@pytest.mark.slow
async def test_connections_in_all_are_bounded() -> None:
    async with listening() as listener:
        opened = [await connect(listener, f"127.0.1.{n // 5 + 1}") for n in range(MAX_CONNECTIONS + 10)]
        answered = await asyncio.gather(*(is_open(*each) for each in opened))
        assert sum(answered) == MAX_CONNECTIONS
        for _reader, writer in opened:
            writer.close()


@pytest.mark.parametrize("sent", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: a\r\nA: b\r\n"])
async def test_half_a_request_ends_the_connection(sent: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_listener, "IDLE_SECONDS", 0.05)
    async with listening() as listener:
        assert await ask(listener, sent) == b""


async def test_an_idle_connection_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_listener, "IDLE_SECONDS", 0.05)
    async with listening() as listener:
        assert (await ask(listener, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")).endswith(b"hello")


async def test_leaving_ends_at_once_whatever_is_under_way() -> None:
    has_begun, has_ended = asyncio.Event(), asyncio.Event()

    async def never(request: web.BaseRequest) -> web.StreamResponse:
        has_begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            has_ended.set()
        raise AssertionError

    async with listening(never) as listener:
        asking = asyncio.create_task(ask(listener, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"))
        idle = await connect(listener)
        await has_begun.wait()
        began = time.monotonic()
    assert time.monotonic() - began < 1
    assert has_ended.is_set()
    assert await asking == b""
    idle[1].close()
    with pytest.raises(OSError, match=r"refused|Connect call failed"):
        await connect(listener)


async def test_an_answer_is_cancelled_when_nobody_reads_it() -> None:
    has_begun, has_ended = asyncio.Event(), asyncio.Event()

    async def never(request: web.BaseRequest) -> web.StreamResponse:
        has_begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            has_ended.set()
        raise AssertionError

    async with listening(never) as listener:
        _reader, writer = await connect(listener)
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await has_begun.wait()
        writer.transport.abort()
        await asyncio.wait_for(has_ended.wait(), 5)


async def test_ipv6() -> None:
    async with listening(host="::1") as listener:
        reader, writer = await asyncio.open_connection("::1", listener.port)
        assert await is_open(reader, writer)
        writer.close()


@pytest.mark.parametrize(("host", "port"), [("192.0.2.1", 0), (HOST, 70_000), (HOST, None)])
async def test_what_cannot_be_bound_is_said_in_words(host: str, port: int | None) -> None:
    with socket.create_server((HOST, 0)) as taken:
        listener = HttpListener(ip_address(host), taken.getsockname()[1] if port is None else port, 1, say_hello)
        with pytest.raises(TransportError, match="choose another"):
            await listener.__aenter__()


async def test_https_is_answered_and_bounded_like_http() -> None:
    authority = Authority.create()
    tls = server_context(authority.server_identity(), client_authority=None)
    pinned = pinned_context(authority.certificate, None)
    async with HttpListener(ip_address(HOST), 0, 1, say_hello, tls=tls) as listener:

        async def shake_hands() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
            return await asyncio.open_connection(HOST, listener.port, local_addr=(STRANGER, 0), ssl=pinned)

        opened = [await shake_hands() for _ in range(MAX_CONNECTIONS_PER_ADDRESS + 1)]
        assert [await is_open(*each) for each in opened] == [True] * MAX_CONNECTIONS_PER_ADDRESS + [False]
        assert b"hello" not in await ask(listener, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        for _reader, writer in opened:
            writer.transport.abort()
    with pytest.raises(OSError, match=r"refused|Connect call failed"):
        await connect(listener)
