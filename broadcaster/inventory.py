"""What one seat misses, put together from the messages in which it says so; the newest of each part counts. Pure."""

from typing import Final

from protocol.bitmap import coarsened, decode_bitmap
from protocol.errors import MessageError
from protocol.fields import MAX_BITMAP_BLOCKS
from protocol.messages import MissingBlocks

MAX_RANGES: Final = 1 << 14
"""[ranges] of one message that are told apart, 0.1 s of work: a few bytes could name half a million. Beyond it the gaps
between them are sent as well, which costs traffic and nothing else."""


class Inventory:
    """The blocks of object 1 that a receiver lacks, as far as it has said so."""

    def __init__(self) -> None:
        self._parts: dict[int, tuple[int, int]] = {}

    def take(self, message: MissingBlocks, block_count: int) -> int:
        """Note one part; returns its blocks as a bitmap of the whole object, 0 when it was out of date.

        Raises:
            MessageError: not a part of ``block_count`` blocks, or no bitmap.
        """
        first, count = message.first_sbn, message.block_count
        if first % MAX_BITMAP_BLOCKS or count != min(MAX_BITMAP_BLOCKS, block_count - first):
            raise MessageError(f"missing: blocks {first} to {first + count} are no part of {block_count}")
        sequence, _ = self._parts.get(first, (-1, 0))
        if message.sequence <= sequence:
            return 0
        missing = coarsened(decode_bitmap(message.bitmap, count), MAX_RANGES) << first
        self._parts[first] = (message.sequence, missing)
        return missing

    def is_complete(self, block_count: int) -> bool:
        """Whether every part has been told."""
        return len(self._parts) == -(-block_count // MAX_BITMAP_BLOCKS)

    @property
    def missing(self) -> int:
        """The union of all parts, as a bitmap."""
        union = 0
        for _, bits in self._parts.values():
            union |= bits
        return union
