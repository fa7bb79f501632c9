"""A small random disk image in memory: the disk's bytes, its manifest, its stored chunks."""

import random
from dataclasses import dataclass

import zstandard

from protocol import PROTOCOL_VERSION
from protocol.digests import StoredDigest, raw_digest
from protocol.manifest import Manifest, ManifestHeader, StoredChunk, build_manifest
from protocol.ranges import RangeSet

CHUNK_SIZE = 4096
ENCODING_SYMBOL_LENGTH = 256


@dataclass(frozen=True, slots=True)
class SimulatedImage:
    """An image whose disk is larger than the two MiB that are committed last."""

    disk: bytes
    manifest: Manifest
    stored: list[bytes]
    """by sbn"""

    def is_on(self, disk: bytes) -> bool:
        """Whether every stored chunk and every zero chunk is as it should be."""
        header = self.manifest.header
        chunks = [self.manifest[sbn] for sbn in range(len(self.manifest))]
        zeros = [
            (first * CHUNK_SIZE, count * CHUNK_SIZE, bytes(count * CHUNK_SIZE)) for first, count in header.zero_ranges
        ]
        stored = [(c.offset, c.raw_length, self.disk[c.offset : c.offset + c.raw_length]) for c in chunks]
        return all(disk[offset : offset + length] == data for offset, length, data in zeros + stored)


def draw_image(rng: random.Random, stored_count: int) -> SimulatedImage:
    """A disk of 2.5 to 3 MiB with a partition table, ``stored_count`` stored chunks, some zero ones, the rest free."""
    disk_size = rng.randrange(640, 768) * CHUNK_SIZE
    disk = bytearray(disk_size)
    last = disk_size // CHUNK_SIZE - 1
    chunk_ids = sorted({0, last, *rng.sample(range(1, last), stored_count - 2)})
    for chunk_id in chunk_ids:
        data = rng.randbytes(CHUNK_SIZE)
        if rng.random() < 0.5:
            data = (data[: rng.randrange(16, 700)] * CHUNK_SIZE)[:CHUNK_SIZE]
        disk[chunk_id * CHUNK_SIZE : (chunk_id + 1) * CHUNK_SIZE] = data
    disk[510:520] = b"\x55\xaaEFI PART"
    zero_ids = set(rng.sample(range(1, last), 40)) - set(chunk_ids)
    zero_ranges = RangeSet((chunk_id, chunk_id + 1) for chunk_id in zero_ids)
    stored_digest = StoredDigest.for_disk(disk_size, 512, CHUNK_SIZE)
    chunks, stored = [], []
    for chunk_id in chunk_ids:
        raw = bytes(disk[chunk_id * CHUNK_SIZE : (chunk_id + 1) * CHUNK_SIZE])
        packed = zstandard.compress(raw)
        data = packed if len(packed) < len(raw) else raw
        offset = chunk_id * CHUNK_SIZE
        digest = stored_digest.of(offset, len(raw), data)
        chunks.append(StoredChunk(chunk_id, offset, len(raw), len(data), raw_digest(raw), digest))
        stored.append(data)
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
    return SimulatedImage(bytes(disk), build_manifest(header, chunks), stored)
