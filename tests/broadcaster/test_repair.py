from collections.abc import Sequence

import pytest

from broadcaster.plan import SendPlan
from broadcaster.repair import END_HOLDOFF, HOLDOFF, SPARE_SYMBOLS, RepairQueue

K = 10
GONE_BY = SendPlan(1 << 20)
GONE_BY.plan_missing([1 << 1000])
"""The first pass has gone by all blocks but one that nobody asks for."""

OVER = SendPlan(1 << 20)
"""The first pass is over."""


def queue(source_block_length: int = K, max_repair_symbols: int = 64) -> RepairQueue:
    return RepairQueue(lambda sbn: source_block_length, max_repair_symbols)


def pass_at(first: int, block_count: int = 100) -> SendPlan:
    """A first pass over everything of which the blocks below ``first`` have left."""
    plan = SendPlan(block_count)
    plan.plan_all()
    for sbn in range(first):
        assert plan.next_block() == sbn
        plan.left(sbn)
    return plan


def drain(
    repairs: RepairQueue, now: float, *, in_first_pass: tuple[bool, ...] = (True, False)
) -> list[tuple[int, Sequence[int]]]:
    """Everything that is wanted now, and leaves at once: as while the pass runs, then what waits for its end."""
    symbols = []
    for is_running in in_first_pass:
        while (next_symbols := repairs.next_symbols(in_first_pass=is_running)) is not None:
            symbols.append(next_symbols)
            repairs.left(next_symbols[0], len(next_symbols[1]), now)
    return symbols


def test_nothing_is_wanted_of_a_new_queue() -> None:
    repairs = queue()
    assert not repairs
    assert repairs.next_symbols(in_first_pass=False) is None


def test_requests_merge_to_the_maximum() -> None:
    repairs = queue()
    for deficit in (3, 5, 2):
        repairs.request([(7, deficit)], [], GONE_BY, 0.0)
    assert repairs
    assert drain(repairs, 0.0) == [(7, range(10, 15))]
    assert not repairs


def test_every_repair_symbol_is_a_fresh_one() -> None:
    repairs = queue()
    repairs.request([(7, 3)], [], GONE_BY, 0.0)
    assert drain(repairs, 0.0) == [(7, range(10, 13))]
    repairs.request([(7, 2), (8, 1)], [], GONE_BY, 1.0)
    assert drain(repairs, 1.0) == [(7, range(13, 15)), (8, range(10, 11))]


def test_blocks_are_mended_in_the_order_in_which_they_were_asked_for() -> None:
    repairs = queue()
    repairs.request([(9, 1), (2, 1)], [], GONE_BY, 0.0)
    repairs.request([(5, 1), (9, 2)], [], GONE_BY, 0.0)
    assert [sbn for sbn, _ in drain(repairs, 0.0)] == [9, 2, 5]


def test_what_is_in_flight_is_discounted_until_the_holdoff_is_over() -> None:
    repairs = queue()
    repairs.request([(7, 3)], [], GONE_BY, 0.0)
    assert drain(repairs, 0.0) == [(7, range(10, 13))]
    repairs.request([(7, 3)], [], GONE_BY, HOLDOFF - 0.01)
    assert not repairs
    repairs.request([(7, 5)], [], GONE_BY, HOLDOFF - 0.01)
    assert drain(repairs, HOLDOFF - 0.01) == [(7, range(13, 15))]
    repairs.request([(7, 5)], [], GONE_BY, 3 * HOLDOFF)
    assert drain(repairs, 3 * HOLDOFF) == [(7, range(15, 20))]


def test_holdoff_counts_from_when_the_symbols_really_left() -> None:
    repairs = queue()
    repairs.request([(7, 3)], [], GONE_BY, 0.0)
    assert repairs.next_symbols(in_first_pass=True) == (7, range(10, 13))
    repairs.request([(7, 3)], [], GONE_BY, 0.9)  # it waits in the transmit queue for longer than any hold-off
    assert not repairs
    repairs.left(7, 3, 1.0)
    repairs.request([(7, 3)], [], GONE_BY, 1.0 + HOLDOFF / 2)
    assert not repairs
    repairs.request([(7, 3)], [], GONE_BY, 1.0 + HOLDOFF)
    assert repairs


def test_a_block_that_left_again_does_not_keep_the_others_in_flight() -> None:
    repairs = queue()
    for sbn, at in [(7, 0.0), (8, 0.1), (7, 0.2)]:
        repairs.left(sbn, 3, at)
    repairs.request([(8, 3)], [], GONE_BY, 0.15 + HOLDOFF)
    assert drain(repairs, 0.15 + HOLDOFF) == [(8, range(10, 13))]


def test_source_symbols_follow_when_the_repair_symbols_are_used_up() -> None:
    repairs = queue(max_repair_symbols=8)
    sent = []
    for now in range(4):
        repairs.request([(7, 4)], [], GONE_BY, float(now), receiver_id="1", missing_symbols={7: 0b11110})
        sent += drain(repairs, float(now))
    assert sent == [(7, range(10, 14)), (7, range(14, 18)), (7, (1, 2, 3, 4)), (7, (1, 2, 3, 4))]


def test_more_than_repair_can_ever_mend_is_made_up_with_source_symbols_at_once() -> None:
    repairs, lacks = queue(source_block_length=186), (1 << 70) - 1
    repairs.request([(7, 70)], [], GONE_BY, 0.0, receiver_id="1", missing_symbols={7: lacks})
    ((sbn, esis),) = drain(repairs, 0.0)
    assert (sbn, list(esis[:64])) == (7, list(range(186, 250)))
    assert len(set(esis[64:]) & set(range(70))) == len(esis[64:]) == 6
    repairs.request([(8, 64)], [], GONE_BY, 0.0)
    assert drain(repairs, 0.0) == [(8, range(186, 250))]


def test_used_up_symbols_of_one_block_are_not_those_of_another() -> None:
    repairs = queue(max_repair_symbols=4)
    repairs.request([(1, 4)], [], GONE_BY, 0.0)
    repairs.request([(2, 4)], [], GONE_BY, 0.0)
    assert drain(repairs, 0.0) == [(1, range(10, 14)), (2, range(10, 14))]


def test_absent_blocks_are_sent_whole() -> None:
    repairs = queue()
    repairs.request([], [(3, 5), (9, 9)], GONE_BY, 0.0)
    assert drain(repairs, 0.0) == [(sbn, range(10)) for sbn in (3, 4, 5, 9)]


def test_an_absent_block_in_flight_is_not_sent_twice() -> None:
    repairs = queue()
    repairs.request([], [(3, 4)], GONE_BY, 0.0)
    assert [sbn for sbn, _ in drain(repairs, 0.0)] == [3, 4]
    repairs.request([], [(3, 6)], GONE_BY, HOLDOFF / 2)
    assert [sbn for sbn, _ in drain(repairs, HOLDOFF / 2)] == [5, 6]
    repairs.request([], [(3, 4)], GONE_BY, 2 * HOLDOFF)
    assert [sbn for sbn, _ in drain(repairs, 2 * HOLDOFF)] == [3, 4]


def test_a_few_repair_symbols_in_flight_do_not_stand_for_a_whole_block() -> None:
    repairs = queue()
    repairs.request([(3, 2)], [], GONE_BY, 0.0)
    assert drain(repairs, 0.0)
    repairs.request([], [(3, 3)], GONE_BY, 0.1)
    assert drain(repairs, 0.1) == [(3, range(10))]


def test_a_deficit_of_a_block_that_is_sent_whole_needs_nothing_more() -> None:
    repairs = queue()
    repairs.request([], [(3, 3)], GONE_BY, 0.0)
    repairs.request([(3, 9)], [], GONE_BY, 0.0)
    assert drain(repairs, 0.0) == [(3, range(10))]


def test_deficits_come_before_absent_blocks() -> None:
    repairs = queue()
    repairs.request([(8, 1)], [(3, 3)], GONE_BY, 0.0)
    assert [sbn for sbn, _ in drain(repairs, 0.0, in_first_pass=(False,))] == [8, 3]


def test_blocks_that_have_not_left_are_ignored() -> None:
    repairs, plan = queue(), pass_at(6)
    repairs.request([(5, 1), (6, 1), (99, 4)], [(4, 4), (6, 99)], plan, 0.0)
    assert drain(repairs, 0.0) == [(5, range(10, 11)), (4, range(10))]
    repairs.request([(0, 1)], [(0, 0)], pass_at(0), 0.0)
    assert not repairs


def test_blocks_that_are_leaving_have_not_left() -> None:
    repairs, plan = queue(), pass_at(6)
    assert plan.next_block() == 6
    repairs.request([(6, 1)], [(6, 6)], plan, 0.0)
    assert not repairs
    plan.left(6)
    repairs.request([(6, 1)], [], plan, 0.0)
    assert repairs


def test_blocks_that_are_not_in_the_pass_at_all_are_sent_to_who_wants_them() -> None:
    repairs, plan = queue(), SendPlan(100)
    plan.plan_missing([1 << 7])
    repairs.request([], [(6, 8)], plan, 0.0)
    assert [sbn for sbn, _ in drain(repairs, 0.0)] == [6, 8]


def test_a_range_that_runs_backwards_holds_nothing() -> None:
    repairs = queue()
    repairs.request([], [(5, 3)], GONE_BY, 0.0)
    assert not repairs


def test_who_asks_for_the_first_blocks_for_ever_does_not_starve_the_last() -> None:
    # A seat that multicast does not reach asks for everything again and again; two blocks fit between its requests.
    repairs = queue()
    sent = []
    for cycle in range(10):
        now = cycle * 0.4
        repairs.request([], [(0, 9)], GONE_BY, now)
        for _ in range(2):
            next_symbols = repairs.next_symbols(in_first_pass=False)
            assert next_symbols is not None
            repairs.left(next_symbols[0], len(next_symbols[1]), now)
            sent.append(next_symbols[0])
    assert sorted(sent) == sorted(2 * list(range(10)))


def test_huge_requests_cost_no_more_than_their_entries() -> None:
    repairs = queue()
    for _ in range(200):
        repairs.request([], [(0, (1 << 32) - 1)], GONE_BY, 0.0)
    assert repairs.next_symbols(in_first_pass=False) == (0, range(10))


def test_a_receiver_with_all_repair_symbols_is_mended_soon_after_a_lost_fallback() -> None:
    repairs = queue()  # it misses symbol 0, and a burst swallows what is sent for it
    repairs.request([(7, 64)], [], GONE_BY, 0.0)
    assert drain(repairs, 0.0)
    for cycle in range(1, 5):
        repairs.request([(7, 1)], [], GONE_BY, float(cycle), receiver_id="1", missing_symbols={7: 0b1})
        assert drain(repairs, float(cycle)) == [(7, (0,))]


def test_while_the_pass_runs_only_blocks_that_arrived_in_part_are_mended() -> None:
    repairs = queue()
    repairs.request([(8, 1)], [(3, 4)], GONE_BY, 0.0)
    assert drain(repairs, 0.0, in_first_pass=(True,)) == [(8, range(10, 11))]
    assert repairs
    assert [sbn for sbn, _ in drain(repairs, 0.0)] == [3, 4]


def test_what_was_handed_out_and_has_not_left_is_discounted() -> None:
    repairs = queue()
    repairs.request([(7, 3)], [(9, 9)], GONE_BY, 0.0)
    assert repairs.next_symbols(in_first_pass=True) == (7, range(10, 13))
    assert repairs.next_symbols(in_first_pass=False) == (9, range(10))
    repairs.request([(7, 3)], [(9, 9)], GONE_BY, 10.0)
    assert not repairs
    repairs.request([(7, 4)], [], GONE_BY, 10.0)
    assert repairs.next_symbols(in_first_pass=True) == (7, range(13, 14))
    repairs.left(7, 3, 10.0)
    repairs.request([(7, 4)], [], GONE_BY, 10.0)  # three have left, one is yet to leave
    assert not repairs
    repairs.left(7, 1, 10.0)
    repairs.left(9, 10, 10.0)
    repairs.request([(7, 4)], [(9, 9)], GONE_BY, 10.0 + HOLDOFF)
    assert [sbn for sbn, _ in drain(repairs, 11.0)] == [7, 9]


def test_deficits_are_forgotten_and_whole_blocks_are_not() -> None:
    repairs = queue()
    repairs.request([(7, 3)], [(9, 9)], GONE_BY, 0.0)
    repairs.forget_deficits()
    assert drain(repairs, 0.0) == [(9, range(10))]
    repairs.request([(7, 3)], [], GONE_BY, 1.0)
    assert drain(repairs, 1.0) == [(7, range(10, 13))]


@pytest.mark.parametrize("is_handed_out", [False, True])
def test_a_block_that_cannot_be_sent_is_asked_for_in_vain(is_handed_out: bool) -> None:
    repairs = queue()
    repairs.request([(7, 3)], [(9, 11)], GONE_BY, 0.0)
    if is_handed_out:
        assert repairs.next_symbols(in_first_pass=True) == (7, range(10, 13))
    repairs.withdraw(7)
    repairs.withdraw(10)
    assert [sbn for sbn, _ in drain(repairs, 0.0)] == [9, 11]
    repairs.request([(7, 3), (10, 1)], [(7, 7), (10, 10)], GONE_BY, 5.0)
    assert not repairs


# --- the end of the pass -------------------------------------------------------------------------------------------


def test_after_the_pass_one_more_than_was_asked_for_saves_a_round() -> None:
    repairs = queue()
    repairs.request([(7, 3)], [], OVER, 0.0)
    assert drain(repairs, 0.0, in_first_pass=(False,)) == [(7, range(10, 13 + SPARE_SYMBOLS))]
    repairs.request([(8, 64)], [], OVER, 0.0)
    assert drain(repairs, 0.0, in_first_pass=(False,)) == [(8, range(10, 74))]  # there are no more


def test_after_the_pass_the_holdoff_is_shorter() -> None:
    for plan, holdoff in ((GONE_BY, HOLDOFF), (OVER, END_HOLDOFF)):
        repairs = queue()
        repairs.left(7, 3, 1.0)
        repairs.request([(7, 3)], [], plan, 1.0 + holdoff * 0.9)
        assert not repairs
        repairs.request([(7, 3)], [], plan, 1.0 + holdoff * 1.1)
        assert repairs


# --- which source symbols ------------------------------------------------------------------------------------------


def used_up(fresh: int = 0) -> RepairQueue:
    """A queue that has but ``fresh`` repair symbols left for block 7."""
    repairs = queue(max_repair_symbols=5)
    repairs.request([(7, 5 - fresh)], [], GONE_BY, -100.0)
    assert drain(repairs, -100.0) == [(7, range(10, 15 - fresh))]
    return repairs


def test_when_everybody_says_which_symbols_they_lack_only_those_are_sent_again() -> None:
    repairs = used_up()
    repairs.request([(7, 1)], [], GONE_BY, 0.0, receiver_id="1", missing_symbols={7: 0b11})
    repairs.request([(7, 1)], [], GONE_BY, 0.0, receiver_id="2", missing_symbols={7: 0b110})
    assert drain(repairs, 0.0) == [(7, (1,))]


def test_what_fresh_symbols_are_left_go_first() -> None:
    repairs = used_up(fresh=2)
    repairs.request([(7, 3)], [], GONE_BY, 0.0, receiver_id="3", missing_symbols={7: 0b1110000})
    ((sbn, esis),) = drain(repairs, 0.0)
    assert (sbn, list(esis[:2])) == (7, [13, 14])
    assert len(esis) == 3
    assert esis[2] in (4, 5, 6)


def test_who_has_not_said_which_ones_is_heard_when_it_does() -> None:
    repairs = used_up()
    repairs.request([(7, 2)], [], GONE_BY, 0.0, receiver_id="4", missing_symbols={7: 0b11})
    repairs.request([(7, 5)], [], GONE_BY, 0.0, receiver_id="5")
    assert drain(repairs, 0.0) == [(7, (0, 1))]
    repairs.request([(7, 5)], [], GONE_BY, 1.0, receiver_id="5")
    assert drain(repairs, 1.0) == []
    repairs.request([(7, 1)], [], GONE_BY, 2.0, receiver_id="5", missing_symbols={7: 1 << 9})
    assert drain(repairs, 2.0) == [(7, (9,))]


def test_what_a_receiver_says_last_of_a_block_counts() -> None:
    repairs = used_up()
    repairs.request([(7, 2)], [], GONE_BY, 0.0, receiver_id="4", missing_symbols={7: 0b11})
    repairs.request([(7, 1)], [], GONE_BY, 0.0, receiver_id="4", missing_symbols={7: 0b10})
    assert drain(repairs, 0.0) == [(7, (1,))]


def test_the_last_source_symbol_leaves_last() -> None:
    repairs = used_up(fresh=1)
    repairs.request([(7, 3)], [], GONE_BY, 0.0, receiver_id="5", missing_symbols={7: 1 << 9 | 1 << 2 | 1 << 5})
    ((_, esis),) = drain(repairs, 0.0)
    assert list(esis[1:]) == sorted(esis[1:])
