"""Compressed bytes that somebody with an image key could sign, to hurt who unpacks them."""

import struct
from functools import cache
from typing import Final

import zstandard

CHUNK_LENGTH: Final = 4096
"""[bytes] that each claims, or should claim, to unpack to"""

_MAGIC: Final = b"\x28\xb5\x2f\xfd"
_RLE_BLOCK: Final = 1
_LARGEST_BLOCK: Final = 128 * 1024


@cache
def crafted_chunks() -> dict[str, bytes]:
    """By what is wrong with each; none unpacks to CHUNK_LENGTH bytes but the good one."""
    good = zstandard.compress(bytes(range(256)) * 16)
    return {
        "good": good,
        "bomb that tells its size": zstandard.compress(bytes(1 << 26)),
        "bomb that lies": _frame(CHUNK_LENGTH, [(_LARGEST_BLOCK, 0)] * 4096),
        "bomb without a size": _without_size(bytes(1 << 26)),
        "too short": _frame(CHUNK_LENGTH, [(CHUNK_LENGTH - 1, 0)]),
        "too long by one": _frame(CHUNK_LENGTH, [(CHUNK_LENGTH + 1, 0)]),
        "no block at all": _MAGIC + b"\x60" + struct.pack("<H", CHUNK_LENGTH - 256),
        "size of all there is": _MAGIC + b"\xe0" + b"\xff" * 8 + b"\x01\x00\x00",
        "window of two gigabytes": _MAGIC + b"\x40" + b"\xff" + struct.pack("<H", CHUNK_LENGTH - 256) + b"\x01\x00\x00",
        "unknown dictionary": _MAGIC + b"\x63" + b"\xff" * 4 + struct.pack("<H", CHUNK_LENGTH - 256) + b"\x01\x00\x00",
        "skippable frames": struct.pack("<II", 0x184D2A50, 8) * 2048,
        "empty blocks without end": _frame(CHUNK_LENGTH, [(0, 0)] * 60_000),
        "two frames": good + good,
        "cut": good[:-1],
        "reserved block": _MAGIC + b"\x60" + struct.pack("<H", CHUNK_LENGTH - 256) + b"\x07\x00\x00",
        "not compressed at all": bytes(range(256)) * 4,
        "nothing": b"",
    }


def _frame(claimed: int, runs: list[tuple[int, int]]) -> bytes:
    """One frame of runs (length, byte) whose header claims another length (RFC 8878 section 3.1.1)."""
    blocks = b""
    for place, (length, byte) in enumerate(runs):
        is_last = place == len(runs) - 1
        blocks += (length << 3 | _RLE_BLOCK << 1 | is_last).to_bytes(3, "little") + bytes([byte])
    return _MAGIC + b"\x60" + struct.pack("<H", claimed - 256) + blocks


def _without_size(data: bytes) -> bytes:
    return zstandard.ZstdCompressor(write_content_size=False).compress(data)
