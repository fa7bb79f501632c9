import pytest

from protocol.fields import MAX_BITMAP_BLOCKS
from protocol.ranges import RangeSet
from receiver.inventory import INVENTORY_INTERVAL, Inventory

M = MAX_BITMAP_BLOCKS


def parts(inventory: Inventory, now: float, *, is_awaited: bool = True) -> list[tuple[int, int]]:
    """All that is to be told now."""
    told = []
    while (part := inventory.next_part(now, is_awaited=is_awaited)) is not None:
        told.append(part)
    return told


def knowing(block_count: int) -> Inventory:
    inventory = Inventory()
    inventory.known(block_count)
    return inventory


def test_nothing_is_told_before_it_is_known() -> None:
    inventory = Inventory()
    inventory.tell_again()
    assert parts(inventory, 100.0) == []


@pytest.mark.parametrize("is_awaited", [True, False])
def test_it_is_told_as_soon_as_it_is_known_and_once(is_awaited: bool) -> None:
    inventory = knowing(70)
    assert parts(inventory, 0.0, is_awaited=is_awaited) == [(0, 70)]
    assert parts(inventory, INVENTORY_INTERVAL - 0.01, is_awaited=is_awaited) == []


@pytest.mark.parametrize(
    ("block_count", "expected"),
    [
        (0, []),
        (1, [(0, 1)]),
        (M, [(0, M)]),
        (M + 1, [(0, M), (M, 1)]),
        (3 * M - 1, [(0, M), (M, M), (2 * M, M - 1)]),
    ],
)
def test_a_large_disk_is_told_in_parts_that_cover_it_once(block_count: int, expected: list[tuple[int, int]]) -> None:
    assert parts(knowing(block_count), 0.0) == expected


def test_while_it_is_awaited_it_is_told_every_interval() -> None:
    inventory = knowing(M + 1)
    for cycle in range(4):
        assert parts(inventory, cycle * INVENTORY_INTERVAL) == [(0, M), (M, 1)]
        assert parts(inventory, (cycle + 1) * INVENTORY_INTERVAL - 0.01) == []


def test_what_is_not_awaited_is_not_told_by_the_clock() -> None:
    inventory = knowing(5)
    parts(inventory, 0.0)
    assert parts(inventory, 100 * INVENTORY_INTERVAL, is_awaited=False) == []


@pytest.mark.parametrize("is_awaited", [True, False])
def test_what_may_have_been_forgotten_is_told_again_from_the_first_part_on(is_awaited: bool) -> None:
    inventory = knowing(M + 1)
    assert inventory.next_part(0.0, is_awaited=is_awaited) == (0, M)
    inventory.tell_again()
    assert parts(inventory, 0.1, is_awaited=is_awaited) == [(0, M), (M, 1)]
    assert parts(inventory, 0.2, is_awaited=is_awaited) == []


def test_the_interval_begins_with_the_last_part_that_was_told() -> None:
    inventory = knowing(5)
    parts(inventory, 0.0)
    inventory.tell_again()
    parts(inventory, 3.0)
    assert parts(inventory, INVENTORY_INTERVAL + 2.9) == []
    assert parts(inventory, INVENTORY_INTERVAL + 3.0) == [(0, 5)]


def test_what_was_foreseen_narrows_what_is_told_until_it_is_known() -> None:
    inventory, everything = Inventory(), RangeSet([(0, 9)])
    assert not inventory.is_foreseen
    missing = RangeSet([(2, 4), (6, 8)])
    inventory.foreseen(missing, 9)
    missing.add(0, 9)  # what is missing goes on changing
    assert inventory.is_foreseen
    assert parts(inventory, 0.0) == [(0, 9)]
    assert list(inventory.narrowed(everything).ranges()) == [(2, 4), (6, 8)]
    assert list(inventory.narrowed(RangeSet([(3, 7)])).ranges()) == [(3, 4), (6, 7)]
    inventory.known(9)
    assert not inventory.is_foreseen
    assert inventory.narrowed(everything) is everything
