import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from protocol.capture import MAX_CHUNKS_BODY, MAX_LACKING_DIGESTS, CaptureState, FramedChunk, encode_chunk
from protocol.digests import raw_digest
from protocol.errors import RefusedError, SourceError
from protocol.manifest import CHUNK_SIZE
from receiver.capture import sending
from receiver.capture.reading import Reading, Rows, Survey, survey
from receiver.capture.sending import CALLS_AT_ONCE, ChunkSender
from tests.receiver.capture.fake_library import CAPTURE_ID, FakeLibrary
from tests.receiver.capture.reference_disk import noise, opened, put

SHIPPED_BATCH = sending.BATCH_CHUNKS
BATCH_CHUNKS = 4
CHUNKS = 5 * BATCH_CHUNKS + 3


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "BATCH_CHUNKS", BATCH_CHUNKS)


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    return put(tmp_path, "disk", noise(CHUNKS * CHUNK_SIZE - 512))


def sent(library: FakeLibrary, disk: Path, senders: list[ChunkSender] | None = None) -> Rows:
    async def send() -> Rows:
        with opened(disk, disk.parent) as source:
            sender = ChunkSender(library, CAPTURE_ID, survey(source, disk.parent), lambda _reason: None)
            if senders is not None:
                senders.append(sender)
            return await sender.send()

    return asyncio.run(send())


def test_a_batch_that_cannot_be_packed_fits_into_a_body() -> None:
    frame = len(encode_chunk(FramedChunk(bytes(32), CHUNK_SIZE, bytes(CHUNK_SIZE))))
    assert SHIPPED_BATCH * frame <= MAX_CHUNKS_BODY
    assert SHIPPED_BATCH <= MAX_LACKING_DIGESTS


def test_rows_are_in_disk_order_and_what_is_read_is_counted(disk: Path) -> None:
    senders: list[ChunkSender] = []
    library = FakeLibrary()
    rows = list(sent(library, disk, senders))
    content = disk.read_bytes()
    assert rows == [
        (number, raw_digest(content[number * CHUNK_SIZE : (number + 1) * CHUNK_SIZE])) for number in range(CHUNKS)
    ]
    assert senders[0].read_bytes == CHUNKS * CHUNK_SIZE
    assert senders[0].sent_chunks == CHUNKS
    assert senders[0].sent_bytes > len(content)


def test_one_content_everywhere_is_sent_once(tmp_path: Path) -> None:
    disk = put(tmp_path, "disk", noise(CHUNK_SIZE) * CHUNKS)
    library = FakeLibrary()
    assert len(sent(library, disk)) == CHUNKS
    assert len(library.taken) == 1


def test_what_is_there_is_not_packed_or_sent(disk: Path) -> None:
    library = FakeLibrary()
    sent(library, disk)
    again = FakeLibrary(library.chunks)
    assert list(sent(again, disk)) == list(sent(library, disk))
    assert not again.taken


def test_memory_is_bounded_by_what_is_under_way(disk: Path) -> None:
    class Slow(FakeLibrary):
        now = 0
        most = 0
        asked = 0

        async def lacking(self, capture_id: str, digests: Sequence[bytes]) -> list[bool]:
            self.asked += 1
            return await super().lacking(capture_id, digests)

        async def send_chunks(self, capture_id: str, body: bytes) -> CaptureState:
            self.now += 1
            self.most = max(self.most, self.now)
            for _ in range(100):
                await asyncio.sleep(0)
            self.now -= 1
            return await super().send_chunks(capture_id, body)

    library = Slow()
    sent(library, disk)
    assert library.most <= CALLS_AT_ONCE
    assert library.asked == -(-CHUNKS // BATCH_CHUNKS)


@pytest.mark.parametrize("error", [RefusedError("stopped"), RuntimeError("ours")])
def test_an_end_leaves_nothing_running(disk: Path, error: Exception) -> None:
    class Ending(FakeLibrary):
        async def send_chunks(self, capture_id: str, body: bytes) -> CaptureState:
            raise error

    async def send() -> None:
        with opened(disk, disk.parent) as source:
            sender = ChunkSender(Ending(), CAPTURE_ID, survey(source, disk.parent), lambda _reason: None)
            with pytest.raises(type(error), match=str(error)):
                await sender.send()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(send())


def test_a_disk_that_fails_ends_it(disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(survey: Survey) -> Iterator[Reading]:
        yield from (Reading(chunk_id, noise(CHUNK_SIZE, chunk_id), []) for chunk_id in range(2 * BATCH_CHUNKS))
        raise SourceError("disk", "is broken")

    monkeypatch.setattr(Survey, "readings", failing)
    with pytest.raises(SourceError, match="is broken"):
        sent(FakeLibrary(), disk)
