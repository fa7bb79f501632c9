"""Decides when and for which blocks a receiver asks for repair (RFC 5740 section 5.3, by count).

Only blocks that the sender has gone by are asked for, and no block twice within HOLDOFF. There is no back-off against
other receivers' requests as in RFC 5740: requests go to the broadcaster alone, which merges them; a jittered cycle
spreads them in time. Pure: no time but ``now``, no randomness but the generator that is passed in.
"""

import random
from collections.abc import Iterable
from itertools import islice
from math import inf
from typing import Final

from protocol.blocks import BlockBuffer
from protocol.fields import MAX_REPAIR_ENTRIES
from protocol.ranges import RangeSet

REPAIR_CYCLE: Final = 0.2
"""[s] 60 receivers make 300 requests a second at most, an eighth of what the embedded broker carries (2,500)."""

HOLDOFF: Final = 0.4
"""[s] Chosen: above the sender's hold-off (0.25) plus its transmit queue, so that an asked-for repair can arrive."""

END_HOLDOFF: Final = 0.15
"""[s] The same when the first pass is over: the sender's queue is empty then, and its own hold-off is 0.1."""

QUIET: Final = 0.05
"""[s] A block whose symbols still arrive is not asked for: 44 datagrams of one batch arrive within 1 ms."""

Deficits = tuple[tuple[int, int], ...]
Absent = tuple[tuple[int, int], ...]
MissingSymbols = tuple[tuple[int, bytes], ...]


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

    def has_asked(self, sbn: int) -> bool:
        """Whether the block was asked for in part before."""
        return sbn in self._asked_at

    def skip(self, now: float) -> None:
        """Ask for nothing in this cycle."""
        self._schedule(now)

    def collect(
        self,
        missing: RangeSet,
        partial: Iterable[BlockBuffer],
        excluded: Iterable[int],
        limit: int,
        now: float,
        *,
        holdoff: float = HOLDOFF,
    ) -> tuple[Deficits, Absent]:
        """What to ask for now, of the ``missing`` blocks below ``limit``; restarts the cycle.

        ``partial`` are the blocks with some symbols, ``excluded`` the sbns of complete blocks that are being written;
        what was asked for less than ``holdoff`` seconds ago is not asked for again.
        """
        self._schedule(now)
        deficits: list[tuple[int, int]] = []
        here = set(excluded)
        for block in partial:
            here.add(block.sbn)
            if self._may_ask(block, limit, now, holdoff) and len(deficits) < MAX_REPAIR_ENTRIES:
                self._asked_at[block.sbn] = now
                deficits.append((block.sbn, block.deficit))
        return tuple(deficits), self._absent(missing, here, limit, now, holdoff)

    def _may_ask(self, block: BlockBuffer, limit: int, now: float, holdoff: float) -> bool:
        return (
            block.sbn < limit
            and block.deficit > 0
            and now - block.last_arrival >= QUIET
            and now - self._asked_at.get(block.sbn, -inf) >= holdoff
        )

    def _absent(self, missing: RangeSet, here: set[int], limit: int, now: float, holdoff: float) -> Absent:
        if now - self._absent_asked_at < holdoff:
            return ()
        # A block that is here can empty one range, so these many suffice, however torn the set is.
        wholly_absent = RangeSet(islice(missing.ranges_within(0, limit), MAX_REPAIR_ENTRIES + len(here)))
        for sbn in here:
            wholly_absent.discard(sbn)
        if wholly_absent:
            self._absent_asked_at = now
        return tuple((start, stop - 1) for start, stop in islice(wholly_absent.ranges(), MAX_REPAIR_ENTRIES))

    def _schedule(self, now: float) -> None:
        self._due_at = now + REPAIR_CYCLE * self._rng.uniform(0.8, 1.2)
