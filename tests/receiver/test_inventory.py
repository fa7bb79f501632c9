import pytest

from protocol.fields import MAX_BITMAP_BLOCKS
from receiver.inventory import INVENTORY_INTERVAL, InventoryTimer

M = MAX_BITMAP_BLOCKS


def parts(timer: InventoryTimer, now: float, *, is_awaited: bool = True) -> list[tuple[int, int]]:
    """All that is to be told now."""
    told = []
    while (part := timer.next_part(now, is_awaited=is_awaited)) is not None:
        told.append(part)
    return told


def knowing(block_count: int) -> InventoryTimer:
    timer = InventoryTimer()
    timer.known(block_count)
    return timer


def test_nothing_is_told_before_it_is_known() -> None:
    timer = InventoryTimer()
    timer.tell_again()
    assert parts(timer, 100.0) == []


@pytest.mark.parametrize("is_awaited", [True, False])
def test_it_is_told_as_soon_as_it_is_known_and_once(is_awaited: bool) -> None:
    timer = knowing(70)
    assert parts(timer, 0.0, is_awaited=is_awaited) == [(0, 70)]
    assert parts(timer, INVENTORY_INTERVAL - 0.01, is_awaited=is_awaited) == []


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
    timer = knowing(M + 1)
    for cycle in range(4):
        assert parts(timer, cycle * INVENTORY_INTERVAL) == [(0, M), (M, 1)]
        assert parts(timer, (cycle + 1) * INVENTORY_INTERVAL - 0.01) == []


def test_what_is_not_awaited_is_not_told_by_the_clock() -> None:
    timer = knowing(5)
    parts(timer, 0.0)
    assert parts(timer, 100 * INVENTORY_INTERVAL, is_awaited=False) == []


@pytest.mark.parametrize("is_awaited", [True, False])
def test_what_may_have_been_forgotten_is_told_again_from_the_first_part_on(is_awaited: bool) -> None:
    timer = knowing(M + 1)
    assert timer.next_part(0.0, is_awaited=is_awaited) == (0, M)
    timer.tell_again()
    assert parts(timer, 0.1, is_awaited=is_awaited) == [(0, M), (M, 1)]
    assert parts(timer, 0.2, is_awaited=is_awaited) == []


def test_the_interval_begins_with_the_last_part_that_was_told() -> None:
    timer = knowing(5)
    parts(timer, 0.0)
    timer.tell_again()
    parts(timer, 3.0)
    assert parts(timer, INVENTORY_INTERVAL + 2.9) == []
    assert parts(timer, INVENTORY_INTERVAL + 3.0) == [(0, 5)]
