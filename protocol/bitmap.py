"""A set of block numbers as a bitmap: one bit a block, lowest first, deflated (RFC 1951) for the way over MQTT.

Two forms, each for what it is good at: a ``RangeSet`` is searched and changed, a big integer is united, intersected
and counted with others, 100 KB for a disk of 200 GiB at a stroke. ``encode_bitmap`` and ``decode_bitmap`` are the wire;
decoding never makes more bytes than the receiver of the message asked for.
"""

import re
import zlib
from collections.abc import Iterable
from typing import Final

from protocol.errors import MessageError
from protocol.ranges import RangeSet

_COMPRESSION_LEVEL: Final = 6
_RAW_DEFLATE: Final = -zlib.MAX_WBITS
_MEMBER_BYTES: Final = re.compile(rb"[^\x00\xff]{1,8}|\xff+")
"""Short where bits are mixed: shifting a long integer for each of its runs would be quadratic."""


def encode_bitmap(blocks: RangeSet, first: int, count: int) -> bytes:
    """The members of ``blocks`` from ``first`` up to but without ``first`` + ``count``, deflated."""
    bits = bytearray(-(-count // 8))
    for start, stop in blocks.ranges_within(first, first + count):
        _fill(bits, start - first, stop - first)
    deflate = zlib.compressobj(_COMPRESSION_LEVEL, zlib.DEFLATED, _RAW_DEFLATE)
    return deflate.compress(bits) + deflate.flush()


def decode_bitmap(data: bytes, count: int) -> int:
    """The bitmap of ``count`` blocks as an integer, bit i for the block ``first`` + i.

    Raises:
        MessageError: not deflated, not the bytes of ``count`` blocks, or a bit beyond them.
    """
    length = -(-count // 8)
    inflate = zlib.decompressobj(_RAW_DEFLATE)
    try:
        bits = inflate.decompress(data, length + 1)
    except zlib.error as error:
        raise MessageError(f"bitmap: {error}") from error
    if len(bits) != length or not inflate.eof or inflate.unused_data:
        raise MessageError(f"bitmap: not the {length} bytes of {count} blocks")
    members = int.from_bytes(bits, "little")
    if members >> count:
        raise MessageError(f"bitmap: a block beyond the {count}")
    return members


def bits_of(ranges: Iterable[tuple[int, int]]) -> int:
    """The members of (start, stop) ranges as an integer."""
    pairs = list(ranges)
    bits = bytearray(-(-max((stop for _, stop in pairs), default=0) // 8))
    for start, stop in pairs:
        _fill(bits, start, stop)
    return int.from_bytes(bits, "little")


def ranges_of(bits: int) -> RangeSet:
    """The members of a bitmap, without a look at each bit of long runs."""
    data = bits.to_bytes(-(-bits.bit_length() // 8), "little")
    blocks = RangeSet()
    for match in _MEMBER_BYTES.finditer(data):
        first = match.start() * 8
        part = match[0]
        if part[0] == 0xFF:
            blocks.add(first, first + 8 * len(part))
        else:
            _add_bits(blocks, first, int.from_bytes(part, "little"))
    return blocks


def coarsened(bits: int, max_ranges: int) -> int:
    """The members of ``bits``, and where those are more than ``max_ranges`` ranges, what lies in the gaps, too.

    A few bytes of deflated bitmap can name a million ranges; what each costs us must be bounded.
    """
    gap = 1
    while (bits & ~(bits >> 1)).bit_count() > max_ranges:
        length = bits.bit_length()
        filled = bits
        for _ in range(gap):
            filled |= filled << 1
        bits = filled & ((1 << length) - 1)
        gap *= 2
    return bits


def _add_bits(blocks: RangeSet, first: int, bits: int) -> None:
    while bits:
        start = (bits & -bits).bit_length() - 1
        bits >>= start
        length = (~bits & (bits + 1)).bit_length() - 1
        blocks.add(first + start, first + start + length)
        bits >>= length
        first += start + length


def _fill(bits: bytearray, start: int, stop: int) -> None:
    """Set the bits from ``start`` up to but without ``stop``."""
    first_whole, last_whole = -(-start // 8), stop // 8
    if first_whole > last_whole:  # within one byte
        bits[last_whole] |= ((1 << (stop - start)) - 1) << (start % 8)
        return
    if start % 8:
        bits[start // 8] |= 0xFF << (start % 8) & 0xFF
    bits[first_whole:last_whole] = b"\xff" * (last_whole - first_whole)
    if stop % 8:
        bits[last_whole] |= (1 << (stop % 8)) - 1
