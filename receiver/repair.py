"""Decides when and for which blocks a receiver asks for repair (RFC 5740 section 5.3, by count).

Only blocks that the sender has gone by are asked for, and no block twice within HOLDOFF. There is no back-off against
other receivers' requests as in RFC 5740: requests go to the broadcaster alone, which merges them; a jittered cycle
spreads them in time. Pure: no time but ``now``, no randomness but the generator that is passed in.
"""

import random
from collections.abc import Iterable
from math import inf
from typing import Final

from protocol.blocks import BlockBuffer
from protocol.messages import MAX_REPAIR_ENTRIES
from protocol.ranges import RangeSet

REPAIR_CYCLE: Final = 0.2
"""[s] 60 receivers make 300 requests a second at most, an eighth of what the embedded broker carries (2,500)."""

HOLDOFF: Final = 0.4
"""[s] Chosen: above the sender's hold-off (0.25) plus its transmit queue, so that an asked-for repair can arrive."""

QUIET: Final = 0.05
"""[s] A block whose symbols still arrive is not asked for: 44 datagrams of one batch arrive within 1 ms."""

Deficits = tuple[tuple[int, int], ...]
Absent = tuple[tuple[int, int], ...]


class RepairTimer:
    """The requests of one receiver for one object."""

    def __init__(self, rng: random.Random, now: float) -> None:
        self._rng = rng
        self._asked_at: dict[int, float] = {}
        self._absent_asked_at = -inf
        self._due_at = now
        self._schedule(now)

    @property
    def due_at(self) -> float:
        """When ``collect`` is due."""
        return self._due_at

    def forget(self, sbn: int) -> None:
        """The block is complete, or starts over."""
        self._asked_at.pop(sbn, None)

    def collect(
        self, missing: RangeSet, partial: Iterable[BlockBuffer], excluded: Iterable[int], limit: int, now: float
    ) -> tuple[Deficits, Absent]:
        """What to ask for now, of the ``missing`` blocks below ``limit``; restarts the cycle.

        ``partial`` are the blocks with some symbols, ``excluded`` the sbns of complete blocks that are being written.
        """
        self._schedule(now)
        deficits: list[tuple[int, int]] = []
        wholly_absent = RangeSet(missing.ranges_below(limit))
        for block in partial:
            wholly_absent.discard(block.sbn)
            if self._may_ask(block, limit, now) and len(deficits) < MAX_REPAIR_ENTRIES:
                self._asked_at[block.sbn] = now
                deficits.append((block.sbn, block.deficit))
        for sbn in excluded:
            wholly_absent.discard(sbn)
        return tuple(deficits), self._absent(wholly_absent, now)

    def _may_ask(self, block: BlockBuffer, limit: int, now: float) -> bool:
        return (
            block.sbn < limit
            and block.deficit > 0
            and now - block.last_arrival >= QUIET
            and now - self._asked_at.get(block.sbn, -inf) >= HOLDOFF
        )

    def _absent(self, wholly_absent: RangeSet, now: float) -> Absent:
        if not wholly_absent or now - self._absent_asked_at < HOLDOFF:
            return ()
        self._absent_asked_at = now
        ranges = [(start, stop - 1) for start, stop in wholly_absent.ranges()]
        return tuple(ranges[:MAX_REPAIR_ENTRIES])

    def _schedule(self, now: float) -> None:
        self._due_at = now + REPAIR_CYCLE * self._rng.uniform(0.8, 1.2)
