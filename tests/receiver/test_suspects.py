from protocol.blocks import BlockBuffer
from protocol.wire import ENCODING_SYMBOL_LENGTH as L
from receiver.events import Want
from receiver.suspects import LANE_PATIENCE, MISMATCHES_BY_GROUP, Suspects
from tests.receiver.seat import K, add_symbols


def whole(sbn: int, *repair: int) -> BlockBuffer:
    block = BlockBuffer(bytearray((K + 64) * L))
    block.reset(1, sbn, K)
    add_symbols(block.ledger, [*repair, *range(K)])
    return block


def test_a_block_that_came_wrong_is_kept_and_its_digests_are_wanted_once() -> None:
    suspects, block = Suspects(1), whole(4)
    assert suspects.mismatched(block, 0.0, has_lane=True)
    assert suspects.kept(4) is block
    assert suspects.next_want() == Want(1, 4, range(K), wants_digests=True)
    assert suspects.next_want() is None
    assert suspects.take(4) is block
    assert suspects.kept(4) is suspects.take(4) is None


def test_the_digests_of_repair_symbols_are_wanted_where_there_are_any() -> None:
    suspects = Suspects(0)
    suspects.mismatched(whole(4, K + 20), 0.0, has_lane=True)
    assert suspects.next_want() == Want(0, 4, range(K + 21), wants_digests=True)


def test_without_a_lane_nothing_is_kept_however_often() -> None:
    suspects = Suspects(1)
    for _ in range(9):
        assert not suspects.mismatched(whole(4), 0.0, has_lane=False)
    assert (suspects.next_want(), suspects.by_lane_alone) == (None, {})


def test_the_third_time_the_group_is_not_heard_any_more() -> None:
    suspects = Suspects(1)
    for _ in range(MISMATCHES_BY_GROUP - 1):
        assert suspects.mismatched(whole(4), 0.0, has_lane=True)
        suspects.take(4)
    assert 4 not in suspects.by_lane_alone
    assert not suspects.mismatched(whole(4), 0.0, has_lane=True)
    assert 4 in suspects.by_lane_alone
    suspects.stored(4)
    assert 4 not in suspects.by_lane_alone
    assert suspects.mismatched(whole(4), 9.0, has_lane=True), "it counts anew"


def test_each_block_is_counted_by_itself() -> None:
    suspects = Suspects(1)
    assert [suspects.mismatched(whole(sbn), 0.0, has_lane=True) for sbn in range(9)] == [True] * 9
    wants = [suspects.next_want() for _ in range(9)]
    assert [want.sbn for want in wants if want] == list(range(9))


def test_a_lane_that_does_not_answer_is_not_waited_for_long() -> None:
    suspects = Suspects(1)
    block, later = whole(4), whole(5)
    suspects.mismatched(block, 0.0, has_lane=True)
    suspects.mismatched(later, 1.0, has_lane=True)
    assert suspects.give_up(LANE_PATIENCE - 0.1) == []
    assert suspects.give_up(LANE_PATIENCE) == [block]
    assert (suspects.kept(4), suspects.kept(5)) == (None, later)
    assert suspects.mismatched(block, 6.0, has_lane=True)
    suspects.take(4)
    suspects.mismatched(block, 7.0, has_lane=True)
    assert 4 in suspects.by_lane_alone
    suspects.give_up(7.0 + LANE_PATIENCE - 0.1)
    assert 4 in suspects.by_lane_alone
    suspects.give_up(7.0 + LANE_PATIENCE)
    assert 4 not in suspects.by_lane_alone
