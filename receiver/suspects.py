"""Blocks of one object that came whole and were not as announced, and what is done about each of them. Pure.

Such a block holds a false symbol that carried a good tag: somebody who knows the session secret sent it, or the memory
of this machine turned a bit. Nothing in the block says which symbol it is.

    1st, 2nd time   the block is kept until the catch-up lane has told what its symbols must hash to: the false ones are
                    dropped, the others stay, and what is short is asked for as usual
    from the 3rd    it is dropped, and comes whole by the lane alone, where nobody else can put anything in

Where there is no lane, or it does not answer for LANE_PATIENCE, the block is dropped and comes from the group again.
"""

from typing import Final

from protocol.blocks import BlockBuffer
from protocol.symbol_digests import esis_to_compare
from receiver.events import Want

MISMATCHES_BY_GROUP: Final = 3
"""Times that a block may come wrong from the group: after two rounds of digests somebody aims at it."""

LANE_PATIENCE: Final = 5.0
"""[s] The lane answers within a second unless it is gone; the memory that waits is bounded by what comes meanwhile."""


class Suspects:
    """The blocks of object ``toi`` that somebody seems to have meddled with."""

    def __init__(self, toi: int) -> None:
        self._toi = toi
        self._mismatches: dict[int, int] = {}
        self._kept: dict[int, tuple[BlockBuffer, float]] = {}
        """by sbn: the block that waits to be judged, and since when"""
        self._asked: set[int] = set()
        self._by_lane_alone: dict[int, float] = {}
        """by sbn: since when"""

    def mismatched(self, block: BlockBuffer, now: float, *, has_lane: bool) -> bool:
        """The block came whole and wrong; True when it is to be kept until it is judged."""
        count = self._mismatches[block.sbn] = self._mismatches.get(block.sbn, 0) + 1
        if not has_lane:
            return False
        if count >= MISMATCHES_BY_GROUP:
            self._by_lane_alone[block.sbn] = now
            return False
        self._kept[block.sbn] = (block, now)
        return True

    def stored(self, sbn: int) -> None:
        """The block was as announced after all."""
        self._mismatches.pop(sbn, None)
        self._by_lane_alone.pop(sbn, None)

    def next_want(self) -> Want | None:
        """Digests to fetch; each is handed out once."""
        for sbn, (block, _) in self._kept.items():
            if sbn not in self._asked:
                self._asked.add(sbn)
                return Want(self._toi, sbn, esis_to_compare(block), wants_digests=True)
        return None

    def kept(self, sbn: int) -> BlockBuffer | None:
        """The block that waits to be judged."""
        found = self._kept.get(sbn)
        return None if found is None else found[0]

    def take(self, sbn: int) -> BlockBuffer | None:
        """The block that waits to be judged, which is not kept any longer."""
        self._asked.discard(sbn)
        found = self._kept.pop(sbn, None)
        return None if found is None else found[0]

    @property
    def by_lane_alone(self) -> "dict[int, float]":
        """The sbns that the group must bring nothing of, and since when."""
        return self._by_lane_alone

    def give_up(self, now: float) -> list[BlockBuffer]:
        """Let the group bring again what the lane has not in LANE_PATIENCE; gives the blocks that need not be kept."""
        for sbn in [sbn for sbn, since in self._by_lane_alone.items() if now - since >= LANE_PATIENCE]:
            del self._by_lane_alone[sbn]
        overdue = [sbn for sbn, (_, since) in self._kept.items() if now - since >= LANE_PATIENCE]
        return [block for sbn in overdue if (block := self.take(sbn)) is not None]
