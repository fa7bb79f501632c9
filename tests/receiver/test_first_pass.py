from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.blocks import BlockBuffer
from protocol.ranges import RangeSet
from protocol.wire import INTERLEAVED_BLOCKS
from receiver.first_pass import REORDER_BLOCKS, FirstPass
from tests.receiver.seat import K, add_symbols

ALL = RangeSet([(0, 1 << 20)])


def block(sbn: int, esis: Iterable[int]) -> BlockBuffer:
    made = BlockBuffer(bytearray())
    made.reset(1, sbn, K)
    add_symbols(made.ledger, esis)
    return made


def counts(first_pass: FirstPass) -> tuple[int, int, int]:
    return first_pass.symbols_expected, first_pass.symbols_lost, first_pass.blocks_repaired


def test_all_that_is_sent_side_by_side_fits_between_a_block_and_its_having_gone_by() -> None:
    assert REORDER_BLOCKS > INTERLEAVED_BLOCKS


def test_a_block_has_gone_by_when_enough_later_ones_have_come() -> None:
    first_pass = FirstPass()
    positions = [first_pass.arrived(sbn) for sbn in range(3, 3 + REORDER_BLOCKS + 2)]
    assert positions == [0] * (REORDER_BLOCKS - 1) + [3, 4, 5]


def test_gaps_prove_nothing_but_the_blocks_that_came() -> None:
    first_pass = FirstPass()
    positions = [first_pass.arrived(100 * number) for number in range(REORDER_BLOCKS + 1)]
    assert positions[-2:] == [0, 100]


def test_symbols_of_the_same_block_count_as_one_arrival() -> None:
    first_pass = FirstPass()
    assert [first_pass.arrived(7) for _ in range(5 * REORDER_BLOCKS)] == [0] * 5 * REORDER_BLOCKS


def test_earlier_blocks_prove_nothing() -> None:
    first_pass = FirstPass()
    assert {first_pass.arrived(sbn) for sbn in reversed(range(5 * REORDER_BLOCKS))} == {0}


@given(st.lists(st.integers(0, 60), max_size=300))
def test_no_block_has_gone_by_before_that_many_later_ones_came(arrivals: list[int]) -> None:
    first_pass, seen, highest = FirstPass(), set[int](), -1
    ascending: list[int] = []
    for sbn in arrivals:
        position = first_pass.arrived(sbn)
        seen.add(sbn)
        if sbn > highest:
            highest = sbn
            ascending.append(sbn)
        if position:
            assert sum(later >= position for later in seen) >= REORDER_BLOCKS
        # Blocks that begin one after the other are proof at once.
        assert position == (ascending[-REORDER_BLOCKS] if len(ascending) >= REORDER_BLOCKS else 0)


def test_nothing_is_counted_before_it_is_known_from_where_on() -> None:
    first_pass = FirstPass()
    first_pass.completed(block(0, range(K)))
    first_pass.go_by(9, ALL, {3: block(3, [0])})
    assert (counts(first_pass), first_pass.gone_by) == ((0, 0, 0), 9)


def test_the_first_word_of_where_to_count_from_holds() -> None:
    first_pass = FirstPass()
    first_pass.count_from(5)
    first_pass.count_from(0)
    first_pass.go_by(9, ALL, {4: block(4, [0]), 5: block(5, [0])})
    assert counts(first_pass) == (K, K - 1, 0)


@pytest.mark.parametrize(("esis", "lost"), [(range(K), 0), ([*range(K - 2), K + 3, K + 9], 2), (range(K, 2 * K), K)])
def test_source_symbols_that_repair_stood_in_for_are_lost(esis: Iterable[int], lost: int) -> None:
    first_pass = FirstPass()
    first_pass.count_from(0)
    first_pass.completed(block(3, esis))
    assert counts(first_pass) == (K, lost, 0)


def test_the_position_never_goes_back() -> None:
    first_pass = FirstPass()
    first_pass.count_from(0)
    first_pass.go_by(9, ALL, {})
    first_pass.go_by(4, ALL, {2: block(2, [0])})
    assert (first_pass.gone_by, counts(first_pass)) == (9, (0, 0, 0))


def test_what_is_stored_or_found_meanwhile_is_not_counted() -> None:
    first_pass = FirstPass()
    first_pass.count_from(0)
    first_pass.go_by(9, RangeSet([(0, 3)]), {2: block(2, [0]), 3: block(3, [0])})
    assert counts(first_pass) == (K, K - 1, 0)


class NaivePass:
    """The same by the book: remembers for each block what became of it."""

    def __init__(self, counts_from: int) -> None:
        self._counts_from = counts_from
        self._settled: dict[int, int] = {}
        self._gone_by = 0
        self.repaired = 0

    def completed(self, sbn: int, source_symbols: int) -> None:
        if sbn < self._counts_from or sbn < self._gone_by or sbn in self._settled:
            self.repaired += 1
        else:
            self._settled[sbn] = source_symbols

    def go_by(self, position: int, partial: dict[int, BlockBuffer]) -> None:
        for sbn in range(max(self._gone_by, self._counts_from), position):
            if sbn in partial:
                self._settled.setdefault(sbn, partial[sbn].source_symbol_count)
        self._gone_by = max(self._gone_by, position)

    @property
    def counts(self) -> tuple[int, int, int]:
        return len(self._settled) * K, sum(K - count for count in self._settled.values()), self.repaired


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("symbols"), st.integers(0, 30), st.frozensets(st.integers(0, K + 5), max_size=K)),
        st.tuples(st.just("rejected"), st.integers(0, 30), st.just(frozenset[int]())),
        st.tuples(st.just("position"), st.integers(0, 31), st.just(frozenset[int]())),
    ),
    max_size=120,
)


@given(st.integers(0, 20), STEPS)
def test_each_block_is_expected_once_as_by_the_book(
    counts_from: int, steps: list[tuple[str, int, frozenset[int]]]
) -> None:
    first_pass, naive = FirstPass(), NaivePass(counts_from)
    first_pass.count_from(counts_from)
    missing = RangeSet([(0, 31)])
    partial: dict[int, BlockBuffer] = {}

    def go_by(position: int) -> None:
        first_pass.go_by(position, missing, partial)
        naive.go_by(position, partial)

    for what, number, esis in steps:
        if what == "position":
            go_by(number)
        elif what == "rejected":
            missing.add(number)
        elif number in missing and esis:
            here = partial.setdefault(number, block(number, []))
            add_symbols(here.ledger, sorted(esis))
            if here.deficit == 0:
                del partial[number]
                missing.discard(number)
                first_pass.completed(here)
                naive.completed(number, here.source_symbol_count)
            go_by(first_pass.arrived(number))
        assert counts(first_pass) == naive.counts
