import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from broadcaster import handshakes
from broadcaster.authority import Authority
from broadcaster.handshakes import MAX_HANDSHAKES_PER_ADDRESS, TlsListener
from protocol.link.tls import pinned_context, server_context

pytestmark = [pytest.mark.asyncio, pytest.mark.system]

HOST = "127.0.0.1"
STRANGER = "127.0.0.2"
AUTHORITY = Authority.create()


class Echo(asyncio.Protocol):
    """Sends back what it is sent."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)


@asynccontextmanager
async def listening() -> AsyncIterator[int]:
    tls = server_context(AUTHORITY.server_identity(), client_authority=None)
    with socket.socket() as bound:
        bound.bind((HOST, 0))
        async with TlsListener(bound, tls, Echo):
            yield bound.getsockname()[1]


async def is_served(port: int, source: str = HOST) -> bool:
    pinned: ssl.SSLContext = pinned_context(AUTHORITY.certificate, None)
    try:
        reader, writer = await asyncio.open_connection(HOST, port, ssl=pinned, local_addr=(source, 0))
    except OSError:
        return False
    writer.write(b"hello")
    answer = await reader.readexactly(5)
    writer.transport.abort()
    return answer == b"hello"


async def connect(port: int, source: str = STRANGER) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection that says nothing."""
    return await asyncio.open_connection(HOST, port, local_addr=(source, 0))


async def test_a_connection_is_served_when_its_handshake_is_over() -> None:
    async with listening() as port:
        assert await is_served(port)


@pytest.mark.parametrize("nonsense", [b"", b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\xff\xff" + bytes(999)])
async def test_strangers_are_survived_in_silence(nonsense: bytes, caplog: pytest.LogCaptureFixture) -> None:
    async with listening() as port:
        _reader, writer = await connect(port)
        writer.write(nonsense)
        writer.close()
        assert await is_served(port)
    assert not caplog.records


async def test_handshake_that_takes_too_long_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handshakes, "HANDSHAKE_TIMEOUT", 0.05)
    async with listening() as port:
        reader, writer = await connect(port)
        async with asyncio.timeout(5):
            with contextlib.suppress(ConnectionError):
                assert await reader.read() == b""
        writer.close()


async def test_handshakes_of_one_address_are_bounded_and_keep_out_nobody_else() -> None:
    async with listening() as port:
        silent = [await connect(port) for _ in range(MAX_HANDSHAKES_PER_ADDRESS)]
        assert not await is_served(port, STRANGER)
        assert await is_served(port, "127.0.0.3")
        own = [await connect(port, HOST) for _ in range(MAX_HANDSHAKES_PER_ADDRESS + 1)]
        assert await is_served(port, HOST)
        silent[0][1].transport.abort()
        async with asyncio.timeout(5):
            while not await is_served(port, STRANGER):  # noqa: ASYNC110 - who counts them tells nobody
                await asyncio.sleep(0.01)
        for _reader, writer in silent + own:
            writer.transport.abort()


async def test_too_many_handshakes_end_the_oldest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handshakes, "MAX_HANDSHAKES", 3)
    async with listening() as port:
        silent = [await connect(port, f"127.0.0.{n}") for n in range(2, 6)]
        async with asyncio.timeout(5):
            with contextlib.suppress(ConnectionError):
                assert await silent[0][0].read() == b""
        assert await is_served(port)
        for _reader, writer in silent:
            writer.transport.abort()


async def test_leaving_ends_handshakes_and_takes_no_more(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    async with listening() as port:
        reader, writer = await connect(port)
        await asyncio.sleep(0)
    async with asyncio.timeout(5):
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""
    writer.close()
    assert not await is_served(port)
    assert not caplog.records
