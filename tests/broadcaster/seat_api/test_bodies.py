import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from broadcaster.seat_api import bodies
from protocol.capture import MAX_CHUNKS_BODY
from tests.broadcaster.seat_api.served import CAPTURE_ID, HOST, TSI, Served, until

pytestmark = [pytest.mark.asyncio, pytest.mark.system]

CHUNKS = f"/v1/captures/{CAPTURE_ID}/chunks"


@pytest_asyncio.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    (tmp_path / "file").write_bytes(bytes(64 << 20))
    one = Served(tmp_path)
    async with one.api:
        yield one


async def connect(served: Served) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection(HOST, served.api.port, ssl=served.tls(), server_hostname=HOST)


async def test_a_whole_body_of_the_longest_length_arrives(served: Served) -> None:
    body = bytes(MAX_CHUNKS_BODY)
    assert (await served.ask("POST", CHUNKS, body))[0] == 200
    assert served.captures.asked == [("chunks", body)]


@pytest.mark.parametrize("head", [b"Content-Length: 1000", b"Transfer-Encoding: chunked"])
async def test_who_sends_nothing_more_is_cut(served: Served, monkeypatch: pytest.MonkeyPatch, head: bytes) -> None:
    monkeypatch.setattr(bodies, "PART_PATIENCE", 0.2)
    reader, writer = await connect(served)
    writer.write(f"POST {CHUNKS} HTTP/1.1\r\nHost: a\r\n".encode() + head + b"\r\n\r\n3\r\nabc\r\n")
    answer = await asyncio.wait_for(reader.read(), 10)
    assert answer.startswith(b"HTTP/1.1 400")
    assert b"does not come" in answer
    assert served.captures.asked == []
    writer.close()


async def test_who_dribbles_is_cut(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "PART_PATIENCE", 0.3)
    reader, writer = await connect(served)
    writer.write(f"POST {CHUNKS} HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n".encode())
    answer = asyncio.create_task(reader.read())
    for _ in range(100):
        writer.write(b"a")
        await asyncio.sleep(0.05)
        if answer.done():
            break
    assert (await asyncio.wait_for(answer, 10)).startswith(b"HTTP/1.1 400")
    assert served.captures.asked == []
    writer.close()


async def test_half_a_body_is_none(served: Served) -> None:
    _reader, writer = await connect(served)
    writer.write(f"POST {CHUNKS} HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nhalf".encode())
    await writer.drain()
    await until(lambda: served.api._under_way)
    writer.transport.abort()
    await until(lambda: not served.api._under_way)
    assert served.captures.asked == []


async def test_a_chunked_body_is_bounded_too(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    async def parts() -> AsyncIterator[bytes]:
        for _ in range(MAX_CHUNKS_BODY // (1 << 20) + 1):
            yield bytes(1 << 20)

    async with served.session() as session:
        try:
            async with session.post(CHUNKS, data=parts()) as response:
                assert response.status == 400
        except OSError:
            pass  # cut off in the middle of a body that nobody reads
    assert served.captures.asked == []


async def test_who_does_not_read_a_file_loses_the_connection(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "PART_PATIENCE", 0.3)
    reader, writer = await connect(served)
    writer.transport.pause_reading()  # type: ignore[attr-defined] # a stream's transport reads
    writer.write(f"GET /v1/sessions/{TSI}/files/{'01' * 32} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    await until(lambda: served.api._under_way)
    await until(lambda: not served.api._under_way)
    writer.transport.resume_reading()  # type: ignore[attr-defined] # as above
    with pytest.raises((OSError, asyncio.IncompleteReadError)):
        await asyncio.wait_for(reader.readexactly(64 << 20), 10)
    writer.close()
