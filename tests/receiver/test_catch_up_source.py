import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from protocol.errors import MessageError, TransportError
from receiver import catch_up_source
from receiver.catch_up_source import CatchUpSource

pytestmark = [pytest.mark.asyncio, pytest.mark.system]

TSI = "000000000000004d"
L = 100
DATAGRAM = L + 34
OK = b"HTTP/1.1 200 OK\r\n"

Speak = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Host:
    """Says to each request what it was told to, and remembers the requests."""

    def __init__(self, *answers: bytes, hang_up: bool = True) -> None:
        self._answers = list(answers)
        self._hang_up = hang_up
        self.requests: list[str] = []
        self.connection_count = 0
        self.url = ""

    async def speak(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connection_count += 1
        try:
            while request := await reader.readuntil(b"\r\n\r\n"):
                self.requests.append(request.decode())
                writer.write(self._answers.pop(0) if len(self._answers) > 1 else self._answers[0])
                await writer.drain()
                if self._hang_up:
                    break
        except (EOFError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def hosting(speak: Speak) -> AsyncIterator[str]:
    server = await asyncio.start_server(speak, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


@asynccontextmanager
async def fetching_from(speak: Speak) -> AsyncIterator[CatchUpSource]:
    async with hosting(speak) as url, CatchUpSource(url, TSI, L, None) as source:
        yield source


def ok(body: bytes, length: int | None = None) -> bytes:
    return OK + b"Content-Length: %d\r\n\r\n" % (len(body) if length is None else length) + body


@pytest.fixture(autouse=True)
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Timeouts that a test can wait for."""
    monkeypatch.setattr(catch_up_source, "READ_TIMEOUT", 0.1)
    monkeypatch.setattr(catch_up_source, "SHORTEST_RETRY_AFTER", 0.0)
    monkeypatch.setattr(catch_up_source, "LONGEST_RETRY_AFTER", 0.001)


# --- what a lane may say ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("esis", "length"),
    [
        (None, DATAGRAM),
        (None, 35),
        (None, 190 * DATAGRAM + 35),
        (None, 191 * DATAGRAM),
        (range(3, 5), 2 * DATAGRAM),
        (range(3, 5), DATAGRAM + 35),
        (range(0, 255), 255 * DATAGRAM),
    ],
)
async def test_a_body_of_a_length_that_can_be(esis: range | None, length: int) -> None:
    body = bytes(n % 251 for n in range(length))
    async with fetching_from(Host(ok(body)).speak) as source:
        assert await source.fetch(1, 7, esis) == body
        assert source.bytes_received == length


async def test_what_is_asked() -> None:
    host = Host(ok(bytes(DATAGRAM)))
    async with fetching_from(host.speak) as source:
        await source.fetch(1, 7)
        await source.fetch(0, 3, range(5, 6))
    assert [request.split("\r\n")[0] for request in host.requests] == [
        f"GET /v1/sessions/{TSI}/objects/1/blocks/7 HTTP/1.1",
        f"GET /v1/sessions/{TSI}/objects/0/blocks/3?first_esi=5&count=1 HTTP/1.1",
    ]
    assert "aiohttp" not in host.requests[0]
    assert "Python" not in host.requests[0]


async def test_connections_are_used_again() -> None:
    host = Host(ok(bytes(DATAGRAM)), hang_up=False)
    async with fetching_from(host.speak) as source:
        for sbn in range(5):
            await source.fetch(1, sbn)
    assert len(host.requests) == 5
    assert host.connection_count == 1


@pytest.mark.parametrize("body", [b"", b"this block is damaged in the library\n", b"a" * 1_000_000])
async def test_a_damaged_block_is_none(body: bytes) -> None:
    answer = b"HTTP/1.1 410 Gone\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    async with fetching_from(Host(answer).speak) as source:
        assert await source.fetch(1, 7) is None
        assert source.bytes_received == 0


@pytest.mark.parametrize("retry_after", [b"0", b"1", b"-1", b"1e9", b"9" * 500, b"nan", b"tomorrow", b"\xd9\xa1", b""])
async def test_a_busy_lane_is_asked_again(retry_after: bytes) -> None:
    busy = b"HTTP/1.1 503 Busy\r\nRetry-After: " + retry_after + b"\r\nContent-Length: 0\r\n\r\n"
    host = Host(busy, busy, ok(bytes(DATAGRAM)))
    async with fetching_from(host.speak) as source:
        assert await source.fetch(1, 7) == bytes(DATAGRAM)
    assert len(host.requests) == 3


async def test_a_lane_that_stays_busy_is_a_failure() -> None:
    host = Host(b"HTTP/1.1 503 Busy\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n")
    async with fetching_from(host.speak) as source:
        with pytest.raises(TransportError, match="is busy"):
            await source.fetch(1, 7)
    assert len(host.requests) == catch_up_source.BUSY_TRIES


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0", 0.2), ("1", 1), ("3", 3), ("5", 5), ("6", 5), ("99999999999", 5), ("", 5), ("-1", 5), ("1.5", 5), ("²", 5)],
)
async def test_retry_after_is_bounded(text: str, seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert catch_up_source._retry_after(text) == seconds


# --- what hostile and broken hosts say -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"", "has ended the connection"),
        (b"HTTP/1.1 200", "has ended the connection|no proper HTTP"),
        (OK, "has ended the connection|no proper HTTP"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "no proper HTTP|has ended"),
        (b"\x00" * 100 + b"\r\n\r\n", "no proper HTTP|has ended"),
        (OK + b"A: " + b"b" * 5000 + b"\r\n\r\n", "no proper HTTP"),
        (OK + b"A: b\r\n" * 100 + b"\r\n", "no proper HTTP"),
        (OK + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello", "no proper HTTP"),
        (OK + b"Content-Length: -5\r\n\r\nhello", "no proper HTTP"),
        (OK + b"Content-Length: 9" + b"9" * 300 + b"\r\n\r\nhello", "no proper HTTP|bytes for"),
        (OK + b"\r\n" + bytes(DATAGRAM), "without length"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n86\r\n" + bytes(DATAGRAM) + b"\r\n0\r\n\r\n", "without length"),
        (ok(b""), "0 bytes for 191 symbols"),
        (ok(bytes(34)), "34 bytes for 191 symbols"),
        (ok(bytes(DATAGRAM + 34)), "bytes for 191 symbols"),
        (ok(b"", 191 * DATAGRAM + 35), "bytes for 191 symbols"),
        (ok(b"", 10**18), "bytes for 191 symbols"),
        (ok(bytes(DATAGRAM - 1), DATAGRAM), "has ended the connection"),
        (b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n", "answers 404 for /v1/"),
        (b"HTTP/1.1 400 No\r\nContent-Length: 0\r\n\r\n", "answers 400"),
        (b"HTTP/1.1 500 No\r\n\r\n", "answers 500"),
        (b"HTTP/1.1 204 None\r\n\r\n", "answers 204"),
        (b"HTTP/1.1 206 Partial\r\nContent-Length: 134\r\n\r\n" + bytes(DATAGRAM), "answers 206"),
        (b"HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n", "answers 999"),
        (b"HTTP/1.1 101 Switch\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n", "answers 101|no proper HTTP"),
        (b"HTTP/1.1 401 No\r\nWWW-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n", "answers 401"),
        (b"HTTP/1.1 407 No\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n", "answers 407"),
    ],
    ids=lambda value: repr(value[:50]),
)
async def test_an_answer_that_cannot_be_is_one_line(answer: bytes, reason: str) -> None:
    async with fetching_from(Host(answer).speak) as source:
        with pytest.raises(TransportError, match=reason) as caught:
            await source.fetch(1, 7)
        assert str(caught.value).startswith("catch-up lane http://127.0.0.1:")
        assert "\n" not in str(caught.value)
        assert source.bytes_received <= DATAGRAM


async def test_symbols_asked_for_by_number_are_counted() -> None:
    async with fetching_from(Host(ok(bytes(DATAGRAM))).speak) as source:
        with pytest.raises(TransportError, match="134 bytes for 2 symbols"):
            await source.fetch(1, 7, range(2))


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(status: int) -> None:
    elsewhere = Host(ok(bytes(DATAGRAM)))
    async with hosting(elsewhere.speak) as url:
        answer = b"HTTP/1.1 %d Go\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n" % (status, url.encode())
        async with fetching_from(Host(answer).speak) as source:
            with pytest.raises(TransportError, match=f"answers {status}"):
                await source.fetch(1, 7)
    assert not elsewhere.requests


async def test_proxies_and_credentials_of_the_environment_are_ignored(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://ada:secret@127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    host = Host(ok(bytes(DATAGRAM)))
    async with fetching_from(host.speak) as source:
        assert await source.fetch(1, 7) == bytes(DATAGRAM)
    assert "uthorization" not in host.requests[0]


async def test_what_a_host_sets_is_not_sent_back() -> None:
    cookie = OK + b"Set-Cookie: a=b\r\nContent-Length: 134\r\n\r\n" + bytes(DATAGRAM)
    host = Host(cookie)
    async with fetching_from(host.speak) as source:
        await source.fetch(1, 7)
        await source.fetch(1, 7)
    assert "ookie" not in host.requests[1]


async def test_nothing_is_unpacked() -> None:
    body = bytes(DATAGRAM)
    packed = OK + b"Content-Encoding: gzip\r\nContent-Length: 134\r\n\r\n" + body
    async with fetching_from(Host(packed).speak) as source:
        assert await source.fetch(1, 7) == body


async def test_an_endless_body_is_not_read() -> None:
    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(OK + b"Transfer-Encoding: chunked\r\n\r\n")
        try:
            while True:
                writer.write(b"1000\r\n" + bytes(0x1000) + b"\r\n")
                await writer.drain()
        except ConnectionError:
            has_ended.set()

    has_ended = asyncio.Event()
    async with fetching_from(speak) as source:
        with pytest.raises(TransportError, match="without length"):
            await source.fetch(1, 7)
        await asyncio.wait_for(has_ended.wait(), 5)
        assert source.bytes_received == 0


@pytest.mark.parametrize(
    "head", [b"", OK, OK + b"Content-Length: 134\r\n\r\n", OK + b"Content-Length: 134\r\n\r\n" + bytes(9)]
)
async def test_silence_is_not_waited_for(head: bytes) -> None:
    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        await reader.read()
        writer.close()

    async with fetching_from(speak) as source:
        with pytest.raises(TransportError, match="does not answer in time"):
            await source.fetch(1, 7)


@pytest.mark.parametrize("head", [b"", OK + b"Content-Length: 134\r\n\r\n"], ids=["head", "body"])
async def test_a_slow_drip_ends(head: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        while not writer.is_closing():
            writer.write(b"H")
            await asyncio.sleep(0.02)

    monkeypatch.setattr(catch_up_source, "FETCH_TIMEOUT", 0.2)
    async with fetching_from(speak) as source:
        with pytest.raises(TransportError, match=r"does not answer in time|no proper HTTP"):
            await source.fetch(1, 7)


async def test_endless_informational_answers_end(monkeypatch: pytest.MonkeyPatch) -> None:
    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while not writer.is_closing():
                writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                await writer.drain()
                await asyncio.sleep(0)
        except ConnectionError:
            pass

    monkeypatch.setattr(catch_up_source, "FETCH_TIMEOUT", 0.2)
    async with fetching_from(speak) as source:
        with pytest.raises(TransportError, match=r"does not answer in time|no proper HTTP"):
            await source.fetch(1, 7)


async def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    async with CatchUpSource(f"http://127.0.0.1:{port}", TSI, L, None) as source:
        with pytest.raises(TransportError, match="cannot be reached"):
            await source.fetch(1, 7)


async def test_a_bad_url_is_refused_before_anything_is_connected() -> None:
    with pytest.raises(MessageError):
        CatchUpSource("http://lab.example:80", TSI, L, None)


async def test_a_fetch_can_be_cancelled() -> None:
    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await reader.read()
        writer.close()
        has_ended.set()

    asked, has_ended = asyncio.Event(), asyncio.Event()
    async with fetching_from(speak) as source:
        fetch = asyncio.create_task(source.fetch(1, 7))
        await asked.wait()
        fetch.cancel()
        with pytest.raises(asyncio.CancelledError):
            await fetch
        await asyncio.wait_for(has_ended.wait(), 5)
