"""Which chunks of a disk are read, which are zeros without reading, and which bytes inside a chunk are free.

Pure arithmetic on ranges. Invariant: a chunk that is neither read nor zero lies wholly in space that was proved free.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from protocol.manifest import CHUNK_SIZE
from protocol.ranges import RangeSet


@dataclass(frozen=True)
class ChunkPlan:
    """What to do with each chunk of a disk."""

    read: RangeSet
    """chunk_ids that may hold something"""
    zero: RangeSet
    """chunk_ids that are in use and lie in holes"""
    free: RangeSet
    """bytes of the disk that are free"""

    def reads(self) -> Iterator[tuple[int, list[tuple[int, int]]]]:
        """Each chunk to read, ascending, with its free parts as (start, stop) in bytes from its beginning."""
        free = self.free.ranges()
        current = next(free, None)
        for chunk_id in self.read:
            begin, end = chunk_id * CHUNK_SIZE, (chunk_id + 1) * CHUNK_SIZE
            parts = []
            while current and current[0] < end:
                if current[1] > begin:
                    parts.append((max(current[0] - begin, 0), min(current[1], end) - begin))
                if current[1] > end:  # reaches into a later chunk
                    break
                current = next(free, None)
            yield chunk_id, parts


def plan_chunks(disk_size: int, data_ranges: Iterable[tuple[int, int]], free: RangeSet) -> ChunkPlan:
    """Divide a disk of ``disk_size`` bytes; ``data_ranges`` are the (start, stop) in bytes that are no holes."""
    chunk_count = -(-disk_size // CHUNK_SIZE)
    in_use = RangeSet([(0, chunk_count)])
    for start, stop in free.ranges():
        in_use.discard(-(-start // CHUNK_SIZE), chunk_count if stop == disk_size else stop // CHUNK_SIZE)
    zero = RangeSet(in_use.ranges())
    for start, stop in data_ranges:
        zero.discard(start // CHUNK_SIZE, -(-stop // CHUNK_SIZE))
    read = RangeSet(in_use.ranges())
    for start, stop in zero.ranges():
        read.discard(start, stop)
    return ChunkPlan(read, zero, free)
