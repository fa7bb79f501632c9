"""Images of small disks with everything that a disk writer must tell apart: tables, used, zero and free chunks."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

from protocol import PROTOCOL_VERSION
from protocol.digests import raw_digest
from protocol.manifest import CHUNK_SIZE, Manifest, ManifestHeader, StoredChunk, build_manifest
from receiver.disk import DiskWriter

BOOT_SIGNATURE = b"\x55\xaa"
GPT_SIGNATURE = b"EFI PART"


@dataclass(frozen=True, slots=True)
class SampleImage:
    """The bytes of a disk and the manifest that describes them."""

    disk: bytes
    manifest: Manifest

    def raw(self, sbn: int) -> bytes:
        chunk = self.manifest[sbn]
        return self.disk[chunk.offset : chunk.offset + chunk.raw_length]

    def differences(self, target: bytes) -> list[str]:
        """Chunks and zero ranges that ``target`` does not hold."""
        size = self.manifest.header.chunk_size
        found = [
            f"chunk at {c.offset}"
            for c in self.manifest
            if target[c.offset :][: c.raw_length] != self.disk[c.offset :][: c.raw_length]
        ]
        for first, count in self.manifest.header.zero_ranges:
            end = min((first + count) * size, len(self.disk))
            if any(target[first * size : end]):
                found.append(f"zero range at {first * size}")
        return found


def sample_image(
    rng: random.Random, disk_size: int, *, sector_size: int = 512, chunk_size: int = CHUNK_SIZE
) -> SampleImage:
    """A disk with GPT signatures in its first and last chunk; the others are used, zero or free by chance."""
    disk = bytearray(rng.randbytes(disk_size))
    chunk_count = -(-disk_size // chunk_size)
    kinds = ["used"] + [rng.choice(("used", "used", "zero", "free")) for _ in range(chunk_count - 2)] + ["used"]
    disk[510:512] = BOOT_SIGNATURE
    disk[sector_size : sector_size + 8] = GPT_SIGNATURE
    disk[disk_size - sector_size : disk_size - sector_size + 8] = GPT_SIGNATURE
    chunks, zero_ids = [], []
    for chunk_id, kind in enumerate(kinds[:chunk_count]):
        start, end = chunk_id * chunk_size, min((chunk_id + 1) * chunk_size, disk_size)
        raw = bytes(disk[start:end])
        if kind == "used":
            chunks.append(StoredChunk(chunk_id, start, len(raw), len(raw), raw_digest(raw), bytes(32)))
        elif kind == "zero":
            disk[start:end] = bytes(len(raw))
            zero_ids.append(chunk_id)
    header = ManifestHeader(
        format=PROTOCOL_VERSION,
        image_id="5a" * 16,
        name="sample",
        version=1,
        created="2026-11-21T08:00:00Z",
        source="sample.img",
        disk_size=disk_size,
        logical_sector_size=sector_size,
        partition_table="gpt",
        partitions=(),
        chunk_size=chunk_size,
        codec="zstd",
        stored_chunk_count=0,
        stored_bytes=0,
        zero_ranges=tuple(runs(zero_ids)),
        rows_digest="",
    )
    return SampleImage(bytes(disk), build_manifest(header, chunks))


def runs(chunk_ids: list[int]) -> Iterator[tuple[int, int]]:
    """(first, count) of each run of neighbours in ascending ``chunk_ids``."""
    for _, group in groupby(enumerate(chunk_ids), key=lambda pair: pair[1] - pair[0]):
        run = [chunk_id for _, chunk_id in group]
        yield run[0], len(run)


def cast(image: SampleImage, writer: DiskWriter, order: random.Random) -> None:
    """All that a receiver does with its disk, with the chunks in a random order."""
    writer.mark_incomplete()
    for sbn in order.sample(range(len(image.manifest)), len(image.manifest)):
        writer.write_chunk(sbn, image.raw(sbn))
    writer.write_zero_ranges()
    writer.sync()
    assert writer.read_back() == []
    writer.commit()
