"""Says when a receiver tells what its disk lacks, in which parts, and what was foreseen of it. Pure: no time but
``now``.

It is told when it becomes known, again when the broker or the broadcaster may have forgotten it, and every
INVENTORY_INTERVAL while the broadcaster still plans its first pass: a message may be lost. After that, repair requests
say all that has to be said. A disk that may not be written yet is only looked at: what that look missed is *foreseen*,
and told until the scan is over that begins when it may be.
"""

from collections import deque
from typing import Final

from protocol.fields import MAX_BITMAP_BLOCKS
from protocol.ranges import RangeSet

INVENTORY_INTERVAL: Final = 5.0
"""[s] Half of what the broadcaster waits for a seat that it has not heard."""


class Inventory:
    """When to tell which part of what one disk lacks."""

    def __init__(self) -> None:
        self._block_count = 0
        """0 until it is known"""
        self._due_at = 0.0
        self._parts: deque[int] = deque()
        self._foreseen: RangeSet | None = None

    @property
    def is_foreseen(self) -> bool:
        """Whether what is told is what a look at the disk did not find."""
        return self._foreseen is not None

    def foreseen(self, missing: RangeSet, block_count: int) -> None:
        """The look at the disk is over, and has not found these of so many blocks."""
        self.known(block_count)
        self._foreseen = RangeSet(missing.ranges())

    def known(self, block_count: int) -> None:
        """What is missing of so many blocks is known from now on."""
        self._block_count = block_count
        self._foreseen = None
        self.tell_again()

    def narrowed(self, lacks: RangeSet) -> RangeSet:
        """Those of ``lacks`` to tell of: nearer to the truth, while it is only foreseen, than that all is missing."""
        if self._foreseen is None:
            return lacks
        return RangeSet(each for start, stop in self._foreseen.ranges() for each in lacks.ranges_within(start, stop))

    def tell_again(self) -> None:
        """Somebody may have forgotten it; nothing is told before it is known."""
        self._parts = deque(range(0, self._block_count, MAX_BITMAP_BLOCKS))

    def next_part(self, now: float, *, is_awaited: bool) -> tuple[int, int] | None:
        """The (first sbn, number of blocks) to tell of now, or None; ``is_awaited`` while it may still be of use."""
        if not self._parts and is_awaited and now >= self._due_at:
            self.tell_again()
        if not self._parts:
            return None
        self._due_at = now + INVENTORY_INTERVAL
        first = self._parts.popleft()
        return first, min(MAX_BITMAP_BLOCKS, self._block_count - first)
