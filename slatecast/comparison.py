"""Compares a written disk with the disk that the image was made of: the demo's proof, independent of all digests."""

import os
from collections.abc import Iterator
from pathlib import Path

from protocol.digests import raw_digest
from protocol.errors import IntegrityError
from protocol.manifest import Manifest


def compare_disk(manifest: Manifest, reference: Path, disk: Path) -> int:
    """Compare byte by byte wherever the image has content or zeros; gives the number of bytes compared.

    Raises:
        IntegrityError: they differ.
    """
    compared = 0
    with reference.open("rb") as expected_file, disk.open("rb") as actual_file:
        for offset, length in _covered(manifest):
            expected = os.pread(expected_file.fileno(), length, offset)
            actual = os.pread(actual_file.fileno(), length, offset)
            if expected != actual:
                raise IntegrityError(f"{disk} at byte {offset}", raw_digest(expected), raw_digest(actual))
            compared += length
    return compared


def _covered(manifest: Manifest) -> Iterator[tuple[int, int]]:
    """(offset, length) of every stored chunk, then of every zero range chunk by chunk."""
    chunk_size = manifest.header.chunk_size
    for sbn in range(len(manifest)):
        chunk = manifest[sbn]
        yield chunk.offset, chunk.raw_length
    for first, count in manifest.header.zero_ranges:
        for chunk_id in range(first, first + count):
            yield chunk_id * chunk_size, manifest.raw_length(chunk_id)
