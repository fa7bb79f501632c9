import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
from aiohttp import web
from blake3 import blake3

from protocol.capture import (
    CaptureFailure,
    CaptureProgress,
    CaptureState,
    CaptureStep,
    CaptureWish,
    encode_lacking,
)
from protocol.errors import ConfigError, IntegrityError, LibraryError, MessageError, RefusedError, TransportError
from protocol.seat_api import RestoreAnswer, RestoreWish, Work
from receiver import seat_api_link
from receiver.seat_api_link import SeatApiLink

pytestmark = pytest.mark.system

TSI = "00000000000000aa"
CAPTURE = "00000000000000cc"
STATE = CaptureState(capture_id=CAPTURE, step=CaptureStep.RUNNING, image="lab")
DIGEST = bytes(range(32))

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def asking(handler: Handler) -> AsyncIterator[SeatApiLink]:
    application = web.Application(client_max_size=64 << 20)

    async def handle(request: web.Request) -> web.StreamResponse:
        return await handler(request)

    application.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        async with SeatApiLink(f"http://127.0.0.1:{runner.addresses[0][1]}", None) as api:
            yield api
    finally:
        await runner.cleanup()


class Room:
    """Answers always the same, and remembers what was asked."""

    def __init__(self, body: bytes = b"", status: int = 200) -> None:
        self._body = body
        self._status = status
        self.asked: list[tuple[str, str, bytes]] = []

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        self.asked.append((request.method, request.path, await request.read()))
        return web.Response(body=self._body, status=self._status)


def answering(what: object) -> Room:
    return Room(msgspec.json.encode(what))


@pytest.mark.asyncio
async def test_work_and_restores() -> None:
    room = answering(Work(seat="desk 4"))
    async with asking(room) as api:
        assert (await api.work()).seat == "desk 4"
    room = answering(RestoreAnswer(tsi=TSI))
    async with asking(room) as api:
        assert (await api.restore(RestoreWish(image="lab", version=3))).tsi == TSI
    assert room.asked == [("POST", "/v1/restores", b'{"image":"lab","version":3}')]


@pytest.mark.asyncio
async def test_every_call_of_a_capture() -> None:
    room = answering(STATE)
    async with asking(room) as api:
        wish = CaptureWish(image="lab", machine="m", target="sda", disk_size=5)
        assert await api.wish_capture(wish) == STATE
        assert await api.capture_state(CAPTURE) == STATE
        assert await api.send_chunks(CAPTURE, b"chunks") == STATE
        assert await api.send_disk(CAPTURE, b"disk") == STATE
        await api.send_progress(CAPTURE, CaptureProgress(done=0.5, read_bytes=2, sent_bytes=1))
        await api.send_failure(CAPTURE, CaptureFailure(is_refused=True, reason="why"))
        assert api.sent_bytes == 6
    root = f"/v1/captures/{CAPTURE}"
    assert [(method, path) for method, path, _ in room.asked] == [
        ("POST", "/v1/captures"),
        ("GET", root),
        ("POST", f"{root}/chunks"),
        ("POST", f"{root}/disk"),
        ("POST", f"{root}/progress"),
        ("POST", f"{root}/failure"),
    ]


@pytest.mark.asyncio
async def test_which_chunks_are_lacking() -> None:
    room = Room(encode_lacking([True, False, True]))
    async with asking(room) as api:
        assert await api.lacking(CAPTURE, [DIGEST] * 3) == [True, False, True]
        assert room.asked == [("POST", f"/v1/captures/{CAPTURE}/lacking", DIGEST * 3)]
        with pytest.raises(MessageError, match="bits"):
            await api.lacking(CAPTURE, [DIGEST] * 9)


@pytest.mark.asyncio
@pytest.mark.parametrize("status", [204, 404])
async def test_nothing_to_configure(status: int) -> None:
    async with asking(Room(b"", status)) as api:
        assert await api.configuration(TSI) is None


@pytest.mark.asyncio
async def test_a_configuration_comes_as_it_is() -> None:
    async with asking(Room(b'{"any": 1}')) as api:
        assert await api.configuration(TSI) == b'{"any": 1}'
        await api.report_step(TSI, b"{}")


@pytest.mark.asyncio
async def test_a_file_is_kept_when_it_is_the_right_one(tmp_path: Path) -> None:
    content = bytes(3_000_000)
    async with asking(Room(content)) as api:
        await api.fetch_file(TSI, blake3(content).digest(), tmp_path / "driver")
        assert (tmp_path / "driver").read_bytes() == content
        assert (tmp_path / "driver").stat().st_mode & 0o777 == 0o600
        with pytest.raises(IntegrityError):
            await api.fetch_file(TSI, DIGEST, tmp_path / "other")
        with pytest.raises(FileExistsError):
            await api.fetch_file(TSI, DIGEST, tmp_path / "driver")
    assert not (tmp_path / "other").exists()


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, RefusedError),
        (403, RefusedError),
        (404, RefusedError),
        (302, RefusedError),
        (500, TransportError),
        (503, TransportError),
        (507, LibraryError),
    ],
)
async def test_what_a_status_means(status: int, kind: type[Exception]) -> None:
    async with asking(Room(b"said in words\x1b[31m\nand more", status)) as api:
        with pytest.raises(kind) as failure:
            await api.work()
        assert failure.type is kind
        assert "\n" not in str(failure.value)
        assert "\x1b" not in str(failure.value)
        assert kind is TransportError or "said in words" in str(failure.value)


@pytest.mark.asyncio
@pytest.mark.parametrize("body", [b"", b"[]", b"\xff", b'{"seat": 1}', b"x" * 100_000])
async def test_nonsense_is_one_line(body: bytes) -> None:
    async with asking(Room(body)) as api:
        with pytest.raises(MessageError):
            await api.work()


@pytest.mark.asyncio
async def test_an_endless_answer_is_cut() -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        while True:
            await answer.write(b"x" * 65536)

    async with asking(endless) as api:
        with pytest.raises(MessageError, match="more than"):
            await api.work()


@pytest.mark.asyncio
async def test_a_connection_that_breaks_is_worth_another_try() -> None:
    async def cut(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Length": "100"})
        await answer.prepare(request)
        assert request.transport is not None
        request.transport.abort()
        return answer

    async with asking(cut) as api:
        with pytest.raises(TransportError, match="ended the connection"):
            await api.work()


@pytest.mark.asyncio
async def test_nobody_there_and_nobody_who_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    async with SeatApiLink("http://127.0.0.1:1", None) as api:
        with pytest.raises(TransportError, match="cannot be reached"):
            await api.work()

    async def slow(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Length": "100"})
        await answer.prepare(request)
        await request.content.read()
        await never.wait()
        return answer

    never = asyncio.Event()
    monkeypatch.setattr(seat_api_link.SeatApiLink._ask, "__kwdefaults__", _short(SeatApiLink._ask))
    async with asking(slow) as api:
        with pytest.raises(TransportError, match="in time"):
            await api.work()
        never.set()


def _short(function: Callable[..., object]) -> dict[str, object]:
    return {**(function.__kwdefaults__ or {}), "pause": 0.05}


def test_it_takes_tls_and_nothing_else() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    with pytest.raises(ConfigError, match="no seat API"):
        SeatApiLink("", context)
    with pytest.raises(ConfigError, match="without TLS"):
        SeatApiLink("http://127.0.0.1:1", context)
    with pytest.raises(ConfigError, match="with TLS"):
        SeatApiLink("https://127.0.0.1:1", None)
