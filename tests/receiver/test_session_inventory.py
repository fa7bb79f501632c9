"""What a receiver's session says of what its disk lacks, and what it makes of a broker that is away."""

import pytest

from protocol.bitmap import decode_bitmap, ranges_of
from protocol.messages import MissingBlocks, ReceiverState, SessionPhase
from receiver import inventory
from receiver.events import ObjectCompleted, SessionLeft
from receiver.inventory import INVENTORY_INTERVAL
from receiver.lease import OUTAGE_LEASE, SENDER_LEASE
from receiver.speech import REPORT_INTERVAL
from tests.receiver.seat import ROOM_FOR_ONE_BLOCK, K, Seat, receiving_seat
from tests.sample_messages import status

GENERATION = 1 << 32


def told(messages: list[MissingBlocks]) -> list[tuple[int, int]]:
    """The (start, stop) ranges that these messages name."""
    return [
        (message.first_sbn + start, message.first_sbn + stop)
        for message in messages
        for start, stop in ranges_of(decode_bitmap(message.bitmap, message.block_count)).ranges()
    ]


def telling_seat(block_count: int = 30) -> Seat:
    """One that has told what it lacks, while the first pass of the disk goes on."""
    seat = receiving_seat(block_count)
    seat.session.receive_message(status(2), 0.0)
    assert len(seat.inventories(0.0)) == 1
    return seat


# --- what the disk holds -------------------------------------------------------------------------------------------


def test_what_is_found_is_neither_missing_nor_wanted_and_gives_its_buffer_back() -> None:
    seat = receiving_seat(10, has_scanned=False)
    seat.begin([2, 3])
    seat.session.blocks_found([2, 7], 1.0)
    assert (seat.session.blocks_missing, seat.session.backlog_bytes) == (8, ROOM_FOR_ONE_BLOCK)
    assert not seat.arrive(2, [1])
    assert not seat.arrive(7, [1])


def test_a_disk_that_holds_everything_is_complete_before_its_scan_is_over() -> None:
    seat = receiving_seat(3, has_scanned=False)
    seat.session.blocks_found([0, 1], 1.0)
    assert seat.session.state is ReceiverState.RECEIVING
    seat.session.blocks_found([2], 1.0)
    assert (seat.session.state, seat.events()) == (ReceiverState.VERIFYING, [ObjectCompleted(1)])
    seat.session.blocks_found([1], 1.0)
    seat.session.scan_ended(1.0)
    assert (seat.session.state, seat.events()) == (ReceiverState.VERIFYING, [])


def test_the_last_block_may_be_found_while_others_are_stored() -> None:
    seat = receiving_seat(2, has_scanned=False)
    seat.arrive(0, range(K))
    (block,) = seat.decodable()
    seat.session.blocks_found([0, 1], 1.0)
    assert seat.session.state is ReceiverState.RECEIVING
    seat.session.block_stored(block, 2.0)
    assert seat.events() == [ObjectCompleted(1)]


def test_a_seat_that_failed_is_not_completed_by_what_is_found() -> None:
    seat = receiving_seat(1, has_scanned=False)
    seat.session.failed("sda: write failed", 1.0)
    seat.session.blocks_found([0], 1.0)
    assert (seat.session.state, seat.events()) == (ReceiverState.FAILED, [])


# --- when it is told -----------------------------------------------------------------------------------------------


def test_nothing_is_told_before_the_scan_is_over_and_the_end_of_it_is_reported_at_once() -> None:
    seat = receiving_seat(10, has_scanned=False)
    assert seat.inventories(2 * INVENTORY_INTERVAL) == []
    seat.session.scan_ended(2 * INVENTORY_INTERVAL + 0.01)
    kinds = [type(message).__name__ for message in seat.messages(2 * INVENTORY_INTERVAL + 0.01)]
    assert kinds == ["ReceiverReport", "MissingBlocks"]
    assert seat.session.report().has_scanned


def test_told_is_what_is_missing_and_not_only_waiting_for_the_disk() -> None:
    seat = receiving_seat(30, has_scanned=False)
    seat.session.blocks_found([0, 1, 2, 20], 1.0)
    seat.arrive(5, range(K))
    seat.arrive(9, range(K))
    stored, stuck = seat.decodable()
    seat.session.block_stored(stored, 1.0)
    seat.begin([12])
    seat.session.scan_ended(1.0)
    (message,) = seat.inventories(1.0)
    assert (message.first_sbn, message.block_count) == (0, 30)
    assert told([message]) == [(3, 5), (6, 9), (10, 20), (21, 30)]
    assert stuck.sbn == 9


def test_a_disk_that_lacks_nothing_is_told_too() -> None:
    seat = receiving_seat(3, has_scanned=False)
    seat.session.blocks_found([0, 1, 2], 1.0)
    seat.session.scan_ended(1.0)
    messages = seat.inventories(1.0)
    assert (len(messages), told(messages)) == (1, [])


def test_a_disk_of_many_blocks_is_told_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inventory, "MAX_BITMAP_BLOCKS", 16)
    seat = receiving_seat(42, has_scanned=False)
    seat.session.blocks_found([3, 16, 41], 1.0)
    seat.session.scan_ended(1.0)
    parts = seat.inventories(1.0)
    assert [(part.first_sbn, part.block_count) for part in parts] == [(0, 16), (16, 16), (32, 10)]
    assert len({part.sequence for part in parts}) == 3
    assert told(parts) == [(0, 3), (4, 16), (17, 32), (32, 41)]


@pytest.mark.parametrize("phase", [SessionPhase.WAITING, SessionPhase.MANIFEST])
def test_it_is_told_again_while_the_first_pass_is_planned(phase: SessionPhase) -> None:
    seat = receiving_seat(10)
    seat.session.receive_message(status(2, phase=phase), 0.0)
    told_at = [tick for tick in range(14) if seat.inventories(float(tick))]
    assert told_at == [0, 5, 10]


def test_it_is_told_again_while_nothing_was_heard_of_the_broadcaster() -> None:
    seat = Seat()
    seat.load_manifest(10)
    seat.session.scan_ended(0.0)
    assert [tick for tick in range(7) if seat.inventories(float(tick))] == [0, 5]


def test_it_is_not_told_again_once_the_disk_is_sent() -> None:
    seat = telling_seat()
    assert [tick for tick in range(1, 14) if seat.inventories(float(tick))] == []


def test_a_seat_that_is_done_is_not_told_of_again_and_again() -> None:
    seat = receiving_seat(10)
    assert len(seat.inventories(0.0)) == 1
    seat.session.failed("sda: write failed", 0.1)
    assert [tick for tick in range(14) if seat.inventories(float(tick))] == []


def test_told_again_is_what_is_missing_by_then() -> None:
    seat = receiving_seat(10)
    assert told(seat.inventories(0.0)) == [(0, 10)]
    seat.arrive(4, range(K))
    seat.store()
    assert told(seat.inventories(INVENTORY_INTERVAL)) == [(0, 4), (5, 10)]


def test_a_broadcaster_that_was_started_again_is_told_again() -> None:
    seat = telling_seat()
    seat.session.receive_message(status(3), 1.0)
    seat.session.receive_message(status(GENERATION - 1), 1.0)
    assert seat.inventories(1.0) == []
    seat.session.receive_message(status(GENERATION), 2.0)
    assert told(seat.inventories(2.0)) == [(0, 30)]
    seat.session.receive_message(status(GENERATION + 1), 2.0)
    seat.session.receive_message(status(4), 2.0)  # of the one before, late
    assert seat.inventories(2.1) == []
    seat.session.receive_message(status(5 * GENERATION), 3.0)
    assert told(seat.inventories(3.0)) == [(0, 30)]


def test_a_seat_that_comes_to_a_broadcaster_that_was_started_again_tells_once() -> None:
    seat = Seat()
    seat.session.receive_message(status(3 * GENERATION + 7), 0.0)
    seat.load_manifest(10)
    seat.session.scan_ended(0.0)
    assert len(seat.inventories(0.0)) == 1
    seat.session.receive_message(status(3 * GENERATION + 8), 0.1)
    assert seat.inventories(0.2) == []


# --- a broker that is away -----------------------------------------------------------------------------------------


def test_a_broker_that_is_back_is_told_everything_again() -> None:
    seat = telling_seat()
    seat.messages(0.0)
    seat.session.control_lost(0.1)
    seat.session.control_restored(0.2)
    kinds = [type(message).__name__ for message in seat.messages(0.2)]
    assert kinds[0] == "ReceiverReport"  # first: what a seat lacks is not heard before the seat is known
    assert "MissingBlocks" in kinds


def test_a_broker_that_is_back_before_the_scan_is_over_is_told_nothing_of_the_disk() -> None:
    seat = receiving_seat(10, has_scanned=False)
    seat.session.control_lost(0.1)
    seat.session.control_restored(0.2)
    assert seat.inventories(0.2) == []


def test_a_silent_sender_is_left_after_its_lease() -> None:
    seat = receiving_seat(3)
    seat.messages(SENDER_LEASE - 0.01)
    assert (seat.session.has_lost_sender, seat.events()) == (False, [])
    assert seat.messages(SENDER_LEASE) == []
    assert (seat.session.has_lost_sender, seat.events()) == (True, [SessionLeft(is_acknowledged=False)])
    assert seat.messages(SENDER_LEASE + 1) == []
    assert seat.events() == []


@pytest.mark.parametrize("what", ["status", "old status", "disk", "manifest"])
def test_any_word_of_the_sender_renews_its_lease(what: str) -> None:
    seat = Seat() if what == "manifest" else receiving_seat(3)
    seat.session.receive_message(status(9), 0.0)
    match what:
        case "status":
            seat.session.receive_message(status(10), 10.0)
        case "old status":
            seat.session.receive_message(status(8), 10.0)
        case "disk":
            seat.arrive(0, [0], now=10.0)
        case "manifest":
            seat.arrive(0, [0], toi=0, k=2, now=10.0)
    seat.messages(10.0 + SENDER_LEASE - 0.01)
    assert not seat.session.has_lost_sender
    seat.messages(10.0 + SENDER_LEASE)
    assert seat.session.has_lost_sender


def test_what_comes_by_the_catch_up_lane_is_no_word_of_the_sender() -> None:
    seat = receiving_seat(3)
    seat.session.receive_message(status(2, catch_up=(seat.session.receiver_id,), position=3), 0.0)
    want = seat.session.next_want(10.0)
    assert want is not None
    assert seat.fetch(want, now=10.0)
    seat.messages(SENDER_LEASE)
    assert seat.session.has_lost_sender


def test_a_silence_that_the_broker_explains_means_nothing() -> None:
    seat = receiving_seat(3)
    seat.session.control_lost(1.0)
    for tick in range(7):
        assert seat.messages(tick * SENDER_LEASE)
    assert not seat.session.has_lost_sender
    back = 7 * SENDER_LEASE
    seat.session.control_restored(back)
    assert seat.messages(back + SENDER_LEASE - 0.01)
    assert not seat.session.has_lost_sender
    seat.messages(back + SENDER_LEASE)
    assert seat.session.has_lost_sender


def test_a_broker_that_never_comes_back_is_not_waited_for_for_ever() -> None:
    seat = receiving_seat(3)
    seat.session.control_lost(1.0)
    seat.messages(OUTAGE_LEASE - 0.01)
    assert not seat.session.has_lost_sender
    seat.messages(OUTAGE_LEASE + 1.0)
    assert seat.session.has_lost_sender


def test_the_next_timeout_does_not_outlast_what_is_to_be_told() -> None:
    seat = receiving_seat(3, has_scanned=False)
    seat.messages(0.0)
    seat.session.scan_ended(0.05)
    assert seat.session.next_timeout() <= 0.05
    seat.messages(0.05)
    for now in (0.05, 1.0, 1.3):
        seat.messages(now)
        assert seat.session.next_timeout() <= now + REPORT_INTERVAL
