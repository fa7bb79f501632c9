import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcaster.inventory import Inventory
from protocol.bitmap import encode_bitmap
from protocol.errors import MessageError
from protocol.fields import MAX_BITMAP_BLOCKS
from protocol.messages import MissingBlocks
from protocol.ranges import RangeSet
from tests.sample_messages import missing_blocks

LARGE = MAX_BITMAP_BLOCKS + 1000


def part(sequence: int, first: int, count: int, *ranges: tuple[int, int]) -> MissingBlocks:
    """One part of a disk; the ranges are those of the whole object."""
    bitmap = encode_bitmap(RangeSet(ranges), first, count)
    return missing_blocks(sequence=sequence, ranges=[], block_count=count, first_sbn=first, bitmap=bitmap)


def test_a_new_one_knows_nothing() -> None:
    inventory = Inventory()
    assert not inventory.is_complete(5)
    assert inventory.missing == 0


def test_one_message_tells_all_of_a_small_disk() -> None:
    inventory = Inventory()
    assert inventory.take(missing_blocks(ranges=[(1, 3)], block_count=5), 5) == 0b110
    assert inventory.is_complete(5)
    assert inventory.missing == 0b110


def test_a_large_disk_takes_several_parts_in_any_order() -> None:
    inventory = Inventory()
    inventory.take(part(2, MAX_BITMAP_BLOCKS, 1000, (MAX_BITMAP_BLOCKS, MAX_BITMAP_BLOCKS + 2)), LARGE)
    assert not inventory.is_complete(LARGE)
    inventory.take(part(1, 0, MAX_BITMAP_BLOCKS, (7, 8)), LARGE)
    assert inventory.is_complete(LARGE)
    assert inventory.missing == 1 << 7 | 0b11 << MAX_BITMAP_BLOCKS


def test_the_newest_of_each_part_counts() -> None:
    inventory = Inventory()
    assert inventory.take(missing_blocks(sequence=5, ranges=[(0, 2)], block_count=5), 5) == 0b11
    for sequence in (4, 5):
        assert inventory.take(missing_blocks(sequence=sequence, ranges=[(0, 5)], block_count=5), 5) == 0
    assert inventory.missing == 0b11
    assert inventory.take(missing_blocks(sequence=6, ranges=[], block_count=5), 5) == 0
    assert inventory.missing == 0
    assert inventory.is_complete(5)


@pytest.mark.parametrize(
    ("first", "count", "block_count"),
    [
        (0, 4, 5),
        (0, 6, 5),
        (1, 4, 5),
        (0, MAX_BITMAP_BLOCKS, 5),
        (MAX_BITMAP_BLOCKS, 1, MAX_BITMAP_BLOCKS),
        (MAX_BITMAP_BLOCKS, 1, 5),
        (0, 1000, LARGE),
        (MAX_BITMAP_BLOCKS, MAX_BITMAP_BLOCKS, LARGE),
        (1 << 31, 1, LARGE),
        (0, 1, 0),
    ],
)
def test_what_is_no_part_of_this_disk_is_nonsense(first: int, count: int, block_count: int) -> None:
    inventory = Inventory()
    with pytest.raises(MessageError, match="are no part of"):
        inventory.take(part(1, first, count), block_count)
    assert inventory.missing == 0


def test_a_bitmap_that_is_none_is_nonsense_and_changes_nothing() -> None:
    inventory = Inventory()
    inventory.take(missing_blocks(ranges=[(0, 2)], block_count=5), 5)
    with pytest.raises(MessageError, match="bitmap"):
        inventory.take(missing_blocks(sequence=2, ranges=[], block_count=5, bitmap=b"no"), 5)
    assert inventory.missing == 0b11
    assert inventory.take(missing_blocks(sequence=2, ranges=[(4, 5)], block_count=5), 5) == 0b10000


@given(st.lists(st.tuples(st.integers(0, 6), st.sets(st.integers(0, 19)))))
def test_whatever_order_they_come_in_the_highest_sequence_is_the_truth(said: list[tuple[int, set[int]]]) -> None:
    inventory, newest = Inventory(), (-1, set[int]())
    for sequence, blocks in said:
        ranges = [(sbn, sbn + 1) for sbn in blocks]
        inventory.take(missing_blocks(sequence=sequence, ranges=ranges, block_count=20), 20)
        if sequence > newest[0]:
            newest = sequence, blocks
    assert inventory.missing == sum(1 << sbn for sbn in newest[1])
    assert inventory.is_complete(20) == bool(said)
