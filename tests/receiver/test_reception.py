import random
from collections.abc import Iterable

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from protocol.blocks import REPAIR_COUNT, BlockBuffer, BlockPool
from protocol.wire import ENCODING_SYMBOL_LENGTH as L
from protocol.wire import MAX_REPAIR_SYMBOLS
from receiver.events import Want
from receiver.first_pass import REORDER_BLOCKS
from receiver.reception import Reception
from receiver.repair import END_HOLDOFF, HOLDOFF, QUIET, RepairTimer
from receiver.suspects import LANE_PATIENCE
from tests.receiver.seat import ROOM_FOR_ONE_BLOCK, K, add_symbols


class Object:
    """A reception with the network played by hand."""

    def __init__(self, block_count: int = 30, *, room: int = 100, k: int = K) -> None:
        self.pool = BlockPool(room * ROOM_FOR_ONE_BLOCK, max(32, k), L)
        self.reception = Reception(1, lambda sbn: k, self.pool, RepairTimer(random.Random(1), 0.0), 0.0)
        self.reception.want_all(block_count)
        self.reception.first_pass.count_from(0)
        self._k = k

    def arrive(
        self, sbn: int, esis: Iterable[int], now: float = 0.0, *, is_multicast: bool = True
    ) -> BlockBuffer | None:
        """The block, if that completes it."""
        block = self.reception.find(sbn, self._k)
        if block is None:
            return None
        before = block.symbol_count
        add_symbols(block.ledger, esis, self._k)
        is_complete = self.reception.opened(block, before, now, is_multicast=is_multicast)
        return block if is_complete else None

    def complete(self, sbn: int, now: float = 0.0, *, is_multicast: bool = True) -> BlockBuffer:
        block = self.arrive(sbn, range(self._k), now, is_multicast=is_multicast)
        assert block is not None
        return block

    def wants(self, now: float, *, whole_blocks: bool = True, from_everywhere: bool = True) -> list[Want]:
        wants = []
        while (
            want := self.reception.next_want(now, whole_blocks=whole_blocks, from_everywhere=from_everywhere)
        ) is not None:
            wants.append(want)
        return wants

    def asks(self, now: float, *, whole_blocks: bool = True) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        deficits, absent, _ = self.reception.requests(now, whole_blocks=whole_blocks)
        return list(deficits), list(absent)

    def missing_symbols(self, now: float) -> dict[int, int]:
        """What it says of blocks of which it tells more than how many symbols are missing."""
        *_, missing_symbols = self.reception.requests(now, whole_blocks=True)
        return {sbn: int.from_bytes(bitmap, "little") for sbn, bitmap in missing_symbols}

    def first_pass_state(self) -> tuple[int, int, int, int]:
        first_pass = self.reception.first_pass
        return first_pass.gone_by, first_pass.symbols_expected, first_pass.symbols_lost, first_pass.blocks_repaired


# --- what arrives ----------------------------------------------------------------------------------------------------


def test_nothing_is_wanted_before_it_is_known_what_there_is() -> None:
    reception = Reception(1, lambda sbn: K, BlockPool(1, 32, L), RepairTimer(random.Random(1), 0.0), 0.0)
    assert reception.find(0, K) is None
    assert reception.next_want(9.0, whole_blocks=True, from_everywhere=True) is None
    assert reception.requests(9.0, whole_blocks=True) == ((), (), ())


def test_a_block_on_its_way_to_the_disk_is_not_wanted() -> None:
    seen = Object()
    block = seen.complete(3)
    assert seen.reception.find(3, K) is None
    assert 3 in seen.reception.missing
    assert 3 not in seen.reception.unasked()
    seen.reception.stored(block)
    assert seen.reception.find(3, K) is None
    assert (3 in seen.reception.missing, seen.pool.taken_bytes) == (False, 0)


def test_two_runs_of_one_block_in_a_batch_complete_it_once() -> None:
    seen = Object()
    first, second = seen.reception.find(3, K), None
    assert first is not None
    add_symbols(first.ledger, range(6))
    second = seen.reception.find(3, K)
    assert second is first
    add_symbols(first.ledger, range(6, K))
    completions = [seen.reception.opened(first, before, 1.0, is_multicast=True) for before in (0, 6)]
    assert completions == [True, False]
    assert seen.reception.first_pass.symbols_expected == K


def test_what_proves_nothing_claims_no_buffer_and_is_no_arrival() -> None:
    seen = Object()
    assert seen.arrive(20, [], now=7.0) is None
    assert (seen.pool.taken_bytes, seen.reception.last_arrival) == (0, 0.0)
    seen.arrive(20, [1], now=8.0)
    taken = seen.pool.taken_bytes
    seen.arrive(20, [1], now=9.0)
    assert (seen.pool.taken_bytes, seen.reception.last_arrival) == (taken, 8.0)


def test_blocks_without_room_are_counted_once_each_time_that_the_memory_is_full() -> None:
    seen = Object(room=1)
    seen.arrive(0, [0])
    for sbn in (1, 2, 1, 2, 1):
        seen.arrive(sbn, range(K))
    assert seen.reception.blocks_without_room == 2
    seen.reception.stored(seen.complete(0))
    seen.reception.stored(seen.complete(1))
    seen.arrive(2, [0])
    seen.reception.lost_again([1])
    seen.arrive(1, range(K))
    assert seen.reception.blocks_without_room == 3


def test_the_disk_may_hold_a_block_of_which_symbols_have_come() -> None:
    seen = Object()
    seen.arrive(3, range(4))
    seen.reception.found([2, 3])
    assert (seen.pool.taken_bytes, len(seen.reception.missing)) == (0, 28)
    assert seen.reception.find(3, K) is None


def test_a_block_that_is_being_stored_is_not_taken_from_the_worker() -> None:
    seen = Object()
    block = seen.complete(3)
    seen.reception.found([3])
    assert (3 in seen.reception.missing, seen.pool.taken_bytes > 0) == (True, True)
    seen.reception.stored(block)
    assert (3 in seen.reception.missing, seen.pool.taken_bytes) == (False, 0)


def test_what_is_lost_again_is_asked_for_at_once() -> None:
    seen = Object(4)
    for sbn in range(4):
        seen.reception.stored(seen.complete(sbn))
    seen.reception.lost_again([1, 3])
    assert seen.asks(1.0) == ([], [(1, 1), (3, 3)])


def test_what_waits_for_the_disk_is_told_from_what_waits_for_the_network() -> None:
    seen = Object()
    seen.arrive(1, [0])
    blocks = [seen.complete(2), seen.complete(3)]
    assert (seen.reception.bytes_to_store, seen.pool.taken_bytes) == (2 * ROOM_FOR_ONE_BLOCK, 3 * ROOM_FOR_ONE_BLOCK)
    seen.reception.stored(blocks[0])
    seen.reception.rejected(blocks[1], 1.0, has_lane=False)
    assert (seen.reception.bytes_to_store, seen.pool.taken_bytes) == (0, ROOM_FOR_ONE_BLOCK)


# --- what to ask for -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("position", "holdoff"), [(29, HOLDOFF), (30, END_HOLDOFF)])
def test_it_is_asked_again_sooner_when_the_first_pass_is_over(position: int, holdoff: float) -> None:
    seen = Object(30)
    seen.arrive(0, range(4))
    seen.reception.go_by(position)
    asked = ([(0, 6)], [(1, position - 1)])
    assert seen.asks(1.0) == asked
    assert seen.asks(1.0 + holdoff - 0.01) == ([], [])
    assert seen.asks(1.0 + holdoff + 0.01) == asked


def test_which_symbols_are_missing_is_told_when_it_is_asked_again() -> None:
    seen = Object(4)
    seen.arrive(0, [0, 2, 4, K + 5])
    seen.arrive(1, [0])
    seen.reception.go_by(1)
    assert seen.missing_symbols(1.0) == {}
    seen.reception.go_by(2)
    assert seen.missing_symbols(1.1 + HOLDOFF) == {0: 0b1111101010}
    seen.arrive(0, [1], now=1.2 + HOLDOFF)
    assert seen.missing_symbols(1.0 + 3 * HOLDOFF) == {0: 0b1111101000, 1: 0b1111111110}


def test_which_symbols_are_missing_is_told_at_once_where_repair_symbols_cannot_do() -> None:
    k = MAX_REPAIR_SYMBOLS + 20
    seen = Object(4, k=k)
    seen.arrive(0, range(19))
    seen.arrive(1, range(20))
    seen.reception.go_by(2)
    assert seen.missing_symbols(1.0) == {0: (1 << k) - (1 << 19)}


def test_a_block_that_starts_over_was_never_asked_for() -> None:
    seen = Object(4)
    seen.arrive(0, range(4))
    seen.reception.go_by(1)
    assert seen.asks(1.0) == ([(0, 6)], [])
    seen.reception.rejected(seen.complete(0), 1.0, has_lane=False)
    seen.arrive(0, range(4))
    assert seen.missing_symbols(2.0) == {}
    assert seen.missing_symbols(2.1 + HOLDOFF) == {0: 0b1111110000}


def test_a_full_memory_asks_for_no_whole_blocks() -> None:
    seen = Object(4, room=1)
    seen.arrive(0, range(4))
    seen.reception.go_by(4)
    assert seen.asks(1.0) == ([(0, 6)], [])


# --- the two ways ----------------------------------------------------------------------------------------------------


def test_what_is_fetched_says_nothing_of_the_group() -> None:
    seen = Object(100)
    for sbn in range(3 * REORDER_BLOCKS):
        seen.reception.stored(seen.complete(sbn, now=5.0, is_multicast=False))
    seen.arrive(90, range(3), now=5.0, is_multicast=False)
    seen.reception.rejected(seen.complete(91, now=5.0, is_multicast=False), 1.0, has_lane=False)
    assert seen.first_pass_state() == (0, 0, 0, 0)
    assert seen.reception.last_arrival == 0.0


def test_a_block_of_which_symbols_are_fetched_is_not_asked_for_meanwhile() -> None:
    seen = Object()
    seen.reception.go_by(30)
    seen.arrive(3, range(4), now=1.0, is_multicast=False)
    assert seen.asks(1.0 + QUIET / 2, whole_blocks=False) == ([], [])
    assert seen.asks(1.0 + 2 * QUIET, whole_blocks=False) == ([(3, 6)], [])


# --- what to fetch ---------------------------------------------------------------------------------------------------


def test_only_what_has_gone_by_is_fetched_unless_from_everywhere() -> None:
    seen = Object(6)
    seen.arrive(1, range(4))
    seen.arrive(4, range(7))
    seen.reception.go_by(3)
    assert seen.wants(1.0, from_everywhere=False) == [Want(1, 1, range(K, K + 6)), Want(1, 0), Want(1, 2)]
    assert seen.wants(1.0) == [Want(1, 4, range(K, K + 3)), Want(1, 3), Want(1, 5)]


def test_what_is_here_in_part_is_fetched_also_while_the_disk_is_searched() -> None:
    seen = Object(6)
    seen.arrive(1, range(4))
    assert seen.wants(1.0, whole_blocks=False) == [Want(1, 1, range(K, K + 6))]


def test_a_block_whose_symbols_still_arrive_is_not_fetched() -> None:
    seen = Object(1)
    seen.arrive(0, [0], now=1.0)
    assert seen.wants(1.0 + QUIET / 2) == []
    assert seen.wants(1.0 + QUIET) == [Want(1, 0, range(K, K + 9))]


@pytest.mark.parametrize(
    ("here", "expected"),
    [
        ([K], range(K + 1, K + 10)),
        ([0, K + 54], range(K + 55, K + 63)),
        ([0, K + 55], range(K + 56, K + 64)),
        ([0, K + 56], None),
        ([*range(K - 1)], range(K, K + 1)),
        ([*range(K - 2), K + 63], None),
    ],
)
def test_symbols_that_are_here_are_not_fetched_again_while_there_are_fresh_ones(
    here: list[int], expected: range | None
) -> None:
    seen = Object(1)
    seen.arrive(0, here)
    assert seen.wants(1.0) == [Want(1, 0, expected)]


def test_a_block_that_was_fetched_in_vain_is_wanted_again() -> None:
    seen = Object(1)
    (want,) = seen.wants(1.0)
    assert seen.wants(9.0) == []
    seen.reception.fetched(want)
    assert seen.wants(9.0) == [want]


def test_a_block_that_cannot_be_had_is_not_wanted_again() -> None:
    seen = Object(2)
    first, second = seen.wants(1.0)
    seen.reception.unavailable(first)
    seen.reception.fetched(second)
    assert seen.wants(99.0) == [second]
    assert seen.complete(first.sbn) is not None  # the group may still bring it


def test_a_full_memory_fetches_what_it_has_begun_and_no_more() -> None:
    seen = Object(5, room=2)
    seen.arrive(0, [0])
    seen.arrive(3, [0])
    assert [want.sbn for want in seen.wants(1.0)] == [0, 3]


def test_a_fetch_that_failed_is_worth_another_try_until_the_block_is_here() -> None:
    seen = Object(3)
    want = seen.wants(1.0)[0]
    assert seen.reception.is_wanted(want)
    block = seen.complete(want.sbn)
    assert not seen.reception.is_wanted(want)
    seen.reception.rejected(block, 1.0, has_lane=False)
    assert seen.reception.is_wanted(want)
    seen.reception.found([want.sbn])
    assert not seen.reception.is_wanted(want)


# --- everything at once ----------------------------------------------------------------------------------------------

BLOCKS = 16
SBNS = st.integers(0, BLOCKS - 1)
ROOM = 5
TICK = 2 * QUIET


class ReceptionMachine(RuleBasedStateMachine):
    """Any order of arrivals, fetches, verdicts and finds, beside sets that say what must be so."""

    @initialize()
    def begin(self) -> None:
        self.seen = Object(BLOCKS, room=ROOM)
        self.reception = self.seen.reception
        self.now = 0.0
        self.in_worker: dict[int, BlockBuffer] = {}
        self.symbols: dict[int, set[int]] = {}
        """of the blocks that are here in part"""
        self.stored: set[int] = set()
        self.fetching: dict[int, Want] = {}
        self.gone: set[int] = set()
        """what the lane cannot give"""
        self.suspects: dict[int, tuple[BlockBuffer, float]] = {}
        """what came wrong, and since when it waits to be judged"""

    def _arrive(self, sbn: int, esis: Iterable[int], *, is_multicast: bool) -> None:
        is_wanted = sbn not in self.stored and sbn not in self.in_worker and sbn not in self.suspects
        if is_multicast and self.reception.is_urgent(Want(1, sbn)):
            is_wanted = False
        taken = len(self.symbols) + len(self.in_worker) + len(self.suspects)
        has_room = sbn in self.symbols or taken < ROOM
        fresh = set(esis) - self.symbols.get(sbn, set())
        before = (self.seen.first_pass_state(), self.reception.last_arrival)
        done = self.seen.arrive(sbn, esis, self.now, is_multicast=is_multicast)
        if not is_multicast:
            assert (self.seen.first_pass_state(), self.reception.last_arrival) == before
        if is_wanted and has_room and fresh:
            here = self.symbols.setdefault(sbn, set())
            for esi in esis:
                if len(here) < K:
                    here.add(esi)
            assert (done is not None) == (len(here) == K)
            if done is not None:
                del self.symbols[sbn]
                self.in_worker[sbn] = done
                assert done.sbn == sbn
        else:
            assert done is None

    @rule(sbn=SBNS, esis=st.lists(st.integers(0, K + 12), max_size=K))
    def the_group_brings(self, sbn: int, esis: list[int]) -> None:
        self._arrive(sbn, esis, is_multicast=True)

    @rule(sbn=SBNS)
    def the_group_brings_all(self, sbn: int) -> None:
        self._arrive(sbn, range(K), is_multicast=True)

    @rule(seconds=st.sampled_from([0.0, TICK, HOLDOFF, LANE_PATIENCE]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(from_everywhere=st.booleans(), whole_blocks=st.booleans())
    def a_fetch_begins(self, from_everywhere: bool, whole_blocks: bool) -> None:
        want = self.reception.next_want(self.now, whole_blocks=whole_blocks, from_everywhere=from_everywhere)
        if want is None:
            return
        assert want.sbn not in self.fetching
        assert want.sbn not in self.gone
        assert want.sbn not in self.stored
        assert want.sbn not in self.in_worker
        assert want.sbn not in self.suspects
        assert from_everywhere or want.sbn < self.reception.first_pass.gone_by
        assert whole_blocks or want.sbn in self.symbols
        if want.esis is not None:
            assert not self.symbols[want.sbn].intersection(want.esis)
            assert len(want.esis) == K - len(self.symbols[want.sbn])
            assert K <= want.esis.start < want.esis.stop <= K + MAX_REPAIR_SYMBOLS
        self.fetching[want.sbn] = want

    @precondition(lambda self: self.fetching)
    @rule(data=st.data(), how=st.sampled_from(["whole", "whole", "in part", "unavailable", "dropped"]))
    def a_fetch_ends(self, data: st.DataObject, how: str) -> None:
        sbn = data.draw(st.sampled_from(sorted(self.fetching)))
        want = self.fetching.pop(sbn)
        if how == "unavailable":
            self.reception.unavailable(want)
            self.gone.add(sbn)
            return
        esis = list(want.esis or range(K))
        if how == "in part":
            esis = esis[:2]
        if how != "dropped":
            self._arrive(sbn, esis, is_multicast=False)
        self.reception.fetched(want)

    @precondition(lambda self: self.in_worker)
    @rule(data=st.data(), is_right=st.booleans())
    def the_worker_is_done(self, data: st.DataObject, is_right: bool) -> None:
        sbn = data.draw(st.sampled_from(sorted(self.in_worker)))
        block = self.in_worker.pop(sbn)
        if is_right:
            self.reception.stored(block)
            self.stored.add(sbn)
        else:
            self.reception.rejected(block, self.now, has_lane=False)

    @precondition(lambda self: self.in_worker)
    @rule(data=st.data())
    def the_worker_suspects(self, data: st.DataObject) -> None:
        sbn = data.draw(st.sampled_from(sorted(self.in_worker)))
        block = self.in_worker.pop(sbn)
        self.reception.rejected(block, self.now, has_lane=True)
        if self.reception.suspect(sbn) is not None:
            self.suspects[sbn] = (block, self.now)

    @precondition(lambda self: self.suspects)
    @rule(data=st.data(), is_told=st.booleans())
    def the_lane_tells_what_is_false(self, data: st.DataObject, is_told: bool) -> None:
        sbn = data.draw(st.sampled_from(sorted(self.suspects)))
        block, _ = self.suspects.pop(sbn)
        present = {esi for esi, _ in block.present_slots()}
        if not is_told:
            self.reception.unavailable(Want(1, sbn, range(K), wants_digests=True))
            self.gone.add(sbn)
            return
        false = data.draw(st.sets(st.sampled_from(sorted(present))))
        assert self.reception.judged(sbn, false) == len(false)
        if false and false != present:
            self.symbols[sbn] = present - false

    @rule()
    def patience_ends(self) -> None:
        self.reception.give_up_suspects(self.now)
        for sbn, (_, since) in list(self.suspects.items()):
            if self.now - since >= LANE_PATIENCE:
                del self.suspects[sbn]

    @rule()
    def an_urgent_fetch_begins(self) -> None:
        want = self.reception.next_suspect_want(self.now)
        if want is None:
            return
        assert self.reception.is_urgent(want)
        if want.wants_digests:
            block, _ = self.suspects[want.sbn]
            assert {esi for esi, _ in block.present_slots()} <= set(want.esis or ())
        else:
            assert want.esis is None
            assert want.sbn not in self.fetching
            assert want.sbn not in self.in_worker
            assert self.reception.find(want.sbn, K) is None, "the group may not bring it"
            self.fetching[want.sbn] = want

    @rule(sbns=st.lists(SBNS, max_size=4))
    def the_scan_finds(self, sbns: list[int]) -> None:
        self.reception.found(sbns)
        for sbn in set(sbns) - self.in_worker.keys() - self.suspects.keys():
            self.stored.add(sbn)
            self.symbols.pop(sbn, None)

    @precondition(lambda self: self.stored and not self.in_worker)
    @rule(data=st.data())
    def the_read_back_finds_damage(self, data: st.DataObject) -> None:
        sbn = data.draw(st.sampled_from(sorted(self.stored)))
        self.reception.lost_again([sbn])
        self.stored.discard(sbn)

    @rule(position=st.integers(0, BLOCKS + 5))
    def the_status_says(self, position: int) -> None:
        self.reception.go_by(position)

    @rule(whole_blocks=st.booleans())
    def it_asks(self, whole_blocks: bool) -> None:
        deficits, absent = self.seen.asks(self.now, whole_blocks=whole_blocks)
        position = self.reception.first_pass.gone_by
        for sbn, deficit in deficits:
            assert sbn < position
            assert deficit == K - len(self.symbols[sbn])
        whole = {sbn for first, last in absent for sbn in range(first, last + 1)}
        assert not whole or whole_blocks
        elsewhere = self.stored | self.in_worker.keys() | self.symbols.keys() | self.suspects.keys()
        assert whole <= set(range(position)) - elsewhere
        assert not [sbn for sbn in (*whole, *dict(deficits)) if self.reception.is_urgent(Want(1, sbn))]

    @invariant()
    def what_is_missing_is_what_is_not_stored(self) -> None:
        assert set(self.reception.missing) == set(range(BLOCKS)) - self.stored
        busy = self.in_worker.keys() | self.suspects.keys()
        assert set(self.reception.unasked()) == set(range(BLOCKS)) - self.stored - busy

    @invariant()
    def every_buffer_is_accounted_for(self) -> None:
        whole = len(self.in_worker) + len(self.suspects)
        assert self.seen.pool.taken_bytes == (len(self.symbols) + whole) * ROOM_FOR_ONE_BLOCK
        assert self.reception.bytes_to_store == whole * ROOM_FOR_ONE_BLOCK
        assert all(block.ledger[REPAIR_COUNT] <= MAX_REPAIR_SYMBOLS for block in self.in_worker.values())

    @invariant()
    def what_was_lost_was_expected(self) -> None:
        first_pass = self.reception.first_pass
        assert 0 <= first_pass.symbols_lost <= first_pass.symbols_expected <= BLOCKS * K


TestReception = ReceptionMachine.TestCase
TestReception.settings = settings(max_examples=15, stateful_step_count=40)
