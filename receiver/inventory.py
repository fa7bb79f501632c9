"""Says when a receiver tells what its disk lacks, and in which parts. Pure: no time but ``now``.

It is told when it becomes known, again when the broker or the broadcaster may have forgotten it, and every
INVENTORY_INTERVAL while the broadcaster still plans its first pass: a message may be lost. After that, repair requests
say all that has to be said.
"""

from collections import deque
from typing import Final

from protocol.fields import MAX_BITMAP_BLOCKS

INVENTORY_INTERVAL: Final = 5.0
"""[s] Half of what the broadcaster waits for a seat that it has not heard."""


class InventoryTimer:
    """When to tell which part of the inventory."""

    def __init__(self) -> None:
        self._block_count = 0
        """0 until it is known"""
        self._due_at = 0.0
        self._parts: deque[int] = deque()

    def known(self, block_count: int) -> None:
        """What is missing of so many blocks is known from now on."""
        self._block_count = block_count
        self.tell_again()

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
