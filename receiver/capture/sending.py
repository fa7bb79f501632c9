"""Sends what the library lacks: reading, hashing, asking, compressing and sending at the same time, in bounded memory.

One thread reads batches of chunks in disk order; each batch is hashed, asked for, packed and sent by a task of its own,
a few at a time; digests come out in disk order. Invariant: a digest comes out only once the library has its chunk, or
had it already, so that whoever is interrupted asks again and sends the rest.
"""

import asyncio
import os
from collections import deque
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Final, TypeVar

from protocol.capture import FramedChunk, encode_chunk
from protocol.digests import raw_digest
from protocol.disk.codec import DEFAULT_LEVEL, pack
from protocol.manifest import CHUNK_SIZE
from receiver.capture.patience import patiently
from receiver.capture.reading import Reading, Rows, Survey, blanked
from receiver.seat_api_link import SeatApiLink

Answer = TypeVar("Answer")

BATCH_CHUNKS: Final = 48
"""[chunks] read, asked for and sent together: 12 MiB, for which a question and a request cost next to nothing, and
which fit into one body even if none of them can be packed."""

MOST_WORKERS: Final = 8
"""[threads] that hash and pack: more than fill a network of 10 Gbit/s, with memory to match."""

WAITING_BATCHES: Final = 3
"""[batches] beyond one per worker: one being read, one being sent, one on its way back."""

CALLS_AT_ONCE: Final = 2
"""[requests] of chunks and questions; the broadcaster allows a receiver four, and progress and work need theirs."""


class ChunkSender:
    """One pass over a disk; the counters grow while it runs."""

    def __init__(self, api: SeatApiLink, capture_id: str, survey: Survey, on_wait: Callable[[str], object]) -> None:
        self._api = api
        self._capture_id = capture_id
        self._survey = survey
        self._on_wait = on_wait
        self._calls = asyncio.Semaphore(CALLS_AT_ONCE)
        self._under_way: set[bytes] = set()
        self._readings = survey.readings()
        workers = min(len(os.sched_getaffinity(0)), MOST_WORKERS)
        self._batches_at_once = workers + WAITING_BATCHES
        self._reader = ThreadPoolExecutor(1, "capture-read")
        self._workers = ThreadPoolExecutor(workers, "capture-pack")
        self.read_bytes = 0
        """bytes of chunks that were read"""
        self.sent_chunks = 0
        """chunks that the library lacked"""
        self.sent_bytes = 0
        """stored bytes of them, as they were taken"""

    async def send(self) -> Rows:
        """Read the whole plan, send what is lacking, and say which chunks the image has.

        Raises:
            SourceError: the disk cannot be read.
            TransportError, LibraryError: nobody answers, or the library is full, for longer than anybody waits.
            RefusedError: the broadcaster does not want it any more.
        """
        loop = asyncio.get_running_loop()
        rows = Rows()
        tasks: deque[asyncio.Task[list[tuple[int, bytes | None]]]] = deque()
        try:
            batch = await loop.run_in_executor(self._reader, self._next_batch)
            while batch or tasks:
                if batch:
                    tasks.append(asyncio.create_task(self._take(batch)))
                    batch = await loop.run_in_executor(self._reader, self._next_batch)
                if tasks and (not batch or len(tasks) >= self._batches_at_once):
                    for chunk_id, digest in await tasks.popleft():
                        rows.add(chunk_id, digest)
            return rows
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._workers.shutdown(wait=False, cancel_futures=True)
            self._reader.shutdown(cancel_futures=True)  # it reads from what the caller is about to close

    def _next_batch(self) -> list[Reading]:
        return list(islice(self._readings, BATCH_CHUNKS))

    async def _take(self, batch: list[Reading]) -> list[tuple[int, bytes | None]]:
        """Chunk id and digest of each chunk of the batch, once the library has them; None for zeros."""
        loop = asyncio.get_running_loop()
        looked = await loop.run_in_executor(self._workers, _look, batch)
        lacking = await self._lacking({digest: raw for _, digest, raw in looked if digest is not None})
        try:
            if lacking:
                body = await loop.run_in_executor(self._workers, _packed, lacking)
                await self._call(lambda: self._api.send_chunks(self._capture_id, body))
                self.sent_chunks += len(lacking)
                self.sent_bytes += len(body)
        finally:
            self._under_way.difference_update(lacking)
        self.read_bytes += len(batch) * CHUNK_SIZE
        return [(chunk_id, digest) for chunk_id, digest, _ in looked]

    async def _lacking(self, raws: dict[bytes, bytes]) -> dict[bytes, bytes]:
        """Of a batch's chunks, by digest, those to send: what the library has not, and no other batch is sending."""
        asked = [digest for digest in raws if digest not in self._under_way]
        if not asked:
            return {}
        answer = await self._call(lambda: self._api.lacking(self._capture_id, asked))
        lacking = {
            digest: raws[digest]
            for digest, is_lacking in zip(asked, answer, strict=True)
            if is_lacking and digest not in self._under_way
        }
        self._under_way.update(lacking)
        return lacking

    async def _call(self, ask: Callable[[], Awaitable[Answer]]) -> Answer:
        async with self._calls:
            return await patiently(ask, self._on_wait)


def _look(batch: list[Reading]) -> list[tuple[int, bytes | None, bytes]]:
    """Chunk id, digest and blanked bytes of each; no digest for zeros."""
    found: list[tuple[int, bytes | None, bytes]] = []
    for reading in batch:
        raw = blanked(reading)
        found.append((reading.chunk_id, None, b"") if raw is None else (reading.chunk_id, raw_digest(raw), raw))
    return found


def _packed(lacking: dict[bytes, bytes]) -> bytes:
    """The body that carries these chunks."""
    return b"".join(
        encode_chunk(FramedChunk(digest, len(raw), pack(raw, DEFAULT_LEVEL))) for digest, raw in lacking.items()
    )
