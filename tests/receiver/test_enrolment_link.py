import asyncio
import hashlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from broadcaster.authority import Authority
from protocol.enrolment import MAX_ANSWER_LENGTH
from protocol.errors import ConfigError, RefusedError, SlatecastError, TransportError
from protocol.link.tls import TlsIdentity, server_context
from receiver import enrolment_link
from receiver.enrolment_link import EnrolmentLink

pytestmark = [pytest.mark.asyncio, pytest.mark.system]

HOST = "127.0.0.1"
RECEIVER_ID = "0" * 32

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def identity() -> TlsIdentity:
    return Authority.create().server_identity()


@asynccontextmanager
async def somebody(answer: bytes | Serve, shown: TlsIdentity | None = None, port: int = 0) -> AsyncIterator[int]:
    """Somebody who gives this answer to every request, over TLS; the port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if callable(answer):
                await answer(reader, writer)
            else:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(answer)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    tls = server_context(shown or identity(), client_authority=None)
    server = await asyncio.start_server(serve, HOST, port, ssl=tls)
    async with server:
        yield server.sockets[0].getsockname()[1]


def http(status: str, body: bytes = b"", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


async def ask(port: int) -> bytes:
    async with asyncio.timeout(10), EnrolmentLink(HOST, port) as link:
        return await link.hello(b"{}")


async def test_the_answer_and_the_certificate_that_carried_it() -> None:
    shown = identity()
    der = ssl.PEM_cert_to_DER_cert(shown.certificate.decode())
    async with somebody(http("200 OK", b"an offer"), shown) as port, EnrolmentLink(HOST, port) as link:
        assert await link.hello(b"{}") == b"an offer"
        assert link.leaf_digest == hashlib.sha256(der).digest()
        assert await link.confirm(RECEIVER_ID, b"{}") == b"an offer"


async def test_an_answer_over_another_certificate_is_none() -> None:
    async with somebody(http("200 OK", b"an offer")) as port, EnrolmentLink(HOST, port) as link:
        assert await link.hello(b"{}") == b"an offer"
        seen = link.leaf_digest
        async with somebody(http("200 OK", b"a verdict")) as other:
            link._url = link._url.with_port(other)
            assert await link.confirm(RECEIVER_ID, b"{}") is None
        assert link.leaf_digest == seen


async def test_the_broadcaster_may_have_forgotten() -> None:
    async with somebody(http("410 Gone")) as port, EnrolmentLink(HOST, port) as link:
        assert await link.confirm(RECEIVER_ID, b"{}") is None


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (http("404 Not Found"), "answers 404"),
        (http("410 Gone"), "answers what no broadcaster does"),
        (http("302 Found", b"", "Location: https://127.0.0.1:1/"), "answers 302"),
        (http("401 Unauthorized", b"", "WWW-Authenticate: Basic"), "answers 401"),
        (http("500 Oops\x1b[2J"), "answers 500"),
        (b"220 mail.example.org ESMTP\r\n", "answers no proper HTTP"),
        (b"\x00" * 5000, "answers no proper HTTP"),
        (b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 500 + b"\r\n", "answers no proper HTTP"),
        (b"HTTP/1.1 200 OK\r\nA: " + b"b" * 5000 + b"\r\n\r\n", "answers no proper HTTP"),
        (http("200 OK", bytes(MAX_ANSWER_LENGTH + 1)), "answers without end"),
    ],
    ids=lambda value: repr(value)[:40],
)
async def test_who_is_no_broadcaster_is_refused_by_one_line(answer: bytes, text: str) -> None:
    async with somebody(answer) as port:
        with pytest.raises(RefusedError, match=rf"^{HOST}:{port} is not a slatecast broadcaster \({text}\): name it"):
            await ask(port)


@pytest.mark.parametrize(
    ("answer", "error", "text"),
    [
        (http("400 Bad Request"), RefusedError, "use the same version of slatecast on both machines"),
        (http("403 Forbidden"), RefusedError, "saw another exchange than this receiver: somebody sits in between"),
        (http("503 Service Unavailable"), TransportError, "is busy"),
        (b"", TransportError, "has ended the connection"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345", TransportError, "has ended the connection"),
    ],
    ids=lambda value: repr(value)[:40],
)
async def test_what_a_broadcaster_may_say(answer: bytes, error: type[SlatecastError], text: str) -> None:
    async with somebody(answer) as port:
        with pytest.raises(error, match=text):
            await ask(port)


async def test_an_answer_without_end_is_cut() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(bytes(4096))
            await writer.drain()

    async with somebody(serve) as port:
        with pytest.raises(RefusedError, match="answers without end"):
            await ask(port)


async def test_an_answer_that_dribbles_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(enrolment_link, "ANSWER_TIMEOUT", 0.2)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with somebody(serve) as port:
        with pytest.raises(TransportError, match="does not answer in time"):
            await ask(port)


async def test_who_speaks_no_tls_is_refused() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example.org ESMTP\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, HOST, 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(RefusedError, match="speaks no TLS that we understand"):
            await ask(port)


async def test_no_proxy_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("https_proxy", "HTTPS_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    async with somebody(http("200 OK", b"an offer")) as port:
        assert await ask(port) == b"an offer"


async def test_nothing_is_unpacked() -> None:
    async with somebody(http("200 OK", b"\x1f\x8bpacked", "Content-Encoding: gzip")) as port:
        assert await ask(port) == b"\x1f\x8bpacked"


@pytest.mark.parametrize(
    ("host", "port"),
    [("", 8884), ("a b", 8884), ("a/b", 8884), ("user@host", 8884), ("a\n", 8884), ("host", 0), ("host", 70000)],
)
async def test_an_address_that_is_none_is_refused(host: str, port: int) -> None:
    with pytest.raises(ConfigError, match=r"write HOST or HOST:PORT, with a port from 1 to 65535"):
        EnrolmentLink(host, port)


async def test_a_name_that_nobody_knows_is_told() -> None:
    with pytest.raises(TransportError, match=r"the broadcaster at nobody\.invalid:8884 cannot be reached"):
        async with asyncio.timeout(10), EnrolmentLink("nobody.invalid", 8884) as link:
            await link.hello(b"{}")


async def test_an_ipv6_address_is_shown_in_brackets() -> None:
    assert EnrolmentLink("fe80::1%eth0", 8884).place == "[fe80::1%eth0]:8884"
