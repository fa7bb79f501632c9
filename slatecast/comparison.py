"""Compares a written disk with the disk that the image was made of: the demo's proof, independent of all digests."""

import errno
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
            compared += length
            if all(_is_hole(file.fileno(), offset, length) for file in (expected_file, actual_file)):
                continue
            expected = os.pread(expected_file.fileno(), length, offset)
            actual = os.pread(actual_file.fileno(), length, offset)
            if expected != actual:
                raise IntegrityError(f"{disk} at byte {offset}", raw_digest(expected), raw_digest(actual))
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


def _is_hole(file_descriptor: int, offset: int, length: int) -> bool:
    """Whether the file system says that nothing lies there, which reads as zeros."""
    try:
        return os.lseek(file_descriptor, offset, os.SEEK_DATA) >= offset + length
    except OSError as error:  # ENXIO: no data from there to the end
        return error.errno == errno.ENXIO and offset + length <= os.fstat(file_descriptor).st_size
