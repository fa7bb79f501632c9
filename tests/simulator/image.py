"""A small random disk image in memory: the disk's bytes, its manifest, a library that holds its stored chunks."""

import random
from dataclasses import dataclass
from pathlib import Path

import zstandard

from broadcaster.library.library import Library
from broadcaster.library.store import ChunkStore
from protocol import PROTOCOL_VERSION
from protocol.digests import StoredDigest, raw_digest
from protocol.manifest import Manifest, ManifestHeader, StoredChunk, build_manifest
from protocol.ranges import RangeSet

CHUNK_SIZE = 4096
ENCODING_SYMBOL_LENGTH = 256


class _ChunksInMemory(ChunkStore):
    """The chunks of one image; some may rot."""

    def __init__(self, chunks: dict[bytes, bytes]) -> None:
        super().__init__(Path("simulated"))
        self._chunks = chunks

    def read(self, digest: bytes) -> bytes | None:
        return self._chunks.get(digest)

    def rot(self, digest: bytes) -> None:
        stored = bytearray(self._chunks[digest])
        stored[len(stored) // 2] ^= 0x20
        self._chunks[digest] = bytes(stored)


@dataclass(frozen=True, slots=True)
class SimulatedImage:
    """An image whose disk is larger than the two MiB that are committed last."""

    disk: bytes
    manifest: Manifest
    library: Library

    @property
    def stored(self) -> list[bytes]:
        """The stored chunks in order, as the library holds them."""
        return [self.library.read_stored(self.manifest, sbn) for sbn in range(len(self.manifest))]

    def is_on(self, disk: bytes) -> bool:
        """Whether every stored chunk and every zero chunk is as it should be."""
        zeros = [
            (first * CHUNK_SIZE, count * CHUNK_SIZE, bytes(count * CHUNK_SIZE))
            for first, count in self.manifest.header.zero_ranges
        ]
        return not self.missing_on(disk) and all(disk[start : start + length] == data for start, length, data in zeros)

    def missing_on(self, disk: bytes) -> set[int]:
        """The sbns that the disk does not hold."""
        return {
            sbn
            for sbn, chunk in enumerate(self.manifest)
            if disk[chunk.offset : chunk.offset + chunk.raw_length] != self._raw(chunk)
        }

    def rot(self, sbn: int) -> None:
        """A bit of this block turns in the library."""
        store = self.library.store
        assert isinstance(store, _ChunksInMemory)
        store.rot(self.manifest[sbn].raw_digest)

    def old_version(self, rng: random.Random) -> bytes:
        """A disk that boots and holds an earlier version: some chunks differ, some zero and free ones were in use."""
        disk = bytearray(self.disk)
        changed_ratio = rng.choice([0.05, 0.3, 0.7])
        for chunk in self.manifest:
            if rng.random() < changed_ratio:
                disk[chunk.offset + rng.randrange(520, CHUNK_SIZE)] ^= 0x81
        for first, count in self.manifest.header.zero_ranges:
            if rng.random() < 0.3:
                disk[first * CHUNK_SIZE : (first + count) * CHUNK_SIZE] = rng.randbytes(count * CHUNK_SIZE)
        return bytes(disk)

    def _raw(self, chunk: StoredChunk) -> bytes:
        return self.disk[chunk.offset : chunk.offset + chunk.raw_length]


def draw_image(rng: random.Random, stored_count: int, compressible_ratio: float = 0.5) -> SimulatedImage:
    """A disk of 2.5 to 3 MiB with a partition table, ``stored_count`` stored chunks, some zero ones, the rest free."""
    disk_size = rng.randrange(640, 768) * CHUNK_SIZE
    disk = bytearray(disk_size)
    last = disk_size // CHUNK_SIZE - 1
    # Half of them beyond the edges, where blocks are written as they come.
    body = range(256, last - 256)
    in_body = rng.sample(body, min(len(body), stored_count // 2))
    chunk_ids = sorted({0, last, *in_body, *rng.sample(range(1, last), stored_count - stored_count // 2 - 2)})
    for chunk_id in chunk_ids:
        data = rng.randbytes(CHUNK_SIZE)
        if rng.random() < compressible_ratio:
            data = (data[: rng.randrange(16, 700)] * CHUNK_SIZE)[:CHUNK_SIZE]
        disk[chunk_id * CHUNK_SIZE : (chunk_id + 1) * CHUNK_SIZE] = data
    disk[510:520] = b"\x55\xaaEFI PART"
    zero_ids = set(rng.sample(range(1, last), 40)) - set(chunk_ids)
    zero_ranges = RangeSet((chunk_id, chunk_id + 1) for chunk_id in zero_ids)
    stored_digest = StoredDigest.for_disk(disk_size, 512, CHUNK_SIZE)
    chunks, stored = [], {}
    for chunk_id in chunk_ids:
        raw = bytes(disk[chunk_id * CHUNK_SIZE : (chunk_id + 1) * CHUNK_SIZE])
        packed = zstandard.compress(raw)
        data = packed if len(packed) < len(raw) else raw
        offset = chunk_id * CHUNK_SIZE
        digest = stored_digest.of(offset, len(raw), data)
        chunks.append(StoredChunk(chunk_id, offset, len(raw), len(data), raw_digest(raw), digest))
        stored[raw_digest(raw)] = data
    header = ManifestHeader(
        format=PROTOCOL_VERSION,
        image_id=f"{rng.getrandbits(128):032x}",
        name="simulated",
        version=1,
        created="2026-11-21T00:00:00Z",
        source="simulator",
        disk_size=disk_size,
        logical_sector_size=512,
        partition_table="gpt",
        partitions=(),
        chunk_size=CHUNK_SIZE,
        codec="zstd",
        stored_chunk_count=0,
        stored_bytes=0,
        zero_ranges=tuple((start, stop - start) for start, stop in zero_ranges.ranges()),
        rows_digest="",
    )
    library = Library(Path("simulated"))
    library.store = _ChunksInMemory(stored)
    return SimulatedImage(bytes(disk), build_manifest(header, chunks), library)
