from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcaster.plan import SendPlan, wanted_by
from protocol.bitmap import bits_of

BLOCKS = 24
SEATS = st.lists(st.sets(st.integers(0, BLOCKS - 1)), max_size=9)


def bitmaps(seats: list[set[int]]) -> list[int]:
    return [sum(1 << sbn for sbn in seat) for seat in seats]


def members(bits: int) -> set[int]:
    return {sbn for sbn in range(bits.bit_length()) if bits >> sbn & 1}


def planned(seats: list[set[int]]) -> SendPlan:
    plan = SendPlan(BLOCKS)
    plan.plan_missing(bitmaps(seats))
    return plan


def everything(plan: SendPlan) -> list[int]:
    """The blocks in the order in which they are handed out."""
    sbns = []
    while (sbn := plan.next_block()) is not None:
        sbns.append(sbn)
    return sbns


@given(SEATS, st.integers(1, 12))
def test_wanted_by_is_a_plain_count(seats: list[set[int]], least: int) -> None:
    count = Counter(sbn for seat in seats for sbn in seat)
    assert members(wanted_by(bitmaps(seats), least)) == {sbn for sbn, seats in count.items() if seats >= least}


def test_wanted_by_counts_a_whole_room() -> None:
    seats = [{sbn for sbn in range(60) if sbn <= seat} for seat in range(60)]  # block n is wanted by 60 - n
    for least in range(1, 61):
        assert members(wanted_by(bitmaps(seats), least)) == set(range(61 - least))


@given(SEATS)
def test_every_wanted_block_is_handed_out_once_and_what_most_want_first(seats: list[set[int]]) -> None:
    plan = planned(seats)
    count = Counter(sbn for seat in seats for sbn in seat)
    common = {sbn for sbn, wanting in count.items() if 2 * wanting >= len(seats)}
    assert plan.planned_count == len(count)
    assert everything(plan) == sorted(common) + sorted(set(count) - common)
    assert plan.is_handed_out
    assert plan.is_over == (not count)


@pytest.mark.slow
@given(SEATS, st.data())
def test_the_position_never_runs_ahead_of_what_most_want(seats: list[set[int]], data: st.DataObject) -> None:
    """Whatever leaves in whichever order, and whatever turns out to be damaged."""
    plan = planned(seats)
    count = Counter(sbn for seat in seats for sbn in seat)
    common = {sbn for sbn, wanting in count.items() if 2 * wanting >= len(seats)}
    pending, departing, last = set(count), list[int](), 0
    while not plan.is_over:
        verb = data.draw(st.sampled_from(["hand out", "leave", "drop"] if departing else ["hand out"]))
        if verb == "hand out":
            sbn = plan.next_block()
            if sbn is not None:
                departing.append(sbn)
        else:
            sbn = departing.pop(data.draw(st.integers(0, len(departing) - 1)))
            pending.discard(sbn)
            plan.left(sbn) if verb == "leave" else plan.drop(sbn)
        assert {sbn for sbn in range(BLOCKS) if plan.is_pending(sbn)} == pending
        within = [each for start, stop in plan.pending_within(5, 15) for each in range(start, stop)]
        assert sorted(within) == sorted(sbn for sbn in pending if 5 <= sbn < 15)
        assert plan.position == min(pending & common, default=BLOCKS)
        assert plan.position >= last
        last = plan.position
    assert not pending


def test_of_everything() -> None:
    plan = SendPlan(4)
    assert (plan.is_over, plan.planned_count, plan.next_block(), plan.position) == (True, 0, None, 4)
    plan.plan_all()
    assert (plan.is_over, plan.is_handed_out, plan.planned_count, plan.position) == (False, False, 4, 0)
    assert everything(plan) == [0, 1, 2, 3]
    assert (plan.is_handed_out, plan.is_over, plan.position) == (True, False, 0)
    for sbn in (1, 0, 3, 2):
        plan.left(sbn)
    assert (plan.is_over, plan.departed_count, plan.position) == (True, 4, 4)


def test_what_nobody_misses_is_not_planned() -> None:
    plan = planned([set(), set()])
    assert (plan.is_over, plan.planned_count, everything(plan), plan.position) == (True, 0, [], BLOCKS)


def test_a_seat_alone_gets_what_it_misses() -> None:
    assert everything(planned([{7, 3}])) == [3, 7]


def test_half_of_the_room_is_most_of_it() -> None:
    assert everything(planned([{9}, {9, 1}, {2}, set()])) == [9, 1, 2]
    assert everything(planned([{9}, {9, 1}, {2}])) == [9, 1, 2]
    assert everything(planned([{1}, {9}])) == [1, 9]


def test_the_second_part_has_no_position_of_its_own() -> None:
    plan = planned([{1, 8}, {8}, {8}])
    assert plan.next_block() == 8
    plan.left(8)
    assert plan.position == BLOCKS
    assert plan.is_pending(1)
    assert plan.next_block() == 1
    assert plan.position == BLOCKS


def test_a_block_that_cannot_be_sent_is_not_waited_for() -> None:
    plan = SendPlan(3)
    plan.plan_all()
    plan.drop(1)
    assert plan.next_block() == 0
    assert plan.next_block() == 2
    plan.drop(2)
    plan.drop(99)
    plan.left(0)
    assert (plan.is_over, plan.departed_count) == (True, 1)


@pytest.mark.slow
def test_a_room_of_sixty_large_disks_is_planned_in_a_moment() -> None:
    block_count = 800_000  # 200 GiB
    runs = [[(start, start + 300) for start in range(seat * 1000, block_count, 9973)] for seat in range(60)]
    plan = SendPlan(block_count)
    plan.plan_missing([bits_of(each) for each in runs])
    assert plan.planned_count == len({sbn for each in runs for start, stop in each for sbn in range(start, stop)})


@given(SEATS, SEATS, st.integers(0, BLOCKS))
def test_reordered_is_what_has_yet_to_leave_and_what_most_want_comes_first(
    before: list[set[int]], after: list[set[int]], handed_out: int
) -> None:
    plan = planned(before)
    gone = [sbn for _ in range(handed_out) if (sbn := plan.next_block()) is not None]
    plan.reorder(bitmaps(after))
    rest = everything(plan)
    assert sorted(gone + rest) == sorted(set().union(*before))
    count = Counter(sbn for seat in after for sbn in seat)
    is_common = [count[sbn] >= max(1, -(-len(after) // 2)) for sbn in rest]
    assert is_common == sorted(is_common, reverse=True)
    for common in (True, False):
        part = [sbn for sbn, each in zip(rest, is_common, strict=True) if each is common]
        assert part == sorted(part)
