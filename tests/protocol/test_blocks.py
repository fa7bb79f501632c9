import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.blocks import (
    LEDGER_LENGTH,
    REPAIR_COUNT,
    REPAIR_ESIS,
    SLOT_STEP,
    SYMBOL_COUNT,
    BlockBuffer,
    BlockPool,
    last_symbol_length,
    source_block_length,
)
from protocol.errors import SessionStateError
from protocol.wire import ENCODING_SYMBOL_LENGTH, MAX_REPAIR_SYMBOLS, MAX_SOURCE_BLOCK_LENGTH

L = ENCODING_SYMBOL_LENGTH


@pytest.mark.parametrize(
    ("stored_length", "length", "last"),
    [(1, 1, 1), (L - 1, 1, L - 1), (L, 1, L), (L + 1, 2, 1), (256 * 1024, 186, 184), (191 * L, 191, L)],
)
def test_stored_bytes_in_symbols(stored_length: int, length: int, last: int) -> None:
    assert (source_block_length(stored_length, L), last_symbol_length(stored_length, L)) == (length, last)


@given(st.integers(1, 1 << 20), st.integers(1, 8192))
def test_symbols_cover_the_stored_bytes_exactly(stored_length: int, symbol_length: int) -> None:
    length, last = source_block_length(stored_length, symbol_length), last_symbol_length(stored_length, symbol_length)
    assert (length - 1) * symbol_length + last == stored_length
    assert 1 <= last <= symbol_length


def test_the_ledger_has_room_for_every_symbol() -> None:
    assert REPAIR_COUNT == MAX_SOURCE_BLOCK_LENGTH + MAX_REPAIR_SYMBOLS
    assert LEDGER_LENGTH == REPAIR_ESIS + MAX_REPAIR_SYMBOLS


def arrived(source_block_length: int, source: list[int], repair: list[int]) -> BlockBuffer:
    block = BlockBuffer(bytearray())
    block.reset(1, 7, source_block_length)
    for esi in [*source, *repair]:
        block.ledger[esi] = 1
    block.ledger[REPAIR_ESIS : REPAIR_ESIS + len(repair)] = bytes(repair)
    block.ledger[REPAIR_COUNT] = len(repair)
    block.ledger[SYMBOL_COUNT] = len(source) + len(repair)
    return block


def test_an_empty_block_misses_everything() -> None:
    block = arrived(3, [], [])
    assert (block.symbol_count, block.deficit, block.source_symbol_count) == (0, 3, 0)
    assert (block.missing_source_symbols(), block.repair_esis()) == ([0, 1, 2], [])


def test_the_ledger_says_what_is_there() -> None:
    block = arrived(191, [0, 2, 190], [254, 191])
    assert (block.symbol_count, block.deficit, block.source_symbol_count) == (5, 186, 3)
    assert block.missing_source_symbols() == [1, *range(3, 190)]
    assert block.repair_esis() == [254, 191]  # in the order of their slots


def test_repair_symbols_are_not_taken_for_source_symbols() -> None:
    block = arrived(4, [1], [4, 5, 67])
    assert (block.deficit, block.missing_source_symbols()) == (0, [0, 2, 3])


@given(st.integers(1, MAX_SOURCE_BLOCK_LENGTH), st.data())
def test_missing_and_present_are_the_whole_block(k: int, data: st.DataObject) -> None:
    source = data.draw(st.sets(st.integers(0, k - 1)))
    block = arrived(k, sorted(source), [])
    assert set(block.missing_source_symbols()) == set(range(k)) - source
    assert block.deficit == k - len(source)


@given(st.integers(1, 20), st.data())
def test_what_is_dropped_is_gone_and_what_stays_keeps_its_bytes(k: int, data: st.DataObject) -> None:
    source = sorted(data.draw(st.sets(st.integers(0, k - 1))))
    repair = data.draw(st.lists(st.integers(k, k + MAX_REPAIR_SYMBOLS - 1), max_size=k, unique=True))
    block = arrived(k, source, repair)
    block.symbols = bytearray((k + MAX_REPAIR_SYMBOLS) * 2)
    for esi, slot in block.present_slots():
        block.symbols[2 * slot : 2 * slot + 2] = bytes((esi, 1))
    dropped = data.draw(st.sets(st.integers(0, k + MAX_REPAIR_SYMBOLS)))
    assert block.drop_symbols(dropped, 2) == len(dropped.intersection([*source, *repair]))
    assert block.repair_esis() == [esi for esi in repair if esi not in dropped]
    kept = [esi for esi in [*source, *repair] if esi not in dropped]
    assert [esi for esi, _ in block.present_slots()] == kept
    assert all(block.symbols[2 * slot : 2 * slot + 2] == bytes((esi, 1)) for esi, slot in block.present_slots())
    assert (block.symbol_count, block.deficit) == (len(kept), max(0, k - len(kept)))
    assert block.missing_source_symbols() == sorted(set(range(k)) - set(kept))


def test_reset_forgets_everything_but_the_bytes() -> None:
    block = arrived(4, [0, 1], [5])
    symbols = block.symbols
    block.reset(0, 9, 2)
    assert (block.toi, block.sbn, block.source_block_length) == (0, 9, 2)
    assert (block.symbol_count, block.missing_source_symbols(), block.repair_esis()) == (0, [0, 1], [])
    assert block.ledger == bytearray(LEDGER_LENGTH)
    assert block.symbols is symbols


class TestPool:
    def test_a_buffer_has_room_for_source_and_repair_symbols(self) -> None:
        block = BlockPool(1 << 20, 10, 100).take(1, 7, 9)
        assert block is not None
        assert len(block.symbols) == (10 + MAX_REPAIR_SYMBOLS) * 100
        assert (block.toi, block.sbn, block.source_block_length) == (1, 7, 9)

    def test_the_bound_holds(self) -> None:
        length = (10 + MAX_REPAIR_SYMBOLS) * 100
        pool = BlockPool(3 * length + 500, 10, 100)
        blocks = [pool.take(1, sbn, 10) for sbn in range(3)]
        assert None not in blocks
        assert (pool.is_full, pool.taken_bytes) == (True, 3 * length)
        assert pool.take(1, 3, 10) is None
        assert blocks[0] is not None
        pool.give_back(blocks[0])
        assert (pool.is_full, pool.taken_bytes) == (False, 2 * length)
        assert pool.take(1, 3, 10) is not None
        assert pool.take(1, 4, 10) is None

    def test_one_block_always_has_room(self) -> None:
        pool = BlockPool(1, 10, 100)
        assert pool.take(1, 0, 10) is not None
        assert pool.take(1, 1, 10) is None

    def test_a_buffer_comes_back_empty(self) -> None:
        pool = BlockPool(1000, 10, 100)
        block = pool.take(1, 0, 10)
        assert block is not None
        block.ledger[:] = b"\xff" * LEDGER_LENGTH
        pool.give_back(block)
        again = pool.take(0, 5, 4)
        assert again is block
        assert (again.symbol_count, again.deficit, again.toi, again.sbn) == (0, 4, 0, 5)

    def test_giving_back_what_was_not_taken_is_our_own_misuse(self) -> None:
        pool = BlockPool(1000, 10, 100)
        block = pool.take(1, 0, 10)
        assert block is not None
        pool.give_back(block)
        with pytest.raises(SessionStateError):
            pool.give_back(block)


class TestPoolOfManyLengths:
    def test_small_blocks_take_little_of_the_bound(self) -> None:
        length = (SLOT_STEP + MAX_REPAIR_SYMBOLS) * 10
        pool = BlockPool(20 * length, 191, 10)
        small = [pool.take(1, sbn, 5) for sbn in range(20)]
        assert None not in small
        assert (pool.taken_bytes, pool.is_full) == (20 * length, True)
        assert pool.take(1, 99, 5) is None

    def test_unused_buffers_of_other_lengths_make_room(self) -> None:
        small, large = ((slots + MAX_REPAIR_SYMBOLS) * 10 for slots in (SLOT_STEP, 5 * SLOT_STEP))
        pool = BlockPool(small + large, 191, 10)
        for block in [pool.take(1, sbn, SLOT_STEP) for sbn in range(3)]:
            assert block is not None
            pool.give_back(block)
        assert pool.kept_bytes == 3 * small
        assert pool.take(1, 6, 150) is not None
        assert pool.kept_bytes == large + small
        assert pool.take(1, 7, SLOT_STEP) is not None
        assert pool.kept_bytes == large + small
        assert pool.take(1, 8, SLOT_STEP) is None

    @pytest.mark.parametrize("seed", range(20))
    def test_what_is_kept_never_exceeds_the_bound(self, seed: int) -> None:
        rng, pool = random.Random(seed), BlockPool(10_000, 191, 10)
        taken: list[BlockBuffer] = []
        for sbn in range(300):
            block = pool.take(1, sbn, rng.randrange(1, 192))
            if block is not None:
                taken.append(block)
            assert sum(len(each.symbols) for each in taken) == pool.taken_bytes <= pool.kept_bytes <= 10_000
            if block is None or rng.random() < 0.4:
                pool.give_back(taken.pop(rng.randrange(len(taken))))
