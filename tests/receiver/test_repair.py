import random
from collections.abc import Iterable

from protocol.blocks import SYMBOL_COUNT, BlockBuffer
from protocol.fields import MAX_REPAIR_ENTRIES
from protocol.ranges import RangeSet
from receiver.repair import END_HOLDOFF, HOLDOFF, QUIET, REPAIR_CYCLE, RepairTimer

K = 10


def block(sbn: int, symbol_count: int, last_arrival: float = 0.0) -> BlockBuffer:
    buffer = BlockBuffer(bytearray())
    buffer.reset(1, sbn, K)
    buffer.ledger[SYMBOL_COUNT] = symbol_count
    buffer.last_arrival = last_arrival
    return buffer


def collect(
    timer: RepairTimer,
    now: float,
    *,
    missing: Iterable[tuple[int, int]] = (),
    partial: Iterable[BlockBuffer] = (),
    excluded: Iterable[int] = (),
    limit: int = 1 << 32,
    holdoff: float = HOLDOFF,
) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    deficits, absent = timer.collect(RangeSet(missing), partial, excluded, limit, now, holdoff=holdoff)
    return list(deficits), list(absent)


def timer() -> RepairTimer:
    return RepairTimer(random.Random(1), 0.0)


def test_deficits_and_absent_ranges_are_apart() -> None:
    wants = collect(timer(), 1.0, missing=[(0, 10), (20, 21)], partial=[block(3, 4), block(9, 9)])
    assert wants == ([(3, 6), (9, 1)], [(0, 2), (4, 8), (20, 20)])


def test_blocks_from_the_limit_on_are_not_asked_for() -> None:
    wants = collect(timer(), 1.0, missing=[(0, 10)], partial=[block(3, 4), block(5, 1)], limit=5)
    assert wants == ([(3, 6)], [(0, 2), (4, 4)])
    assert collect(timer(), 1.0, missing=[(0, 10)], partial=[block(3, 4)], limit=0) == ([], [])


def test_blocks_that_are_being_stored_are_not_asked_for() -> None:
    assert collect(timer(), 1.0, missing=[(0, 4)], excluded=[0, 2, 77]) == ([], [(1, 1), (3, 3)])


def test_a_block_whose_symbols_still_arrive_is_left_alone() -> None:
    arriving = block(3, 4, last_arrival=1.0)
    assert collect(timer(), 1.0 + QUIET - 0.01, missing=[(3, 4)], partial=[arriving]) == ([], [])
    assert collect(timer(), 1.0 + QUIET + 0.01, missing=[(3, 4)], partial=[arriving]) == ([(3, 6)], [])


def test_no_block_is_asked_for_twice_within_the_holdoff() -> None:
    asking, wanted = timer(), {"missing": [(0, 10)], "partial": [block(3, 4)]}
    assert collect(asking, 1.0, **wanted) == ([(3, 6)], [(0, 2), (4, 9)])  # type: ignore[arg-type]  # values differ by key
    assert collect(asking, 0.9 + HOLDOFF, **wanted) == ([], [])  # type: ignore[arg-type]  # as above
    assert collect(asking, 1.1 + HOLDOFF, **wanted) == ([(3, 6)], [(0, 2), (4, 9)])  # type: ignore[arg-type]  # as above


def test_when_the_first_pass_is_over_it_is_asked_again_sooner() -> None:
    asking = timer()
    assert QUIET < END_HOLDOFF < HOLDOFF
    for now, expected in ((1.0, 1), (0.99 + END_HOLDOFF, 0), (1.01 + END_HOLDOFF, 1)):
        deficits, absent = collect(asking, now, missing=[(0, 10)], partial=[block(3, 4)], holdoff=END_HOLDOFF)
        assert (len(deficits), len(absent)) == (expected, 2 * expected)


def test_a_cycle_that_is_skipped_asks_for_nothing_and_notes_nothing() -> None:
    asking = timer()
    asking.skip(1.0)
    assert 1.0 + 0.8 * REPAIR_CYCLE <= asking.due_at <= 1.0 + 1.2 * REPAIR_CYCLE
    assert collect(asking, 1.01, missing=[(0, 10)], partial=[block(3, 4)]) == ([(3, 6)], [(0, 2), (4, 9)])


def test_a_block_that_starts_over_is_asked_for_at_once() -> None:
    asking = timer()
    assert collect(asking, 1.0, missing=[(3, 4)], partial=[block(3, 4)])[0] == [(3, 6)]
    asking.forget(3)
    assert collect(asking, 1.1, missing=[(3, 4)], partial=[block(3, 7)])[0] == [(3, 3)]


def test_what_was_asked_for_is_known_until_it_is_forgotten() -> None:
    asking = timer()
    collect(asking, 1.0, missing=[(0, 10)], partial=[block(3, 4), block(7, 4)], limit=5)
    assert [asking.has_asked(sbn) for sbn in (0, 3, 7)] == [False, True, False]
    asking.forget(3)
    assert not asking.has_asked(3)


def test_a_request_is_bounded_and_the_rest_follows_a_cycle_later() -> None:
    asking = timer()
    partial = [block(sbn, 1) for sbn in range(1000)]
    torn = [(2000 + 2 * number, 2001 + 2 * number) for number in range(1000)]
    first = collect(asking, 1.0, missing=[(0, 1000), *torn], partial=partial)
    assert [len(kind) for kind in first] == [MAX_REPAIR_ENTRIES, MAX_REPAIR_ENTRIES]
    second = collect(asking, 1.2, missing=[(0, 1000), *torn], partial=partial)
    assert len(second[0]) == 1000 - MAX_REPAIR_ENTRIES
    assert {sbn for sbn, _ in first[0] + second[0]} == set(range(1000))


def test_blocks_that_are_here_do_not_hide_the_absent_ones_behind_them() -> None:
    torn = [(2 * number, 2 * number + 1) for number in range(2000)]
    _, absent = collect(timer(), 1.0, missing=torn, partial=[block(2 * number, 1) for number in range(1000)])
    assert absent == [(2 * number, 2 * number) for number in range(1000, 1000 + MAX_REPAIR_ENTRIES)]


def test_what_a_request_costs_does_not_grow_with_what_is_missing() -> None:
    torn = RangeSet((2 * number, 2 * number + 1) for number in range(50_000))
    looked_at = 0

    class Counting(RangeSet):
        def ranges_within(self, first: int, limit: int) -> Iterable[tuple[int, int]]:  # type: ignore[override]  # counts
            nonlocal looked_at
            for pair in torn.ranges_within(first, limit):
                looked_at += 1
                yield pair

    timer().collect(Counting(), [], [], 1 << 32, 1.0)
    assert MAX_REPAIR_ENTRIES <= looked_at <= MAX_REPAIR_ENTRIES + 1


def test_cycles_are_jittered_so_that_a_room_does_not_ask_in_chorus() -> None:
    due = []
    for seed in range(50):
        asking = RepairTimer(random.Random(seed), 0.0)
        due.append(asking.due_at)
        collect(asking, 1.0)
        assert 1.0 + 0.8 * REPAIR_CYCLE <= asking.due_at <= 1.0 + 1.2 * REPAIR_CYCLE
    assert all(0.8 * REPAIR_CYCLE <= at <= 1.2 * REPAIR_CYCLE for at in due)
    assert max(due) - min(due) > 0.3 * REPAIR_CYCLE
