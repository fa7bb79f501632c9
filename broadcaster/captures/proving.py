"""Whether stored bytes are those of a chunk: what machines send, and what lies in a library for long, is not believed.

Stored bytes are a zstd frame, or raw where that is not shorter; see ``protocol.disk.codec``. Nothing here allocates
more than one chunk, whatever a frame claims.
"""

import zstandard

from protocol.digests import Buffer, raw_digest
from protocol.disk.codec import unpack
from protocol.errors import DecodeError
from protocol.manifest import CHUNK_SIZE


def is_chunk(stored: bytes, digest: bytes, raw_length: int) -> bool:
    """Whether ``stored`` unpacks to ``raw_length`` bytes with this raw digest."""
    if not 1 <= len(stored) <= raw_length <= CHUNK_SIZE:
        return False
    try:
        return raw_digest(unpack(stored, raw_length)) == digest
    except DecodeError:
        return False


def is_sound(stored: bytes, digest: bytes) -> bool:
    """Whether ``stored`` unpacks to a chunk of whatever length with this raw digest."""
    claimed = _claimed_length(stored)
    return (claimed is not None and is_chunk(stored, digest, claimed)) or is_chunk(stored, digest, len(stored))


def fits(stored: bytes, digest: bytes, raw_length: int) -> bool:
    """Whether ``stored``, which is sound, is also read as this chunk where ``raw_length`` bytes are expected.

    Bytes as long as the raw chunk are taken for raw, so a frame of just that length would be misread.
    """
    if len(stored) == raw_length:
        return raw_digest(stored) == digest
    return len(stored) < raw_length and _claimed_length(stored) == raw_length


def _claimed_length(stored: Buffer) -> int | None:
    try:
        claimed: int = zstandard.frame_content_size(stored)
    except zstandard.ZstdError:
        return None
    return claimed if 1 <= claimed <= CHUNK_SIZE else None
