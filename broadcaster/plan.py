"""Which blocks of one object leave in the first pass, in which order, and how far it is. Pure.

The pass holds the union of what the seats miss: first, in the order of the disk, what at least half of them want, so
that most seats are done early, and then the rest. A block that is *pending* has yet to leave, so nobody can have lost
it and requests for it are void.
"""

from collections.abc import Iterator, Sequence

from protocol.bitmap import bits_of, ranges_of
from protocol.ranges import RangeSet


class SendPlan:
    """The first pass over ``block_count`` blocks; nothing is planned until ``plan_all`` or ``plan_missing``."""

    def __init__(self, block_count: int) -> None:
        self.block_count = block_count
        self.departed_count = 0
        """blocks that have left in the first pass"""
        self._common = RangeSet()
        self._rest = RangeSet()
        self._departing: dict[int, bool] = {}
        """sbn, and whether it is one of the common ones"""
        self._total = 0

    def plan_all(self) -> None:
        """Everything is wanted, as far as anybody knows."""
        self._common.add(0, self.block_count)
        self._total = self.block_count

    def plan_missing(self, missing: Sequence[int]) -> None:
        """Only what somebody misses: a bitmap of blocks for each seat (see protocol.bitmap)."""
        self._split(wanted_by(missing, 1), missing)
        self._total = len(self._common) + len(self._rest)

    def reorder(self, missing: Sequence[int]) -> None:
        """More is known of what the seats miss: of the blocks that have yet to leave, what most want goes first."""
        self._split(bits_of(self._common.ranges()) | bits_of(self._rest.ranges()), missing)

    def _split(self, planned: int, missing: Sequence[int]) -> None:
        common = wanted_by(missing, max(1, -(-len(missing) // 2))) & planned
        self._common = ranges_of(common)
        self._rest = ranges_of(planned & ~common)

    @property
    def planned_count(self) -> int:
        """Blocks that the first pass was to send."""
        return self._total

    @property
    def is_handed_out(self) -> bool:
        """Whether ``next_block`` has nothing more; some blocks may still be leaving."""
        return not self._common and not self._rest

    @property
    def is_over(self) -> bool:
        """Whether every planned block has left."""
        return self.is_handed_out and not self._departing

    @property
    def position(self) -> int:
        """All blocks below it have gone by, or were not wanted by most; the second part has no position of its own."""
        departing = (sbn for sbn, is_common in self._departing.items() if is_common)
        return min(next(iter(self._common), self.block_count), *departing, self.block_count)

    def next_block(self) -> int | None:
        """The sbn to send next, which is then departing; None when all are handed out."""
        if self.is_handed_out:
            return None
        is_common = bool(self._common)
        sbn = (self._common if is_common else self._rest).pop_next(0)
        self._departing[sbn] = is_common
        return sbn

    def left(self, sbn: int) -> None:
        """The last symbol of a departing block has left."""
        del self._departing[sbn]
        self.departed_count += 1

    def drop(self, sbn: int) -> None:
        """This block cannot be sent."""
        self._departing.pop(sbn, None)
        self._common.discard(sbn)
        self._rest.discard(sbn)

    def is_pending(self, sbn: int) -> bool:
        """Whether the block has yet to leave."""
        return sbn in self._departing or sbn in self._common or sbn in self._rest

    def pending_within(self, first: int, stop: int) -> Iterator[tuple[int, int]]:
        """The (start, stop) ranges of pending blocks from ``first`` up to but without ``stop``."""
        yield from self._common.ranges_within(first, stop)
        yield from self._rest.ranges_within(first, stop)
        for sbn in self._departing:
            if first <= sbn < stop:
                yield sbn, sbn + 1


def wanted_by(missing: Sequence[int], least: int) -> int:
    """The blocks that at least ``least`` of these bitmaps hold, as a bitmap.

    Counts all blocks at once: the i-th plane holds bit i of every block's count, so 60 seats of a disk of 200 GiB take
    a few hundred operations on integers of 100 KB.
    """
    planes: list[int] = []
    for bitmap in missing:
        carry = bitmap
        for index, plane in enumerate(planes):
            planes[index], carry = plane ^ carry, plane & carry
        if carry:
            planes.append(carry)
    if least >> len(planes):
        return 0
    anybody = 0
    for plane in planes:
        anybody |= plane
    more, equal = 0, anybody
    for index in reversed(range(len(planes))):
        if least >> index & 1:
            equal &= planes[index]
        else:
            more |= equal & planes[index]
            equal &= ~planes[index]
    return more | equal
