"""Merges everybody's repair requests into the symbols that leave next (RFC 5740 section 5.4, by count).

Per block the requests of all receivers merge to their maximum, since one fresh repair symbol mends a different hole at
every receiver. A request that may have left before the last repair arrived is discounted by what that repair held.
When the fresh repair symbols of a block are used up, its source symbols are sent again, as often as it takes.
Blocks that are wanted whole take turns: a seat that asks for the first ones for ever keeps nobody from the last.
Pure: no time but ``now``, no payload.
"""

from collections.abc import Callable, Iterable
from typing import Final

from broadcaster.plan import SendPlan
from protocol.ranges import RangeSet

HOLDOFF: Final = 0.25
"""[s] Chosen: above the time from a symbol's departure to the arrival of a request that already counts it (the
broadcaster's transmit queue, a full receive buffer of 32 MiB at 1 Gbit/s). Smaller sends repair twice, larger waits."""


class RepairQueue:
    """What receivers are short of in one object, and which symbols to send for it."""

    def __init__(self, source_block_length: Callable[[int], int], max_repair_symbols: int) -> None:
        """``source_block_length`` maps an sbn to the K of its block."""
        self._source_block_length = source_block_length
        self._max_repair_symbols = max_repair_symbols
        self._deficits: dict[int, int] = {}
        self._absent = RangeSet()
        self._next_absent = 0
        self._repair_symbols_used: dict[int, int] = {}
        self._in_flight: dict[int, tuple[float, int]] = {}
        self._handed_out: dict[int, int] = {}
        self._withdrawn: set[int] = set()

    def __bool__(self) -> bool:
        """Whether anything is wanted."""
        return bool(self._deficits) or len(self._absent) > 0

    def request(
        self, deficits: Iterable[tuple[int, int]], absent: Iterable[tuple[int, int]], plan: SendPlan, now: float
    ) -> None:
        """Merge one receiver's wants; blocks that are pending in the first pass have yet to leave and are ignored.

        ``deficits`` are (sbn, symbols), ``absent`` are (first sbn, last sbn) of blocks wanted whole.
        """
        self._forget_landed(now)
        for sbn, deficit in deficits:
            if sbn in self._absent or sbn in self._withdrawn or plan.is_pending(sbn):
                continue
            outstanding = deficit - self._in_flight.get(sbn, (0.0, 0))[1] - self._handed_out.get(sbn, 0)
            if outstanding > 0:
                self._deficits[sbn] = max(self._deficits.get(sbn, 0), outstanding)
        for first, last in absent:
            wanted = RangeSet([(first, last + 1)])
            for start, stop in plan.pending_within(first, last + 1):
                wanted.discard(start, stop)
            for start, stop in wanted.ranges():
                self._absent.add(start, stop)
        coming = [*self._handed_out.items(), *((sbn, count) for sbn, (_, count) in self._in_flight.items())]
        for sbn, count in coming:
            if sbn in self._absent and count >= self._source_block_length(sbn):
                self._absent.discard(sbn)
        for sbn in self._withdrawn:
            self._absent.discard(sbn)

    def forget_deficits(self) -> None:
        """Somebody who asked is served otherwise now; the others will ask again."""
        self._deficits.clear()

    def withdraw(self, sbn: int) -> None:
        """This block cannot be sent: whoever asks for it asks in vain."""
        self._withdrawn.add(sbn)
        self._handed_out.pop(sbn, None)
        self._deficits.pop(sbn, None)
        self._absent.discard(sbn)

    def next_symbols(self, *, whole_blocks: bool) -> tuple[int, range] | None:
        """The block to mend next and the esi range to send for it, or None; they are on their way until ``left``.

        Unless ``whole_blocks``, only blocks that arrived in part are mended.
        """
        if self._deficits:
            sbn = next(iter(self._deficits))
            esis = self._fresh_symbols(sbn, self._deficits.pop(sbn))
        elif whole_blocks and self._absent:
            sbn = self._absent.pop_next(self._next_absent)
            self._next_absent = sbn + 1
            esis = range(self._source_block_length(sbn))
        else:
            return None
        self._handed_out[sbn] = self._handed_out.get(sbn, 0) + len(esis)
        return sbn, esis

    def left(self, sbn: int, symbol_count: int, now: float) -> None:
        """Symbols that were handed out have left, so requests within HOLDOFF are discounted by them."""
        waiting = self._handed_out.pop(sbn, 0) - symbol_count
        if waiting > 0:
            self._handed_out[sbn] = waiting
        self._in_flight.pop(sbn, None)
        self._in_flight[sbn] = (now, symbol_count)

    def _fresh_symbols(self, sbn: int, deficit: int) -> range:
        length = self._source_block_length(sbn)
        used = self._repair_symbols_used.get(sbn, 0)
        if used + deficit > self._max_repair_symbols:
            # They stay used up: who needs this block once more may hold all of them already.
            self._repair_symbols_used[sbn] = self._max_repair_symbols
            return range(length)
        self._repair_symbols_used[sbn] = used + deficit
        return range(length + used, length + used + deficit)

    def _forget_landed(self, now: float) -> None:
        while self._in_flight:
            sbn = next(iter(self._in_flight))
            if now - self._in_flight[sbn][0] < HOLDOFF:
                return
            del self._in_flight[sbn]
