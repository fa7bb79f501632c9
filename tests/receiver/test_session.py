from collections.abc import Callable

import pytest

from protocol.errors import SessionStateError
from protocol.messages import (
    ReceiverReport,
    ReceiverState,
    RepairRequest,
    SessionPhase,
)
from protocol.ranges import RangeSet
from protocol.wire import INTERLEAVED_BLOCKS
from receiver.events import BlockDecodable, ObjectCompleted, SessionLeft
from receiver.first_pass import REORDER_BLOCKS
from receiver.receptions import SILENCE
from receiver.repair import HOLDOFF, REPAIR_CYCLE
from receiver.session import REPORT_INTERVAL, ReceiverSession
from tests.receiver.seat import (
    DATAGRAM,
    MANIFEST_K,
    ROOM_FOR_ONE_BLOCK,
    K,
    Seat,
    add_symbols,
    manifest_of,
    receiving_seat,
    verifying_seat,
)
from tests.sample_messages import OTHER_TSI, announcement, presence, receiver_id, repair_request, report, status

Step = Callable[[ReceiverSession], None]


# --- states --------------------------------------------------------------------------------------------------------


def test_the_whole_way_from_ready_to_acknowledged() -> None:
    seat = Seat()
    states = [seat.session.state]
    seat = receiving_seat(2)
    states.append(seat.session.state)
    assert (seat.session.blocks_total, seat.session.blocks_missing) == (2, 2)
    seat.arrive(0, range(K))
    assert seat.store() == [0]
    seat.arrive(1, range(K))
    (event,) = seat.events()
    assert isinstance(event, BlockDecodable)
    assert seat.session.state is ReceiverState.RECEIVING
    seat.session.block_stored(event.block, 1.0)
    assert seat.events() == [ObjectCompleted(1)]
    states.append(seat.session.state)
    seat.session.verified(2.0)
    states.append(seat.session.state)
    assert states == [ReceiverState.READY, ReceiverState.RECEIVING, ReceiverState.VERIFYING, ReceiverState.VERIFIED]
    seat.session.receive_message(status(2, settled=(receiver_id(1),)), 3.0)
    assert seat.events() == [SessionLeft(is_acknowledged=True)]
    assert seat.messages(10.0) == []


def test_an_image_without_any_block_goes_on_to_verification() -> None:
    seat = receiving_seat(0)
    assert seat.session.state is ReceiverState.VERIFYING
    assert seat.events() == [ObjectCompleted(1)]


def test_damage_found_by_read_back_is_missing_again() -> None:
    seat = verifying_seat(4)
    seat.session.read_back_failed([3, 1], 5.0)
    assert (seat.session.state, seat.session.blocks_missing) == (ReceiverState.RECEIVING, 2)
    assert seat.wants(5.5) == ({}, [(1, 1), (3, 3)])
    seat.arrive(1, range(K), now=6.0)
    seat.arrive(3, range(K), now=6.0)
    events = seat.events()
    for event in events:
        assert isinstance(event, BlockDecodable)
        seat.session.block_stored(event.block, 6.0)
    assert seat.events() == [ObjectCompleted(1)]


VERIFIED_STEP: Step = lambda session: session.verified(0.0)  # noqa: E731 - a table of steps reads better than six defs
LOADED_STEP: Step = lambda session: session.manifest_loaded(manifest_of(1), 0.0)  # noqa: E731 - as above
READ_BACK_STEP: Step = lambda session: session.read_back_failed([0], 0.0)  # noqa: E731 - as above
REFUSED_STEP: Step = lambda session: session.refused("too small", 0.0)  # noqa: E731 - as above


@pytest.mark.parametrize(
    ("make_seat", "step"),
    [
        (Seat, VERIFIED_STEP),
        (Seat, READ_BACK_STEP),
        (lambda: receiving_seat(1), VERIFIED_STEP),
        (lambda: receiving_seat(1), READ_BACK_STEP),
        (lambda: receiving_seat(1), LOADED_STEP),
        (lambda: receiving_seat(1), REFUSED_STEP),
        (verifying_seat, LOADED_STEP),
        (verifying_seat, REFUSED_STEP),
    ],
)
def test_steps_out_of_their_state_are_our_own_misuse(make_seat: Callable[[], Seat], step: Step) -> None:
    seat = make_seat()
    before = seat.session.state
    with pytest.raises(SessionStateError):
        step(seat.session)
    assert seat.session.state is before


@pytest.mark.parametrize("make_seat", [Seat, lambda: receiving_seat(1), verifying_seat])
@pytest.mark.parametrize("verb", ["failed", "damaged"])
def test_disk_and_manifest_may_fail_in_any_state(make_seat: Callable[[], Seat], verb: str) -> None:
    seat = make_seat()
    getattr(seat.session, verb)("sda: write failed", 1.0)
    assert (seat.session.state.value, seat.session.reason) == (verb, "sda: write failed")
    getattr(seat.session, "failed" if verb == "damaged" else "damaged")("later", 2.0)
    assert (seat.session.state.value, seat.session.reason) == (verb, "sda: write failed")


def test_what_is_done_cannot_fail_any_more() -> None:
    seat = verifying_seat()
    seat.session.verified(1.0)
    seat.session.failed("too late", 2.0)
    assert (seat.session.state, seat.session.reason) == (ReceiverState.VERIFIED, "")


def test_a_refused_seat_wants_nothing() -> None:
    seat = Seat()
    seat.session.refused("sda: too small", 0.0)
    assert seat.session.state is ReceiverState.REFUSED
    assert not seat.arrive(0, range(MANIFEST_K), toi=0, k=MANIFEST_K)
    seat.session.receive_message(status(), 1.0)
    assert all(isinstance(message, ReceiverReport) for message in seat.messages(5.0))


def test_steps_that_finish_after_the_end_change_nothing() -> None:
    seat = receiving_seat(1)
    seat.arrive(0, range(K))
    (event,) = seat.events()
    seat.session.failed("sda: write failed", 1.0)
    assert isinstance(event, BlockDecodable)
    seat.session.block_stored(event.block, 2.0)
    assert (seat.session.state, seat.events()) == (ReceiverState.FAILED, [])


# --- which blocks are wanted ---------------------------------------------------------------------------------------


def test_only_missing_blocks_of_the_right_length_are_wanted() -> None:
    seat = receiving_seat(3)
    for toi, sbn, k in [(1, 3, K), (1, 1 << 31, K), (1, 0, K - 1), (1, 0, 191), (0, 0, MANIFEST_K), (0, 1, 1)]:
        assert not seat.arrive(sbn, [0], toi=toi, k=k)
    assert seat.arrive(0, [0])
    assert not seat.arrive(0, [1], k=K + 1)
    seat.arrive(0, range(K))
    assert not seat.arrive(0, [K])  # it is being stored
    assert seat.store() == [0]
    assert not seat.arrive(0, [K])  # it is stored


def test_blocks_of_the_disk_are_not_wanted_before_the_manifest() -> None:
    assert not Seat().arrive(0, range(K))


def test_a_block_can_be_decoded_as_soon_as_any_k_symbols_are_there() -> None:
    seat = receiving_seat(1)
    seat.arrive(0, [0, 1, 2])
    seat.arrive(0, [3, 4, 5, 73, 12])
    assert seat.events() == []
    seat.arrive(0, [0, 73])  # duplicates
    assert seat.events() == []
    seat.arrive(0, [20, 9])
    (event,) = seat.events()
    assert isinstance(event, BlockDecodable)
    assert (event.block.toi, event.block.sbn, event.block.missing_source_symbols()) == (1, 0, [6, 7, 8])


def test_runs_of_one_block_in_one_batch_complete_it_once() -> None:
    seat = receiving_seat(1)
    for esi in range(K):
        found = seat.session.find_block(1, 0, K)
        assert found is not None
        add_symbols(found[1], [esi])
    seat.session.batch_opened(K * DATAGRAM, 0.0)
    assert len(seat.events()) == 1


def test_a_rejected_block_starts_over() -> None:
    seat = receiving_seat(3)
    seat.arrive(0, range(K))
    (event,) = seat.events()
    assert isinstance(event, BlockDecodable)
    seat.session.block_rejected(event.block, 1.0)
    assert (seat.session.blocks_missing, seat.session.backlog_bytes) == (3, 0)
    seat.session.receive_message(status(2, position=1), 0.5)
    assert seat.wants(1.0) == ({}, [(0, 0)])
    seat.arrive(0, range(K), now=1.1)
    assert seat.store() == [0]


def test_a_rejected_block_is_asked_for_without_waiting_for_the_holdoff() -> None:
    seat = receiving_seat(20)
    seat.arrive(0, range(K - 1), now=1.0)
    seat.begin(range(1, 1 + REORDER_BLOCKS), now=1.0)
    assert seat.wants(1.1)[0] == {0: 1}
    seat.arrive(0, [K], now=1.15)
    (event,) = seat.events()
    assert isinstance(event, BlockDecodable)
    seat.session.block_rejected(event.block, 1.0)
    seat.arrive(0, [0], now=1.2)
    assert seat.wants(1.4)[0] == {0: K - 1}


# --- bounded memory ------------------------------------------------------------------------------------------------


def test_a_block_without_room_stays_missing_until_there_is_room() -> None:
    seat = receiving_seat(2, buffer_limit=ROOM_FOR_ONE_BLOCK)
    assert seat.arrive(0, range(3))
    assert seat.session.backlog_bytes == ROOM_FOR_ONE_BLOCK
    assert not seat.arrive(1, range(K))
    seat.arrive(0, range(K))
    assert seat.store() == [0]
    assert seat.session.backlog_bytes == 0
    assert seat.arrive(1, range(K))


def test_a_full_pool_asks_for_what_it_has_begun_and_not_for_more() -> None:
    seat = receiving_seat(40, buffer_limit=2 * ROOM_FOR_ONE_BLOCK)
    for sbn in range(40):
        seat.arrive(sbn, range(K - 1), now=1.0)
    seat.session.receive_message(status(2, position=40), 1.1)
    assert seat.wants(2.0) == ({0: 1, 1: 1}, [])
    for sbn in range(2):
        seat.arrive(sbn, [K], now=2.1)
    assert seat.store() == [0, 1]
    assert seat.wants(3.0) == ({}, [(2, 39)])


def test_a_pool_of_one_block_gets_through_the_whole_disk() -> None:
    seat = receiving_seat(20, buffer_limit=ROOM_FOR_ONE_BLOCK)
    for sbn in range(20):
        seat.arrive(sbn, range(1, K), now=0.0)
    seat.session.receive_message(status(2, position=20), 0.1)
    now = 0.1
    for _ in range(200):
        now += REPAIR_CYCLE
        deficits, absent = seat.wants(now)
        for sbn in deficits:
            seat.arrive(sbn, range(K, K + 1), now=now)
        for first, last in absent:
            for sbn in range(first, last + 1):
                seat.arrive(sbn, range(K), now=now)
        for event in seat.events():
            if isinstance(event, BlockDecodable):
                seat.session.block_stored(event.block, now)
    assert seat.session.state is ReceiverState.VERIFYING


def test_datagrams_that_were_not_authentic_keep_no_buffer() -> None:
    seat = receiving_seat(10, buffer_limit=2 * ROOM_FOR_ONE_BLOCK)
    for sbn in range(10):
        seat.session.find_block(1, sbn, K)
    seat.session.batch_opened(1000, 5.0)
    assert seat.session.backlog_bytes == 0
    assert seat.wants(6.0) == ({}, [])  # a forged sbn says nothing about where the sender is
    assert seat.arrive(7, [0])


# --- repair requests -----------------------------------------------------------------------------------------------


def test_only_blocks_that_the_sender_has_gone_by_are_asked_for() -> None:
    seat = receiving_seat(30)
    seat.arrive(0, range(4), now=1.0)
    seat.arrive(2, range(K - 1), now=1.0)
    later = range(3, 3 + REORDER_BLOCKS)
    seat.begin(later[:-1], now=1.0)
    assert seat.wants(1.1) == ({0: 6}, [(1, 1)])  # the sender is beyond 2, which may still be under way
    seat.begin(later[-1:], now=1.2)
    assert seat.wants(1.2 + HOLDOFF)[0] == {0: 6, 2: 1}


def test_whole_blocks_are_not_asked_for_before_it_is_known_what_the_disk_lacks() -> None:
    seat = receiving_seat(30, has_scanned=False)
    seat.arrive(0, range(4), now=1.0)
    seat.begin(range(2, 2 + REORDER_BLOCKS), now=1.0)
    assert seat.wants(1.1) == ({0: 6}, [])
    seat.session.blocks_found([20], 1.2)
    seat.session.scan_ended(1.2)
    assert seat.wants(1.2 + HOLDOFF) == ({0: 6}, [(1, 1)])


def test_blocks_never_seen_are_asked_for_in_silence() -> None:
    seat = receiving_seat(10)
    seat.session.receive_message(status(2, position=8), 1.0)
    assert seat.wants(1.0 + SILENCE) == ({}, [(0, 7)])


def test_the_position_is_not_believed_while_symbols_arrive() -> None:
    seat = receiving_seat(10)
    for tick in range(10):
        now = 1.0 + tick / 10
        seat.arrive(0, [tick], k=K, now=now) if tick < K - 1 else None
        seat.session.receive_message(status(tick + 2, position=10), now)
        assert seat.wants(now + 0.01) == ({}, [])


def test_a_request_for_the_manifest_follows_when_its_pass_is_over() -> None:
    seat = Seat()
    seat.session.receive_message(status(1, phase=SessionPhase.MANIFEST, position=1), 0.1)
    requests = [message for message in seat.messages(0.5) if isinstance(message, RepairRequest)]
    assert [(request.toi, request.absent) for request in requests] == [(0, ((0, 0),))]


def test_a_seat_that_comes_during_the_disk_asks_for_the_manifest_first() -> None:
    seat = Seat()
    seat.session.receive_message(status(1, position=500), 0.1)
    requests = [message for message in seat.messages(0.5) if isinstance(message, RepairRequest)]
    assert [(request.toi, request.absent) for request in requests] == [(0, ((0, 0),))]


@pytest.mark.parametrize("phase", [SessionPhase.WAITING, SessionPhase.ENDED])
def test_nothing_is_asked_for_when_nothing_is_sent(phase: SessionPhase) -> None:
    seat = receiving_seat(3)
    seat.session.receive_message(status(2, phase=phase, position=3), 0.1)
    assert seat.wants(1.0) == ({}, [])


# --- loss accounting -----------------------------------------------------------------------------------------------


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


# --- messages ------------------------------------------------------------------------------------------------------


def test_reports_come_at_once_and_then_twice_a_second() -> None:
    seat = Seat()
    assert [type(message) for message in seat.messages(0.0)] == [ReceiverReport]
    assert seat.messages(REPORT_INTERVAL - 0.01) == []
    assert [type(message) for message in seat.messages(REPORT_INTERVAL)] == [ReceiverReport]


def test_every_change_of_state_is_reported_at_once() -> None:
    seat = receiving_seat(1)
    seat.messages(0.0)
    seat.session.failed("sda: write failed", 0.01)
    (message,) = seat.messages(0.01)
    assert isinstance(message, ReceiverReport)
    assert (message.state, message.reason) == (ReceiverState.FAILED, "sda: write failed")


def test_a_final_report_is_repeated_until_it_is_acknowledged() -> None:
    seat = Seat()
    seat.session.refused("too small", 0.0)
    for second in range(5):
        assert len(seat.messages(float(second))) == 1
    seat.session.receive_message(status(1, settled=(receiver_id(2),)), 5.0)
    assert seat.events() == []
    seat.session.receive_message(status(2, settled=(receiver_id(2), receiver_id(1))), 5.0)
    assert seat.events() == [SessionLeft(is_acknowledged=True)]


def test_the_end_of_the_session_lets_an_unfinished_seat_go() -> None:
    seat = receiving_seat(3)
    seat.session.receive_message(status(9, phase=SessionPhase.ENDED), 1.0)
    seat.session.receive_message(status(10, phase=SessionPhase.ENDED), 1.0)
    assert seat.events() == [SessionLeft(is_acknowledged=False)]


def test_sequence_numbers_grow_over_reports_and_requests() -> None:
    seat = receiving_seat(3)
    seat.session.receive_message(status(2, position=3), 0.5)
    sequences = [message.sequence for now in range(1, 6) for message in seat.messages(float(now))]
    assert sequences == sorted(set(sequences))
    assert len(sequences) >= 9


def test_old_statuses_and_other_sessions_are_ignored() -> None:
    seat = receiving_seat(10)
    seat.session.receive_message(status(5, position=2), 1.0)
    seat.session.receive_message(status(4, phase=SessionPhase.ENDED), 1.0)
    seat.session.receive_message(status(5, position=10), 1.0)
    seat.session.receive_message(status(9, position=10, tsi=OTHER_TSI, phase=SessionPhase.ENDED), 1.0)
    for message in (announcement(), report(1, sequence=99), repair_request(1), presence(1, is_online=False)):
        seat.session.receive_message(message, 1.0)
    assert seat.wants(2.0) == ({}, [(0, 1)])
    assert seat.events() == []


def test_a_report_holds_the_counters() -> None:
    seat = receiving_seat(3)
    seat.arrive(0, range(4))
    seat.session.counters.buffer_drops = 6
    seat.session.counters.bytes_to_verify = 11
    seat.session.counters.bytes_verified = 9
    message = seat.session.report()
    assert (message.blocks_total, message.blocks_missing, message.has_manifest) == (3, 3, True)
    assert (message.bytes_received, message.backlog_bytes) == (6 * DATAGRAM, ROOM_FOR_ONE_BLOCK)
    assert (message.has_scanned, message.blocks_without_room) == (True, 0)
    assert (message.buffer_drops, message.bytes_to_verify, message.bytes_verified) == (6, 11, 9)


def test_names_and_reasons_of_any_length_and_bytes_can_be_reported() -> None:
    seat = Seat(target="/mnt/" + 70 * "x" + "caf\udce9.img")
    seat.session.failed("caf\udce9: " + 500 * "x", 0.0)
    (message,) = seat.messages(0.0)
    assert isinstance(message, ReceiverReport)
    assert (len(message.target), message.target[-13:]) == (64, "caf\\udce9.img")
    assert message.reason.startswith("caf\\udce9: x")


def test_the_next_timeout_is_when_something_is_due() -> None:
    seat = receiving_seat(3)
    seat.messages(0.0)
    at = seat.session.next_timeout()
    assert 0.0 < at <= REPAIR_CYCLE * 1.2
    seat.messages(at)
    assert seat.session.next_timeout() > at


def test_nothing_is_asked_for_while_datagrams_that_arrived_wait_to_be_opened() -> None:
    seat = receiving_seat(10)
    seat.messages(0.5)
    seat.session.receive_message(status(2, position=8), 1.0)
    behind = []
    while (message := seat.session.next_message(5.0, is_caught_up=False)) is not None:
        behind.append(message)
    assert [type(message) for message in behind] == [ReceiverReport]
    assert seat.session.next_timeout() > 5.0
    assert seat.wants(6.0) == ({}, [(0, 7)])
