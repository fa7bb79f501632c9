import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.blocks import REPAIR_COUNT, REPAIR_ESIS, SYMBOL_COUNT, BlockBuffer
from protocol.errors import MessageError
from protocol.fec import decode_source, encode_repair
from protocol.symbol_digests import SYMBOL_DIGEST_LENGTH, digests_of, esis_to_compare, false_symbols
from protocol.wire import MAX_REPAIR_SYMBOLS

L = 40


def sample(k: int, source: list[int], repair: list[int], seed: int = 1) -> tuple[BlockBuffer, bytes, bytes]:
    """A block in which these symbols are present, the whole source, and the digests of all symbols."""
    stored = random.Random(seed).randbytes(k * L - 7)
    padded = stored.ljust(k * L, b"\0")
    parity = encode_repair(padded, k, L, range(k, k + MAX_REPAIR_SYMBOLS))
    block = BlockBuffer(bytearray((k + MAX_REPAIR_SYMBOLS) * L))
    block.reset(1, 7, k)
    for esi in source:
        block.symbols[esi * L : (esi + 1) * L] = padded[esi * L : (esi + 1) * L]
    for index, esi in enumerate(repair):
        place = (k + index) * L
        block.symbols[place : place + L] = parity[(esi - k) * L : (esi - k + 1) * L]
    for esi in (*source, *repair):
        block.ledger[esi] = 1
    block.ledger[REPAIR_ESIS : REPAIR_ESIS + len(repair)] = bytes(repair)
    block.ledger[REPAIR_COUNT] = len(repair)
    block.ledger[SYMBOL_COUNT] = len(source) + len(repair)
    return block, padded, digests_of(stored, L) + digests_of(parity, L)


def spoil(block: BlockBuffer, esi: int) -> None:
    slot = dict(block.present_slots())[esi]
    block.symbols[slot * L + 3] ^= 0x40


def test_digests_are_fixed_for_ever() -> None:
    assert digests_of(bytes(range(8)), 8).hex() == "32f35be24d5c63f59323c23ea73aa841"


def test_a_short_last_symbol_counts_with_its_padding() -> None:
    assert digests_of(b"abcdefgh" + b"xy", 8) == digests_of(b"abcdefgh" + b"xy\0\0\0\0\0\0", 8)
    assert len(digests_of(b"abcdefghxy", 8)) == 2 * SYMBOL_DIGEST_LENGTH
    assert digests_of(b"", 8) == b""


def test_a_true_block_has_no_false_symbol() -> None:
    block, _, digests = sample(6, [0, 2, 3, 5], [30, 7])
    assert false_symbols(block, L, digests) == []


def test_what_is_asked_for_reaches_the_last_repair_symbol() -> None:
    assert esis_to_compare(sample(6, [0, 1], [])[0]) == range(6)
    assert esis_to_compare(sample(6, [0, 1], [30, 7])[0]) == range(31)


@given(st.integers(1, 20), st.data())
def test_exactly_the_liars_are_found_and_what_stays_decodes(k: int, data: st.DataObject) -> None:
    present = data.draw(st.lists(st.integers(0, k + 30), min_size=k, max_size=k, unique=True))
    source = sorted(esi for esi in present if esi < k)
    repair = [esi for esi in present if esi >= k]
    block, padded, digests = sample(k, source, repair)
    liars = data.draw(st.sets(st.sampled_from(present)))
    for esi in liars:
        spoil(block, esi)
    decode_source(block.symbols, k, L, block.missing_source_symbols(), block.repair_esis())  # which spoils the rest
    assert false_symbols(block, L, digests[: len(esis_to_compare(block)) * SYMBOL_DIGEST_LENGTH]) == sorted(liars)
    assert block.drop_symbols(liars, L) == len(liars)
    assert {esi for esi, _ in block.present_slots()} == set(present) - liars
    assert (block.symbol_count, block.deficit) == (k - len(liars), len(liars))
    assert false_symbols(block, L, digests) == []
    # Fresh repair symbols in the place of what was dropped bring the block home.
    fresh = range(k + 31, k + MAX_REPAIR_SYMBOLS)[: len(liars)]
    parity = encode_repair(padded, k, L, fresh)
    for index, esi in enumerate(fresh):
        count = block.ledger[REPAIR_COUNT]
        block.symbols[(k + count) * L : (k + count + 1) * L] = parity[index * L : (index + 1) * L]
        block.ledger[REPAIR_ESIS + count] = esi
        block.ledger[REPAIR_COUNT] += 1
    decode_source(block.symbols, k, L, block.missing_source_symbols(), block.repair_esis())
    assert block.symbols[: k * L] == padded


def test_digests_that_say_nothing_of_some_symbols_are_refused() -> None:
    block, _, digests = sample(6, [0, 2, 3, 5], [30, 7])
    with pytest.raises(MessageError, match="400 bytes of digests for 31 symbols"):
        false_symbols(block, L, digests[:400])
