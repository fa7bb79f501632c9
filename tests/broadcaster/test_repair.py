from broadcaster.repair import HOLDOFF, RepairQueue

K = 10
LIMIT = 100


def queue(source_block_length: int = K, max_repair_symbols: int = 64) -> RepairQueue:
    return RepairQueue(lambda sbn: source_block_length, max_repair_symbols)


def drain(repairs: RepairQueue, now: float) -> list[tuple[int, range]]:
    """Everything that is wanted now."""
    symbols = []
    while (next_symbols := repairs.next_symbols(now)) is not None:
        symbols.append(next_symbols)
    return symbols


def test_nothing_is_wanted_of_a_new_queue() -> None:
    repairs = queue()
    assert not repairs
    assert repairs.next_symbols(0.0) is None


def test_requests_merge_to_the_maximum() -> None:
    repairs = queue()
    for deficit in (3, 5, 2):
        repairs.request([(7, deficit)], [], LIMIT, 0.0)
    assert repairs
    assert drain(repairs, 0.0) == [(7, range(10, 15))]
    assert not repairs


def test_every_repair_symbol_is_a_fresh_one() -> None:
    repairs = queue()
    repairs.request([(7, 3)], [], LIMIT, 0.0)
    assert drain(repairs, 0.0) == [(7, range(10, 13))]
    repairs.request([(7, 2), (8, 1)], [], LIMIT, 1.0)
    assert drain(repairs, 1.0) == [(7, range(13, 15)), (8, range(10, 11))]


def test_blocks_are_mended_in_the_order_in_which_they_were_asked_for() -> None:
    repairs = queue()
    repairs.request([(9, 1), (2, 1)], [], LIMIT, 0.0)
    repairs.request([(5, 1), (9, 2)], [], LIMIT, 0.0)
    assert [sbn for sbn, _ in drain(repairs, 0.0)] == [9, 2, 5]


def test_what_is_in_flight_is_discounted_until_the_holdoff_is_over() -> None:
    repairs = queue()
    repairs.request([(7, 3)], [], LIMIT, 0.0)
    assert drain(repairs, 0.0) == [(7, range(10, 13))]
    repairs.request([(7, 3)], [], LIMIT, HOLDOFF - 0.01)
    assert not repairs
    repairs.request([(7, 5)], [], LIMIT, HOLDOFF - 0.01)
    assert drain(repairs, HOLDOFF - 0.01) == [(7, range(13, 15))]
    repairs.request([(7, 5)], [], LIMIT, 3 * HOLDOFF)
    assert drain(repairs, 3 * HOLDOFF) == [(7, range(15, 20))]


def test_holdoff_counts_from_when_the_symbols_really_left() -> None:
    repairs = queue()
    repairs.request([(7, 3)], [], LIMIT, 0.0)
    assert drain(repairs, 0.0)
    repairs.left(7, 3, 1.0)
    repairs.request([(7, 3)], [], LIMIT, 1.0 + HOLDOFF / 2)
    assert not repairs
    repairs.request([(7, 3)], [], LIMIT, 1.0 + HOLDOFF)
    assert repairs


def test_a_block_that_left_again_does_not_keep_the_others_in_flight() -> None:
    repairs = queue()
    for sbn, at in [(7, 0.0), (8, 0.1), (7, 0.2)]:
        repairs.left(sbn, 3, at)
    repairs.request([(8, 3)], [], LIMIT, 0.15 + HOLDOFF)
    assert drain(repairs, 0.15 + HOLDOFF) == [(8, range(10, 13))]


def test_source_symbols_follow_when_the_repair_symbols_are_used_up() -> None:
    repairs = queue(max_repair_symbols=8)
    sent = []
    for now in range(4):
        repairs.request([(7, 4)], [], LIMIT, float(now))
        sent += drain(repairs, float(now))
    assert sent == [(7, range(10, 14)), (7, range(14, 18)), (7, range(10)), (7, range(10))]


def test_more_than_repair_can_ever_mend_is_sent_again_at_once() -> None:
    repairs = queue(source_block_length=186)
    repairs.request([(7, 65)], [], LIMIT, 0.0)
    assert drain(repairs, 0.0) == [(7, range(186))]
    repairs.request([(8, 64)], [], LIMIT, 0.0)
    assert drain(repairs, 0.0) == [(8, range(186, 250))]


def test_used_up_symbols_of_one_block_are_not_those_of_another() -> None:
    repairs = queue(max_repair_symbols=4)
    repairs.request([(1, 4)], [], LIMIT, 0.0)
    repairs.request([(2, 4)], [], LIMIT, 0.0)
    assert drain(repairs, 0.0) == [(1, range(10, 14)), (2, range(10, 14))]


def test_absent_blocks_are_sent_whole() -> None:
    repairs = queue()
    repairs.request([], [(3, 5), (9, 9)], LIMIT, 0.0)
    assert drain(repairs, 0.0) == [(sbn, range(10)) for sbn in (3, 4, 5, 9)]


def test_an_absent_block_in_flight_is_not_sent_twice() -> None:
    repairs = queue()
    repairs.request([], [(3, 4)], LIMIT, 0.0)
    assert [sbn for sbn, _ in drain(repairs, 0.0)] == [3, 4]
    repairs.request([], [(3, 6)], LIMIT, HOLDOFF / 2)
    assert [sbn for sbn, _ in drain(repairs, HOLDOFF / 2)] == [5, 6]
    repairs.request([], [(3, 4)], LIMIT, 2 * HOLDOFF)
    assert [sbn for sbn, _ in drain(repairs, 2 * HOLDOFF)] == [3, 4]


def test_a_few_repair_symbols_in_flight_do_not_stand_for_a_whole_block() -> None:
    repairs = queue()
    repairs.request([(3, 2)], [], LIMIT, 0.0)
    assert drain(repairs, 0.0)
    repairs.request([], [(3, 3)], LIMIT, 0.1)
    assert drain(repairs, 0.1) == [(3, range(10))]


def test_a_deficit_of_a_block_that_is_sent_whole_needs_nothing_more() -> None:
    repairs = queue()
    repairs.request([], [(3, 3)], LIMIT, 0.0)
    repairs.request([(3, 9)], [], LIMIT, 0.0)
    assert drain(repairs, 0.0) == [(3, range(10))]


def test_deficits_come_before_absent_blocks() -> None:
    repairs = queue()
    repairs.request([(8, 1)], [(3, 3)], LIMIT, 0.0)
    assert [sbn for sbn, _ in drain(repairs, 0.0)] == [8, 3]


def test_blocks_that_have_not_left_are_ignored() -> None:
    repairs = queue()
    repairs.request([(5, 1), (6, 1), (1 << 31, 4)], [(4, 4), (6, (1 << 32) - 1)], 6, 0.0)
    assert drain(repairs, 0.0) == [(5, range(10, 11)), (4, range(10))]
    repairs.request([(0, 1)], [(0, 0)], 0, 0.0)
    assert not repairs


def test_a_range_that_runs_backwards_holds_nothing() -> None:
    repairs = queue()
    repairs.request([], [(5, 3)], LIMIT, 0.0)
    assert not repairs


def test_who_asks_for_the_first_blocks_for_ever_does_not_starve_the_last() -> None:
    # A seat that multicast does not reach asks for everything again and again; two blocks fit between its requests.
    repairs = queue()
    sent = []
    for cycle in range(10):
        now = cycle * 0.4
        repairs.request([], [(0, 9)], LIMIT, now)
        for _ in range(2):
            next_symbols = repairs.next_symbols(now)
            assert next_symbols is not None
            sent.append(next_symbols[0])
    assert sorted(sent) == sorted(2 * list(range(10)))


def test_huge_requests_cost_no_more_than_their_entries() -> None:
    repairs = queue()
    for _ in range(200):
        repairs.request([], [(0, (1 << 32) - 1)], 1 << 32, 0.0)
    assert repairs.next_symbols(0.0) == (0, range(10))


def test_a_receiver_with_all_repair_symbols_is_mended_soon_after_a_lost_fallback() -> None:
    repairs, held = queue(), set(range(1, 10))  # it misses symbol 0, and a burst swallows the whole fallback
    held |= set(range(10, 74))
    repairs.request([(7, 64)], [], LIMIT, 0.0)
    assert drain(repairs, 0.0)
    repairs.request([(7, 1)], [], LIMIT, 1.0)
    assert drain(repairs, 1.0) == [(7, range(10))]
    useful = set()
    for cycle in range(4):
        repairs.request([(7, 1)], [], LIMIT, 2.0 + cycle)
        useful |= {esi for _, esis in drain(repairs, 2.0 + cycle) for esi in esis} - held
    assert useful
