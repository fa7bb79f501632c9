"""Which seats can never be complete, because blocks that they lack are damaged in the library. Pure.

Such a block is never sent, so whoever lacks it would ask for ever. A seat is given up when it gets nowhere and lacks
no more than what is damaged; a seat whose disk only stands still, and that holds those blocks, is not.
"""

from collections.abc import Mapping
from typing import Final

from broadcaster.roster import Seat
from protocol.messages import ReceiverState

GIVE_UP_DAMAGED: Final = 3.0
"""[s] A seat that has got nowhere for so long, and misses no more blocks than are damaged here, misses those."""


def why_incomplete(seat: Seat, damaged: Mapping[int, str], *, block_count: int, now: float) -> str:
    """Why the seat can never be complete, in words; empty while it may become so.

    Args:
        seat: one that is awaited, after the first pass.
        damaged: sbn and reason of the blocks that cannot be sent.
        block_count: blocks of the disk.
        now: monotonic seconds.
    """
    if now - seat.progressed_at < GIVE_UP_DAMAGED or seat.report.state is not ReceiverState.RECEIVING:
        return ""
    is_known = seat.inventory.is_complete(block_count)
    lacks = [sbn for sbn in sorted(damaged) if not is_known or seat.inventory.missing >> sbn & 1]
    if not 0 < seat.report.blocks_missing <= len(lacks):
        return ""
    words = "1 block is" if len(lacks) == 1 else f"{len(lacks)} blocks are"
    return f"{words} damaged in the library, first {lacks[0]}: {damaged[lacks[0]]}"
