"""How far the sender's first pass over one object is, as a receiver can tell, and what of it was lost on the way.

Nothing in a datagram says where the sender is. So a block counts as *gone by* when enough later ones have come, or
when the sender's status says so and nothing that is wanted arrives any more. Only blocks of which something arrived are
counted as expected or lost: others may not have been sent, because most seats have them. Pure.
"""

from collections import deque
from collections.abc import Iterator, Mapping
from typing import Final

from protocol.blocks import BlockBuffer
from protocol.ranges import RangeSet
from protocol.wire import INTERLEAVED_BLOCKS

REORDER_BLOCKS: Final = INTERLEAVED_BLOCKS + 2
"""[blocks] A block has gone by when so many later ones have come: those sent beside it, and two of a late batch."""


class FirstPass:
    """One object's first pass; ``symbols_expected``, ``symbols_lost`` and ``blocks_repaired`` only grow."""

    def __init__(self) -> None:
        self.gone_by = 0
        """blocks below it have been sent, or were not wanted by most"""
        self.symbols_expected = 0
        self.symbols_lost = 0
        self.blocks_repaired = 0
        self._latest: deque[int] = deque(maxlen=REORDER_BLOCKS)
        self._counted: set[int] = set()
        """what was counted on completion and has not gone by: a block that is rejected completes once more"""
        self._counts_from: int | None = None

    def count_from(self, sbn: int) -> None:
        """The first block that was sent when this receiver could keep it; the first call holds."""
        if self._counts_from is None:
            self._counts_from = sbn

    def arrived(self, sbn: int) -> int:
        """Symbols of a wanted block came; returns the position that this proves."""
        if not self._latest or sbn > self._latest[-1]:
            self._latest.append(sbn)
        return self._latest[0] if len(self._latest) == self._latest.maxlen else 0

    def completed(self, block: BlockBuffer) -> None:
        """All that is needed of the block is here."""
        if self._counts_from is None:
            return
        if block.sbn < max(self.gone_by, self._counts_from) or block.sbn in self._counted:
            self.blocks_repaired += 1
        else:
            self._counted.add(block.sbn)
            self._count(block)

    def go_by(self, position: int, missing: RangeSet, partial: Mapping[int, BlockBuffer]) -> None:
        """The pass is at ``position``: what is incomplete below it was lost in part, or was sent before we came."""
        if position <= self.gone_by:
            return
        if self._counts_from is not None:
            for sbn in _both(missing, partial, max(self.gone_by, self._counts_from), position):
                if sbn not in self._counted:
                    self._count(partial[sbn])
        self._counted = {sbn for sbn in self._counted if sbn >= position}
        self.gone_by = position

    def _count(self, block: BlockBuffer) -> None:
        self.symbols_expected += block.source_block_length
        self.symbols_lost += block.source_block_length - block.source_symbol_count


def _both(missing: RangeSet, partial: Mapping[int, BlockBuffer], first: int, stop: int) -> Iterator[int]:
    return (sbn for sbn in partial if first <= sbn < stop and sbn in missing)
