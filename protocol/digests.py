"""BLAKE3 digests of chunks, stored blocks and manifests, each bound to its place.

Two blocks with the same bytes at two places have two stored digests, so a block can never be taken for another one.
"""

import struct
from typing import Final

from blake3 import blake3

DIGEST_LENGTH: Final = 32

_GEOMETRY: Final = struct.Struct(">QII")
_PLACE: Final = struct.Struct(">QI")
_STORED_CONTEXT: Final = "slatecast 2026-11 stored block of a disk"
_MANIFEST_CONTEXT: Final = "slatecast 2026-11 block of a manifest"

Buffer = bytes | bytearray | memoryview


def raw_digest(data: Buffer) -> bytes:
    """BLAKE3 of the raw chunk: the address in the library and what read-back compares with."""
    return blake3(data).digest()


class StoredDigest:
    """Digest of stored bytes with the disk's geometry, the offset and the raw length bound in."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    @classmethod
    def for_disk(cls, disk_size: int, logical_sector_size: int, chunk_size: int) -> "StoredDigest":
        """The digest for blocks of object 1 on a disk of this geometry (all in bytes)."""
        geometry = _GEOMETRY.pack(disk_size, logical_sector_size, chunk_size)
        return cls(blake3(geometry, derive_key_context=_STORED_CONTEXT).digest())

    @classmethod
    def for_manifest(cls, manifest_digest: bytes) -> "StoredDigest":
        """The digest for blocks of object 0, the manifest with this digest."""
        return cls(blake3(manifest_digest, derive_key_context=_MANIFEST_CONTEXT).digest())

    def of(self, offset: int, raw_length: int, stored: Buffer) -> bytes:
        """Digest of ``stored``, which unpacks to ``raw_length`` bytes at byte ``offset`` of the object."""
        hasher = blake3(_PLACE.pack(offset, raw_length), key=self._key)
        hasher.update(stored)
        return hasher.digest()
