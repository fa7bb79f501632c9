"""What a seat calls lost, late, repaired and damaged."""

import pytest

from protocol.ranges import RangeSet
from protocol.wire import INTERLEAVED_BLOCKS
from receiver.first_pass import REORDER_BLOCKS
from tests.receiver.seat import (
    DATAGRAM,
    MANIFEST_K,
    K,
    Seat,
    receiving_seat,
    verifying_seat,
)
from tests.sample_messages import status


def test_without_loss_nothing_is_lost() -> None:
    seat = receiving_seat(5)
    for sbn in range(5):
        seat.arrive(sbn, range(K))
    assert seat.lost() == (5 * K, 0)
    assert seat.session.first_pass.blocks_repaired == 0


def test_lost_symbols_are_counted_once_however_they_are_mended() -> None:
    seat = receiving_seat(30)
    seat.arrive(0, range(K - 3), now=1.0)
    later = range(2, 2 + REORDER_BLOCKS)  # go by 0, of which 3 are lost, and 1, which may never have been sent
    for sbn in later:
        seat.arrive(sbn, range(K), now=1.0)
    assert seat.lost() == (K + len(later) * K, 3)
    seat.arrive(0, range(K, K + 3), now=1.5)
    seat.arrive(1, range(K), now=1.5)
    assert seat.lost() == (K + len(later) * K, 3)
    assert seat.session.first_pass.blocks_repaired == 2


def test_blocks_side_by_side_in_any_order_are_neither_lost_nor_asked_for() -> None:
    seat = receiving_seat(16)
    for esi in range(K - 1):
        for sbn in reversed(range(8)):
            seat.arrive(sbn, [esi], now=1.0)
    assert (seat.lost(), seat.wants(1.1)) == ((0, 0), ({}, []))
    for sbn in (3, 0, 7, 1, 6, 2, 5, 4):
        seat.arrive(sbn, [K - 1], now=1.2)
    assert seat.lost() == (8 * K, 0)


def test_the_last_blocks_are_counted_when_the_sender_is_through() -> None:
    seat = receiving_seat(3)
    for sbn in range(3):
        seat.arrive(sbn, range(K - 1), now=1.0)
    seat.session.receive_message(status(2, position=3), 1.1)
    seat.wants(1.5)
    assert seat.lost() == (3 * K, 3)
    assert seat.session.next_message(9.0) is not None
    assert seat.lost() == (3 * K, 3)


def test_a_seat_that_no_datagram_of_the_disk_reaches_asks_for_all_and_calls_none_of_it_lost() -> None:
    seat = receiving_seat(4)
    seat.session.receive_message(status(2, position=4), 1.0)
    assert seat.wants(1.5) == ({}, [(0, 3)])
    # Others may have been served without a first pass of these blocks; the bytes that it received tell the rest.
    assert (seat.lost(), seat.session.report().bytes_received) == ((0, 0), MANIFEST_K * DATAGRAM)


def test_a_late_seat_has_not_lost_what_was_sent_before_it_came() -> None:
    seat = Seat()
    seat.session.receive_message(status(1, position=90), 0.0)
    seat.load_manifest(200, 0.1)
    seat.arrive(3, [K], now=0.2)  # somebody else's repair comes first
    seat.session.receive_message(status(2, position=100), 0.3)
    for sbn in range(100, 100 + INTERLEAVED_BLOCKS):
        seat.arrive(sbn, range(K // 2, K), now=0.4)  # under way since before
    first = 100 + INTERLEAVED_BLOCKS
    seat.arrive(first, range(K - 2), now=0.4)
    for sbn in range(first + 2, first + 2 + REORDER_BLOCKS):
        seat.arrive(sbn, range(K), now=0.4)
    assert seat.lost() == ((1 + REORDER_BLOCKS) * K, 2)


def test_a_late_seats_old_blocks_count_as_repaired() -> None:
    seat = Seat()
    seat.session.receive_message(status(1, position=90), 0.0)
    seat.load_manifest(200, 0.1)
    seat.session.receive_message(status(2, position=100), 0.3)
    seat.arrive(20, range(K), now=0.5)
    assert (seat.lost(), seat.session.first_pass.blocks_repaired) == ((0, 0), 1)


@pytest.mark.parametrize("again", [range(K), range(K - 2)])
def test_a_rejected_block_is_not_expected_twice(again: range) -> None:
    seat = receiving_seat(30)
    seat.arrive(0, range(K))
    (block,) = seat.decodable()
    seat.session.block_rejected(block, 1.0)
    seat.arrive(0, again)
    for sbn in range(1, 1 + REORDER_BLOCKS):
        seat.arrive(sbn, range(K))
    assert seat.lost() == ((1 + REORDER_BLOCKS) * K, 0)


def test_a_rejected_block_says_nothing_of_those_beside_it() -> None:
    seat = receiving_seat(30)
    seat.begin(range(8))
    seat.arrive(7, range(K))
    (block,) = seat.decodable()
    seat.session.block_rejected(block, 1.0)
    assert (seat.lost(), seat.session.first_pass.gone_by) == ((K, 0), 0)


def test_damage_of_the_disk_is_no_loss_of_the_network() -> None:
    seat = verifying_seat(4)
    before = seat.lost()
    seat.session.read_back_failed([2, 3], 1.0)
    seat.session.receive_message(status(2, position=4), 1.0)
    seat.wants(2.0)
    seat.arrive(2, range(K), now=2.0)
    seat.arrive(3, range(K), now=2.0)
    assert seat.lost() == before


def test_duplicates_count_as_received_bytes_only() -> None:
    seat = receiving_seat(1)
    before = seat.session.counters.bytes_received
    for _ in range(3):
        seat.arrive(0, [0])
    assert seat.session.counters.bytes_received == before + 3 * DATAGRAM


def test_a_torn_disk_costs_a_batch_no_more_than_what_it_goes_by(monkeypatch: pytest.MonkeyPatch) -> None:
    # A slow disk takes every third block: the missing ones are many ranges, and none may be looked at twice.
    seat = receiving_seat(30_000)
    looked_at = 0
    ranges_within, contains = RangeSet.ranges_within, RangeSet.__contains__

    def counting_ranges(blocks: RangeSet, first: int, limit: int) -> list[tuple[int, int]]:
        nonlocal looked_at
        found = list(ranges_within(blocks, first, limit))
        looked_at += len(found)
        return found

    def counting_lookups(blocks: RangeSet, sbn: int) -> bool:
        nonlocal looked_at
        looked_at += 1
        return contains(blocks, sbn)

    monkeypatch.setattr(RangeSet, "ranges_within", counting_ranges)
    monkeypatch.setattr(RangeSet, "__contains__", counting_lookups)
    for sbn in range(0, 3000, 3):
        seat.arrive(sbn, range(K))
        assert seat.store() == [sbn]
    assert 1000 <= looked_at < 5000
