"""The broadcaster's side of captures in this process: keeps chunks, answers as the seat API, fails when told to."""

import asyncio
from collections.abc import Sequence

from protocol.capture import (
    CaptureFailure,
    CaptureProgress,
    CaptureState,
    CaptureStep,
    CaptureWish,
    decode_chunks,
    decode_disk,
)
from protocol.digests import raw_digest
from protocol.disk.codec import unpack
from protocol.errors import LibraryError, TransportError
from protocol.manifest import CHUNK_SIZE
from protocol.seat_api import CaptureOrder
from receiver.seat_api_link import SeatApiLink

CAPTURE_ID = "00000000000000cc"
ORDER = CaptureOrder(capture_id=CAPTURE_ID, image="lab", is_backup=False, target="")


class FakeLibrary(SeatApiLink):
    """A seat API without a network; ``chunks`` is what the library has."""

    def __init__(self, chunks: dict[bytes, bytes] | None = None) -> None:
        super().__init__("http://127.0.0.1:1", None)
        self.chunks: dict[bytes, bytes] = {} if chunks is None else chunks
        self.state = CaptureState(capture_id=CAPTURE_ID, step=CaptureStep.ORDERED, image="lab")
        self.disk = b""
        self.failure: CaptureFailure | None = None
        self.progress: list[CaptureProgress] = []
        self.taken: list[bytes] = []
        """digests, as they arrived"""
        self.breaks_after: int | None = None
        """bodies that are taken before the connection is lost for good"""
        self.is_full = False
        self.stumbles = 0
        """requests that fail before one is answered"""
        self.stopped = asyncio.Event()

    async def wish_capture(self, wish: CaptureWish) -> CaptureState:
        self.wish = wish
        return self.state

    async def capture_state(self, capture_id: str) -> CaptureState:
        self._stumble()
        return self.state

    async def lacking(self, capture_id: str, digests: Sequence[bytes]) -> list[bool]:
        self._stumble()
        return [digest not in self.chunks for digest in digests]

    async def send_chunks(self, capture_id: str, body: bytes) -> CaptureState:
        self._stumble()
        if self.is_full:
            raise LibraryError("the library is full")
        if self.breaks_after is not None:
            if not self.breaks_after:
                raise TransportError("the broadcaster has ended the connection")
            self.breaks_after -= 1
        for chunk in decode_chunks(body):
            raw = unpack(bytes(chunk.stored), chunk.raw_length)
            assert raw_digest(raw) == chunk.raw_digest
            self.chunks[chunk.raw_digest] = raw
            self.taken.append(chunk.raw_digest)
        return self.state

    async def send_disk(self, capture_id: str, body: bytes) -> CaptureState:
        self._stumble()
        described, rows = decode_disk(body)
        if any(digest not in self.chunks for _, digest in rows):
            return self.state
        self.described = described
        disk = bytearray(described.disk_size)
        for chunk_id, digest in rows:
            disk[chunk_id * CHUNK_SIZE : chunk_id * CHUNK_SIZE + len(self.chunks[digest])] = self.chunks[digest]
        self.disk = bytes(disk)
        self.state = CaptureState(capture_id=CAPTURE_ID, step=CaptureStep.DONE, image="lab", version=1)
        return self.state

    async def send_progress(self, capture_id: str, progress: CaptureProgress) -> CaptureState:
        self.progress.append(progress)
        return self.state

    async def send_failure(self, capture_id: str, failure: CaptureFailure) -> CaptureState:
        self.failure = failure
        step = CaptureStep.REFUSED if failure.is_refused else CaptureStep.FAILED
        self.state = CaptureState(capture_id=CAPTURE_ID, step=step, image="lab", reason=failure.reason)
        return self.state

    def _stumble(self) -> None:
        if self.stumbles:
            self.stumbles -= 1
            raise TransportError("the broadcaster does not answer in time")
