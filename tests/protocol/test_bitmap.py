import random
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.bitmap import bits_of, coarsened, decode_bitmap, encode_bitmap, ranges_of
from protocol.errors import MessageError
from protocol.fields import MAX_BITMAP_BLOCKS, Bitmap
from protocol.ranges import RangeSet

BLOCKS = st.sets(st.integers(0, 200))
RUNS = st.lists(st.tuples(st.integers(0, 300), st.integers(0, 100)).map(lambda run: (run[0], run[0] + run[1])))


def as_bits(blocks: set[int]) -> int:
    return sum(1 << sbn for sbn in blocks)


def deflated(data: bytes) -> bytes:
    deflate = zlib.compressobj(wbits=-15)
    return deflate.compress(data) + deflate.flush()


@given(BLOCKS, st.integers(0, 210), st.integers(1, 210))
def test_a_bitmap_comes_back_as_it_was_sent(blocks: set[int], first: int, count: int) -> None:
    part = {sbn - first for sbn in blocks if first <= sbn < first + count}
    ranges = RangeSet((sbn, sbn + 1) for sbn in blocks)
    assert decode_bitmap(encode_bitmap(ranges, first, count), count) == as_bits(part)


@given(RUNS)
def test_ranges_and_bits_are_two_forms_of_one_set(runs: list[tuple[int, int]]) -> None:
    ranges = RangeSet(runs)
    assert bits_of(ranges.ranges()) == bits_of(runs) == as_bits(set(ranges))
    assert ranges_of(as_bits(set(ranges))) == ranges


@given(st.integers(0, (1 << 300) - 1))
def test_any_bits_are_ranges_and_back(bits: int) -> None:
    assert bits_of(ranges_of(bits).ranges()) == bits


def test_of_nothing() -> None:
    assert bits_of([]) == 0
    assert not ranges_of(0)
    assert decode_bitmap(encode_bitmap(RangeSet(), 0, 9), 9) == 0


@pytest.mark.slow
def test_the_longest_that_does_not_deflate_fits_its_field() -> None:
    rng = random.Random(1)
    bits = rng.getrandbits(MAX_BITMAP_BLOCKS)
    data = encode_bitmap(ranges_of(bits), 0, MAX_BITMAP_BLOCKS)
    assert len(data) <= Bitmap.__metadata__[0].max_length  # type: ignore[attr-defined]  # the field's own bound
    assert decode_bitmap(data, MAX_BITMAP_BLOCKS) == bits


def test_what_was_left_out_of_a_whole_disk_is_a_few_bytes() -> None:
    blocks = RangeSet([(0, MAX_BITMAP_BLOCKS)])
    blocks.discard(500_000, 500_100)
    assert len(encode_bitmap(blocks, 0, MAX_BITMAP_BLOCKS)) < 200


@pytest.mark.parametrize(
    ("data", "count"),
    [
        (b"", 8),
        (b"\xff" * 20, 8),
        (deflated(b""), 8),
        (deflated(b"\0\0"), 8),
        (deflated(b"\0"), 9),
        (deflated(b"\0") + b"\0", 8),
        (deflated(b"\0")[:-1], 8),
        (zlib.compress(b"\0"), 8),
        (deflated(b"\x10"), 4),
        (deflated(b"\0\x02"), 9),
        (deflated(bytes(1 << 24)), 8),
    ],
)
def test_what_is_no_bitmap_of_so_many_blocks_is_malformed(data: bytes, count: int) -> None:
    with pytest.raises(MessageError, match="bitmap: "):
        decode_bitmap(data, count)


@given(st.binary(max_size=40), st.integers(1, 100))
def test_fuzz_any_bytes_are_a_bitmap_or_malformed(data: bytes, count: int) -> None:
    try:
        bits = decode_bitmap(data, count)
    except MessageError:
        return
    assert bits >> count == 0


@pytest.mark.parametrize("bits", [0, 1, 0b1011, int("10" * 500, 2), int("1000000" * 300, 2), int("1" * 900, 2)])
@pytest.mark.parametrize("max_ranges", [1, 7, 100])
def test_coarsening_keeps_every_member_and_bounds_the_ranges(bits: int, max_ranges: int) -> None:
    coarse = coarsened(bits, max_ranges)
    assert coarse & bits == bits
    assert coarse.bit_length() == bits.bit_length()
    assert len(list(ranges_of(coarse).ranges())) <= max_ranges
    assert coarsened(coarse, max_ranges) == coarse


def test_what_has_few_ranges_is_left_as_it_is() -> None:
    bits = bits_of([(3, 9), (20, 21), (1000, 5000)])
    assert coarsened(bits, 3) == bits
