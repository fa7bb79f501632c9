"""How one chunk is stored: a zstd frame where that is shorter, else the raw bytes.

The two are told apart by length alone: stored bytes as long as the raw chunk are raw. Deterministic for one level and
one libzstd. A compressor belongs to one thread, so each thread has its own.
"""

import threading
from typing import Final

import zstandard

from protocol.errors import DecodeError

DEFAULT_LEVEL: Final = 3
LEVELS: Final = range(1, 20)
"""zstd's levels without the ultra ones, whose windows cost memory and cannot help within 256 KiB."""

_thread = threading.local()


def pack(raw: bytes, level: int) -> bytes:
    """The stored bytes of a raw chunk; never longer than it."""
    if getattr(_thread, "level", None) != level:
        _thread.compressor = zstandard.ZstdCompressor(level=level)
        _thread.level = level
    packed: bytes = _thread.compressor.compress(raw)
    return packed if len(packed) < len(raw) else raw


def unpack(stored: bytes, raw_length: int) -> bytes:
    """The raw chunk of ``raw_length`` bytes; allocates no more than that, whatever the frame claims.

    Raises:
        DecodeError: damaged, or of another length.
    """
    if len(stored) == raw_length:
        return stored
    try:
        claimed = zstandard.frame_content_size(stored)
        raw = zstandard.ZstdDecompressor().decompress(stored) if claimed == raw_length else b""
    except zstandard.ZstdError as error:
        raise DecodeError(f"stored chunk is damaged: {error}") from error
    if len(raw) != raw_length:
        raise DecodeError(f"stored chunk unpacks to {claimed} bytes instead of {raw_length}")
    return raw
