import random

import pytest
import zstandard

from broadcaster.captures.proving import fits, is_chunk, is_sound
from protocol.digests import raw_digest
from protocol.disk.codec import pack
from protocol.manifest import CHUNK_SIZE

RAW = b"word " * 800
NOISE = random.Random(1).randbytes(4096)


@pytest.mark.parametrize("raw", [RAW, NOISE, b"a", b"\0" * CHUNK_SIZE], ids=["words", "noise", "one", "zeros"])
def test_what_was_packed_is_sound(raw: bytes) -> None:
    stored, digest = pack(raw, 3), raw_digest(raw)
    assert is_chunk(stored, digest, len(raw))
    assert is_sound(stored, digest)
    assert fits(stored, digest, len(raw))
    assert not is_chunk(stored, digest, len(raw) + 1)
    assert not fits(stored, digest, len(raw) + 1)


@pytest.mark.parametrize("raw", [RAW, NOISE], ids=["words", "noise"])
def test_what_was_damaged_is_not(raw: bytes) -> None:
    stored, digest = pack(raw, 3), raw_digest(raw)
    for damaged in (b"", stored[:-1], bytes([stored[0] ^ 1]) + stored[1:], b"x" * len(stored)):
        assert not is_chunk(damaged, digest, len(raw))
        assert not is_sound(damaged, digest)


def test_a_frame_that_claims_more_than_a_chunk_is_not_unpacked() -> None:
    bomb = zstandard.ZstdCompressor().compress(bytes(64 << 20))
    assert not is_sound(bomb, raw_digest(bytes(64 << 20)))
    assert not is_chunk(bomb, raw_digest(bytes(64 << 20)), CHUNK_SIZE)
    assert not is_chunk(b"a" * (CHUNK_SIZE + 1), raw_digest(b"a" * (CHUNK_SIZE + 1)), CHUNK_SIZE + 1)


def test_raw_bytes_that_look_like_a_frame_are_sound() -> None:
    raw = pack(RAW, 3)
    assert is_sound(raw, raw_digest(raw))
    assert is_sound(raw, raw_digest(RAW))


def test_a_frame_as_long_as_the_chunk_would_be_misread() -> None:
    """Receivers take stored bytes as long as the raw chunk for raw."""
    stored, digest = pack(RAW, 3), raw_digest(RAW)
    assert not fits(stored, digest, len(stored))
    assert fits(stored, raw_digest(stored), len(stored))
