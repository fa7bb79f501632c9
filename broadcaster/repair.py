"""Merges everybody's repair requests into the symbols that leave next (RFC 5740 section 5.4, by count).

Per block the requests of all receivers merge to their maximum, since one fresh repair symbol mends a different hole at
every receiver. A request that may have left before the last repair arrived is discounted by what that repair held.
When the fresh repair symbols of a block are used up, source symbols are sent again, as often as it takes: those that
the receivers say they lack (``symbol_choice``), which they do as soon as they ask for a block once more.
Blocks that are wanted whole take turns: a seat that asks for the first ones for ever keeps nobody from the last.
Pure: no time but ``now``, no payload.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from broadcaster.plan import SendPlan
from broadcaster.symbol_choice import choose_source_symbols
from protocol.ranges import RangeSet

HOLDOFF: Final = 0.25
"""[s] Chosen: above the time from a symbol's departure to the arrival of a request that already counts it (the
broadcaster's transmit queue, a full receive buffer of 32 MiB at 1 Gbit/s). Smaller sends repair twice, larger waits."""

END_HOLDOFF: Final = 0.1
"""[s] The same when the first pass is over: the queues are empty then, and the last blocks are waited for."""

SPARE_SYMBOLS: Final = 1
"""[symbols] More than was asked for when the first pass is over: saves a round when one of them is lost again."""


@dataclass(slots=True)
class _Need:
    """What the receivers are short of in one block."""

    deficit: int = 0
    """symbols, the most that anybody is short of"""
    wants: dict[str, tuple[int, int]] = field(default_factory=dict)
    """by receiver: symbols short, and a bitmap of absent source symbols, of those who said which"""


class RepairQueue:
    """What receivers are short of in one object, and which symbols to send for it."""

    def __init__(self, source_block_length: Callable[[int], int], max_repair_symbols: int) -> None:
        """``source_block_length`` maps an sbn to the K of its block."""
        self._source_block_length = source_block_length
        self._max_repair_symbols = max_repair_symbols
        self._needs: dict[int, _Need] = {}
        self._absent = RangeSet()
        self._next_absent = 0
        self._repair_symbols_used: dict[int, int] = {}
        self._in_flight: dict[int, tuple[float, int]] = {}
        self._handed_out: dict[int, int] = {}
        self._withdrawn: set[int] = set()

    def __bool__(self) -> bool:
        """Whether anything is wanted."""
        return bool(self._needs) or len(self._absent) > 0

    def request(
        self,
        deficits: Iterable[tuple[int, int]],
        absent: Iterable[tuple[int, int]],
        plan: SendPlan,
        now: float,
        *,
        receiver_id: str = "",
        missing_symbols: Mapping[int, int] = MappingProxyType({}),
    ) -> None:
        """Merge one receiver's wants; blocks that are pending in the first pass have yet to leave and are ignored.

        Args:
            deficits: (sbn, symbols short) of blocks that arrived in part.
            absent: (first sbn, last sbn) of blocks wanted whole.
            plan: the first pass.
            now: monotonic seconds.
            receiver_id: whose wants these are.
            missing_symbols: sbn to a bitmap of absent source symbols, where the receiver says so.
        """
        self._forget_landed(now, END_HOLDOFF if plan.is_over else HOLDOFF)
        for sbn, deficit in deficits:
            if sbn in self._absent or sbn in self._withdrawn or plan.is_pending(sbn):
                continue
            outstanding = deficit - self._in_flight.get(sbn, (0.0, 0))[1] - self._handed_out.get(sbn, 0)
            if outstanding > 0:
                need = self._needs.setdefault(sbn, _Need())
                need.deficit = max(need.deficit, outstanding)
                if sbn in missing_symbols:
                    need.wants[receiver_id] = outstanding, missing_symbols[sbn]
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
        self._needs.clear()

    def withdraw(self, sbn: int) -> None:
        """This block cannot be sent: whoever asks for it asks in vain."""
        self._withdrawn.add(sbn)
        self._handed_out.pop(sbn, None)
        self._needs.pop(sbn, None)
        self._absent.discard(sbn)

    def next_symbols(self, *, in_first_pass: bool) -> tuple[int, Sequence[int]] | None:
        """The block to mend next and the esis to send for it, or None; they are on their way until ``left``.

        While ``in_first_pass``, only blocks that arrived in part are mended.
        """
        while self._needs:
            sbn = next(iter(self._needs))
            esis = self._mending_symbols(sbn, self._needs.pop(sbn), spare=0 if in_first_pass else SPARE_SYMBOLS)
            if esis:
                return self._hand_out(sbn, esis)
        if self._absent and not in_first_pass:
            sbn = self._absent.pop_next(self._next_absent)
            self._next_absent = sbn + 1
            return self._hand_out(sbn, range(self._source_block_length(sbn)))
        return None

    def left(self, sbn: int, symbol_count: int, now: float) -> None:
        """Symbols that were handed out have left, so requests within HOLDOFF are discounted by them."""
        waiting = self._handed_out.pop(sbn, 0) - symbol_count
        if waiting > 0:
            self._handed_out[sbn] = waiting
        self._in_flight.pop(sbn, None)
        self._in_flight[sbn] = (now, symbol_count)

    def _hand_out(self, sbn: int, esis: Sequence[int]) -> tuple[int, Sequence[int]]:
        self._handed_out[sbn] = self._handed_out.get(sbn, 0) + len(esis)
        return sbn, esis

    def _mending_symbols(self, sbn: int, need: _Need, spare: int) -> Sequence[int]:
        length = self._source_block_length(sbn)
        used = self._repair_symbols_used.get(sbn, 0)
        fresh = min(need.deficit + spare, self._max_repair_symbols - used)
        # They stay used up: who needs this block once more may hold all of them already.
        self._repair_symbols_used[sbn] = used + fresh
        repair = range(length + used, length + used + fresh)
        if need.deficit <= fresh:
            return repair
        wants = [(deficit - fresh + spare, bits) for deficit, bits in need.wants.values()]
        source = choose_source_symbols(wants, length)
        # Source symbols last, in order: the datagram of the very last one may be short, and then ends its batch.
        return (*repair, *source)

    def _forget_landed(self, now: float, holdoff: float) -> None:
        while self._in_flight:
            sbn = next(iter(self._in_flight))
            if now - self._in_flight[sbn][0] < holdoff:
                return
            del self._in_flight[sbn]
