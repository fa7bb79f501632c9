"""One object on its way in: which blocks are missing, which are here in part, and what to ask for. Pure.

A block is missing until it is stored. It has a buffer from its first symbol on, as long as there is room; when all
that is needed is here it is handed out to be stored, and comes back stored or rejected. One that is rejected may be
kept for a while, until it is known which of its symbols are false (``suspects``).
"""

from collections.abc import Callable, Container, Iterable, Iterator
from math import inf

from protocol.blocks import BlockBuffer, BlockPool
from protocol.ranges import RangeSet
from protocol.wire import MAX_REPAIR_SYMBOLS
from receiver.events import Want
from receiver.first_pass import FirstPass
from receiver.repair import END_HOLDOFF, HOLDOFF, QUIET, Absent, Deficits, MissingSymbols, RepairTimer
from receiver.suspects import Suspects


class Reception:
    """The blocks of object ``toi``; they share the memory of ``pool`` with the other object's."""

    def __init__(
        self, toi: int, source_block_length: Callable[[int], int], pool: BlockPool, timer: RepairTimer, now: float
    ) -> None:
        """``source_block_length`` maps an sbn to K; nothing is wanted until ``want_all``."""
        self.toi = toi
        self.missing = RangeSet()
        self.block_count = 0
        self.first_pass = FirstPass()
        self.timer = timer
        self.last_arrival = now
        """s, when multicast last brought something that was wanted"""
        self.blocks_without_room = 0
        self._length_of = source_block_length
        self._pool = pool
        self._partial: dict[int, BlockBuffer] = {}
        self._being_stored: set[int] = set()
        self._being_fetched: set[int] = set()
        self._fetched_at: dict[int, float] = {}
        self._bytes_to_store = 0
        self._without_room: set[int] = set()
        self._suspects = Suspects(toi)

    def want_all(self, block_count: int) -> None:
        """The object has so many blocks, and none of them is here."""
        self.block_count = block_count
        self.missing.add(0, block_count)

    # --- what arrives --------------------------------------------------------------------------------------------

    def find(self, sbn: int, source_block_length: int, *, is_multicast: bool = True) -> BlockBuffer | None:
        """The buffer for symbols of this block, or None if they are not wanted or there is no room."""
        if is_multicast and sbn in self._suspects.by_lane_alone:
            return None
        block = self._partial.get(sbn)
        if block is not None:
            return block if source_block_length == block.source_block_length else None
        if sbn not in self.missing or sbn in self._being_stored or source_block_length != self._length_of(sbn):
            return None
        block = self._pool.take(self.toi, sbn, source_block_length)
        if block is None:
            if sbn not in self._without_room:
                self._without_room.add(sbn)
                self.blocks_without_room += 1
            return None
        self._without_room.discard(sbn)
        self._partial[sbn] = block
        return block

    def opened(self, block: BlockBuffer, symbols_before: int, now: float, *, is_multicast: bool) -> bool:
        """Symbols of a block that ``find`` gave may have been added; True when it is to be stored now."""
        if block.symbol_count == symbols_before:
            # Nothing of it was authentic and new: it proves nothing about the sender, and claims no buffer.
            if block.symbol_count == 0 and self._partial.pop(block.sbn, None) is not None:
                self._pool.give_back(block)
            return False
        block.last_arrival = now
        if is_multicast:
            self.last_arrival = now
        is_complete = block.deficit == 0 and self._partial.pop(block.sbn, None) is block
        if is_complete:
            if is_multicast:
                self.first_pass.completed(block)
            self._being_stored.add(block.sbn)
            self._bytes_to_store += len(block.symbols)
        if is_multicast:
            self.go_by(self.first_pass.arrived(block.sbn))
        return is_complete

    def go_by(self, position: int) -> None:
        """The first pass is at ``position``."""
        self.first_pass.go_by(min(position, self.block_count), self.missing, self._partial)

    # --- what is done --------------------------------------------------------------------------------------------

    def stored(self, block: BlockBuffer) -> None:
        """The block is where it belongs."""
        self._release(block)
        self._fetched_at.pop(block.sbn, None)
        self._suspects.stored(block.sbn)
        self.missing.discard(block.sbn)

    def rejected(self, block: BlockBuffer, now: float, *, has_lane: bool) -> None:
        """The block is not as announced: it is missing again, from its first symbol on or but for what is false."""
        if not self._suspects.mismatched(block, now, has_lane=has_lane):
            self._release(block)

    def suspect(self, sbn: int) -> BlockBuffer | None:
        """The block that was rejected and is kept until ``judged``."""
        return self._suspects.kept(sbn)

    def judged(self, sbn: int, false_esis: Container[int]) -> int:
        """These symbols of the block that is kept are false; gives how many were dropped.

        Where none is, what was rejected is no symbol but the whole, and the block starts over.
        """
        block = self._suspects.take(sbn)
        if block is None:
            return 0
        dropped = block.drop_symbols(false_esis, self._pool.symbol_length)
        if not dropped or not block.symbol_count:
            self._release(block)
        else:
            self._being_stored.remove(sbn)
            self._bytes_to_store -= len(block.symbols)
            self._partial[sbn] = block
        return dropped

    def give_up_suspects(self, now: float) -> None:
        """What the catch-up lane has not told or brought in time starts over with the group."""
        for block in self._suspects.give_up(now):
            self._release(block)

    def found(self, sbns: Iterable[int]) -> None:
        """These blocks were there already."""
        for sbn in sbns:
            if sbn in self._being_stored:
                continue
            self.missing.discard(sbn)
            block = self._partial.pop(sbn, None)
            if block is not None:
                self._pool.give_back(block)

    def lost_again(self, sbns: Iterable[int]) -> None:
        """These blocks were stored and are not there."""
        self.go_by(self.block_count)
        for sbn in sbns:
            self.missing.add(sbn)

    # --- what to ask for -----------------------------------------------------------------------------------------

    def requests(self, now: float, *, whole_blocks: bool) -> tuple[Deficits, Absent, MissingSymbols]:
        """What to ask the group for; restarts the timer's cycle.

        Which symbols are missing is told of blocks that were asked for before, or are short of more than there are
        repair symbols: the broadcaster may have no fresh ones left for them.
        """
        limit = self.first_pass.gone_by
        holdoff = HOLDOFF if limit < self.block_count else END_HOLDOFF
        asked_before = {sbn for sbn in self._partial if self.timer.has_asked(sbn)}
        elsewhere = self._being_stored | self._suspects.by_lane_alone.keys()
        partial = [block for block in self._partial.values() if block.sbn not in elsewhere]
        deficits, absent = self.timer.collect(self.missing, partial, elsewhere, limit, now, holdoff=holdoff)
        missing_symbols = tuple(
            (sbn, self._partial[sbn].missing_source_bitmap())
            for sbn, deficit in deficits
            if sbn in asked_before or deficit > MAX_REPAIR_SYMBOLS
        )
        # What is sent again could not be kept when the memory is full.
        return deficits, absent if whole_blocks and not self._pool.is_full else (), missing_symbols

    def next_suspect_want(self, now: float) -> Want | None:
        """What to fetch next from the catch-up lane for a block that was rejected, whether or not the seat is on it."""
        for sbn in self._suspects.by_lane_alone:
            if sbn in self.missing and sbn not in self._being_stored and self._may_fetch(sbn, now):
                return self._fetch(sbn, None, now)
        return self._suspects.next_want()

    def next_want(self, now: float, *, whole_blocks: bool, from_everywhere: bool) -> Want | None:
        """What to fetch next from the catch-up lane; it counts as being fetched until ``fetched``.

        Args:
            now: monotonic seconds.
            whole_blocks: also blocks of which nothing is here.
            from_everywhere: also blocks that multicast may still bring.
        """
        limit = self.block_count if from_everywhere else self.first_pass.gone_by
        for block in self._partial.values():
            is_quiet = now - block.last_arrival >= QUIET
            if block.sbn < limit and is_quiet and self._may_fetch(block.sbn, now):
                return self._fetch(block.sbn, _fresh_repair_symbols(block), now)
        if whole_blocks and not self._pool.is_full:
            for sbn in self._untouched(limit):
                if self._may_fetch(sbn, now):
                    return self._fetch(sbn, None, now)
        return None

    def _may_fetch(self, sbn: int, now: float) -> bool:
        """Not twice within HOLDOFF: an answer that brought nothing would bring nothing again at once."""
        return sbn not in self._being_fetched and now - self._fetched_at.get(sbn, -inf) >= HOLDOFF

    def _fetch(self, sbn: int, esis: range | None, now: float) -> Want:
        self._being_fetched.add(sbn)
        self._fetched_at[sbn] = now
        return Want(self.toi, sbn, esis)

    def is_wanted(self, want: Want) -> bool:
        """Whether a fetch that failed is worth another try."""
        if want.wants_digests:
            return self.is_urgent(want)
        return want.sbn in self.missing and want.sbn not in self._being_stored

    def is_urgent(self, want: Want) -> bool:
        """Whether it is for a block that was rejected."""
        if want.wants_digests:
            return self._suspects.kept(want.sbn) is not None
        return want.sbn in self._suspects.by_lane_alone

    def fetched(self, want: Want) -> None:
        """The symbols have come, or are not wanted any more."""
        if not want.wants_digests:
            self._being_fetched.discard(want.sbn)

    def unavailable(self, want: Want) -> None:
        """The block cannot be had there; it stays counted as being fetched, so that it is not wanted again."""
        self._being_fetched.add(want.sbn)
        if want.wants_digests and (block := self._suspects.take(want.sbn)) is not None:
            self._release(block)

    @property
    def bytes_to_store(self) -> int:
        """Bytes of memory that complete blocks hold until they are stored."""
        return self._bytes_to_store

    def unasked(self) -> RangeSet:
        """The missing blocks without those that are only waiting to be stored."""
        blocks = RangeSet(self.missing.ranges())
        for sbn in self._being_stored:
            blocks.discard(sbn)
        return blocks

    def _untouched(self, limit: int) -> Iterator[int]:
        here = self._being_stored | self._being_fetched | self._partial.keys()
        for start, stop in self.missing.ranges_within(0, limit):
            yield from (sbn for sbn in range(start, stop) if sbn not in here)

    def _release(self, block: BlockBuffer) -> None:
        self._being_stored.remove(block.sbn)
        self._bytes_to_store -= len(block.symbols)
        self.timer.forget(block.sbn)
        self._pool.give_back(block)


def _fresh_repair_symbols(block: BlockBuffer) -> range | None:
    """As many repair symbols as the block is short of, all new to it; None where so many are not left."""
    first = block.next_repair_esi
    stop = first + block.deficit
    return range(first, stop) if stop <= block.source_block_length + MAX_REPAIR_SYMBOLS else None
