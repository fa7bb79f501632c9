"""The disk of an image, read anywhere without exporting it: chunks are unpacked and checked when they are asked for."""

from array import array
from bisect import bisect_left
from functools import lru_cache
from typing import Final

from broadcaster.library.library import Library
from broadcaster.library.verifying import read_chunk
from protocol.manifest import Manifest

CACHED_CHUNKS: Final = 64
"""[chunks] 16 MiB: a file system goes back and forth between its tables and its files."""


class DiskView:
    """The disk as one long run of bytes; what was free is zeros. For one thread."""

    def __init__(self, library: Library, manifest: Manifest) -> None:
        self._manifest = manifest
        self._chunk_ids = array("Q", (chunk.chunk_id for chunk in manifest))
        self._unpacked = lru_cache(CACHED_CHUNKS)(lambda sbn: read_chunk(library, manifest, sbn))

    @property
    def size(self) -> int:
        """Bytes of the disk."""
        return self._manifest.header.disk_size

    def read(self, offset: int, length: int) -> bytes:
        """The bytes from ``offset``; fewer at the end of the disk, none beyond it.

        Raises:
            IntegrityError: a chunk is missing or damaged.
        """
        end = min(offset + length, self.size)
        parts = []
        while offset < end:
            chunk_id, inside = divmod(offset, self._manifest.header.chunk_size)
            count = min(end - offset, self._manifest.raw_length(chunk_id) - inside)
            parts.append(self._chunk(chunk_id)[inside : inside + count])
            offset += count
        return b"".join(parts)

    def _chunk(self, chunk_id: int) -> bytes:
        sbn = bisect_left(self._chunk_ids, chunk_id)
        if sbn < len(self._chunk_ids) and self._chunk_ids[sbn] == chunk_id:
            return self._unpacked(sbn)
        return bytes(self._manifest.raw_length(chunk_id))
