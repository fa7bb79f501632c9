from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcaster.encoder import SealedSymbols
from broadcaster.interleaving import Batch, Interleaver
from broadcaster.transmission import Transmission
from protocol.errors import SessionStateError
from protocol.link.multicast import MAX_BATCH_DATAGRAMS
from protocol.wire import INTERLEAVED_BLOCKS

LENGTH = 8
"""bytes of a datagram: sbn and esi, four bytes each; a short one lacks the last byte"""

BLOCK = 186
"""datagrams of a raw chunk"""


def sealed(sbn: int, datagram_count: int, *, is_short: bool = True) -> SealedSymbols:
    data = b"".join(sbn.to_bytes(4, "big") + esi.to_bytes(4, "little") for esi in range(datagram_count))
    transmission = Transmission(1, sbn, datagram_count, range(datagram_count), is_first_pass=True)
    return SealedSymbols(transmission, memoryview(data)[: len(data) - is_short], LENGTH)


def send_all(blocks: Iterable[SealedSymbols], limit: int = MAX_BATCH_DATAGRAMS) -> Iterator[Batch]:
    """As the transmitter does with a full queue."""
    waiting, interleaver = iter(blocks), Interleaver()
    while True:
        while interleaver.has_room and (block := next(waiting, None)) is not None:
            interleaver.put(block)
        if (batch := interleaver.next_batch(limit)) is None:
            return
        yield batch


def datagrams_of(batch: Batch) -> Iterator[tuple[int, int]]:
    """sbn and esi of each."""
    data = b"".join(batch.parts)
    for start in range(0, len(data), LENGTH):
        yield int.from_bytes(data[start : start + 4], "big"), int.from_bytes(data[start + 4 : start + 8], "little")


@given(
    shapes=st.lists(st.tuples(st.integers(1, 191), st.booleans()), max_size=30),
    limit=st.integers(0, 60),
    one_at_a_time=st.booleans(),
)
def test_every_datagram_leaves_once_and_in_the_order_of_its_block(
    shapes: list[tuple[int, bool]], limit: int, one_at_a_time: bool
) -> None:
    blocks = [sealed(sbn, count, is_short=is_short) for sbn, (count, is_short) in enumerate(shapes)]
    waiting, interleaver = list(blocks), Interleaver()
    seen: list[tuple[int, int]] = []
    finished: list[Transmission] = []
    while waiting or interleaver:
        while waiting and interleaver.has_room:
            interleaver.put(waiting.pop(0))
            if one_at_a_time:
                break
        batch = interleaver.next_batch(limit)
        assert batch is not None
        assert 1 <= batch.datagram_count <= max(1, min(limit, MAX_BATCH_DATAGRAMS))
        assert batch.datagram_length == LENGTH
        assert batch.byte_count == sum(map(len, batch.parts))
        # Only the very last datagram of a batch may be short.
        assert batch.byte_count > (batch.datagram_count - 1) * LENGTH
        assert all(len(part) % LENGTH == 0 for part in batch.parts[:-1])
        begun = {sbn for sbn, _ in datagrams_of(batch)} | {sbn for sbn, _ in seen}
        seen += datagrams_of(batch)
        finished += batch.finished
        left = begun - {transmission.sbn for transmission in finished}
        assert not left or max(begun) - min(left) < INTERLEAVED_BLOCKS
    assert interleaver.next_batch(limit) is None
    assert Counter(finished) == Counter(block.transmission for block in blocks)
    for sbn, (count, _) in enumerate(shapes):
        assert [esi for each, esi in seen if each == sbn] == list(range(count))


@pytest.mark.parametrize("limit", [1, 8, 17, MAX_BATCH_DATAGRAMS])
def test_a_burst_of_one_batch_costs_each_block_a_few_symbols(limit: int) -> None:
    stream = [
        sbn for batch in send_all((sealed(sbn, BLOCK) for sbn in range(60)), limit) for sbn, _ in datagrams_of(batch)
    ]
    steady = stream[: len(stream) - INTERLEAVED_BLOCKS * BLOCK]
    worst = [
        max(Counter(steady[start : start + MAX_BATCH_DATAGRAMS]).values())
        for start in range(len(steady) - MAX_BATCH_DATAGRAMS)
    ]
    assert max(worst) <= 12
    assert sum(each > 9 for each in worst) < 0.05 * len(worst)


@pytest.mark.parametrize(("is_short", "most"), [(True, 1), (False, 8)])
def test_batches_stay_full_and_blocks_end_one_after_the_other(is_short: bool, most: int) -> None:
    batches = list(send_all(sealed(sbn, BLOCK, is_short=is_short) for sbn in range(200)))
    assert sum(batch.datagram_count for batch in batches) / len(batches) > 43.8
    assert max(len(batch.finished) for batch in batches) <= most
    ends = list(accumulate(len(batch.finished) for batch in batches))
    gaps = [ends.count(count) for count in range(50, 150)]
    assert max(gaps) <= 8


def test_short_blocks_end_a_batch_each() -> None:
    sizes = [batch.datagram_count for batch in send_all(sealed(sbn, 1 + sbn % 32) for sbn in range(320))]
    assert len(sizes) == 320
    assert max(sizes) <= MAX_BATCH_DATAGRAMS


def test_whole_datagrams_of_short_blocks_share_a_batch() -> None:
    sizes = [batch.datagram_count for batch in send_all(sealed(sbn, 1, is_short=False) for sbn in range(80))]
    assert sizes == [INTERLEAVED_BLOCKS] * 10


def test_no_block_is_begun_while_one_is_open_that_was_begun_long_before() -> None:
    interleaver = Interleaver()
    assert not interleaver
    interleaver.put(sealed(0, 191))
    for sbn in range(1, INTERLEAVED_BLOCKS):
        assert interleaver.has_room
        interleaver.put(sealed(sbn, 1))
    assert not interleaver.has_room
    with pytest.raises(SessionStateError, match="no room"):
        interleaver.put(sealed(9, 1))


def test_misuse_is_refused() -> None:
    interleaver = Interleaver()
    with pytest.raises(SessionStateError, match="nothing to send"):
        interleaver.put(SealedSymbols(Transmission(1, 0, 1, range(0), is_first_pass=True), memoryview(b""), LENGTH))
    interleaver.put(sealed(0, 2))
    with pytest.raises(SessionStateError, match="beside others"):
        interleaver.put(SealedSymbols(Transmission(1, 1, 1, range(1), is_first_pass=True), memoryview(b"abc"), 3))
