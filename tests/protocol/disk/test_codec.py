from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.disk.codec import LEVELS, pack, unpack
from protocol.errors import DecodeError
from protocol.manifest import CHUNK_SIZE
from tests.broadcaster.library.disks import noise


@given(st.binary(min_size=1, max_size=2000) | st.builds(bytes, st.integers(1, CHUNK_SIZE)), st.sampled_from(LEVELS))
def test_round_trip(raw: bytes, level: int) -> None:
    stored = pack(raw, level)
    assert len(stored) <= len(raw)
    assert unpack(stored, len(raw)) == raw


def test_what_does_not_shrink_is_stored_raw() -> None:
    raw = noise(1, CHUNK_SIZE)
    assert pack(raw, 19) is raw


def test_levels_take_effect() -> None:
    raw = b"".join(f"{number:x}".encode() for number in range(40_000))
    assert len(pack(raw, 19)) < len(pack(raw, 1))


@given(st.binary(max_size=500))
def test_any_bytes_unpack_or_raise_the_documented_error(stored: bytes) -> None:
    with suppress(DecodeError):
        assert len(unpack(stored, 400)) == 400


def test_a_bomb_is_not_unpacked() -> None:
    bomb = pack(bytes(CHUNK_SIZE), 3)
    with pytest.raises(DecodeError, match="unpacks to"):
        unpack(bomb, 512)
