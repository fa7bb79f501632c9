import pytest

from protocol.messages import (
    ReceiverState,
    RepairRequest,
    SessionPhase,
)
from receiver.events import BlockDecodable, ObjectCompleted, SessionLeft
from receiver.first_pass import REORDER_BLOCKS
from receiver.receptions import SILENCE
from receiver.repair import HOLDOFF, REPAIR_CYCLE
from tests.receiver.seat import (
    DATAGRAM,
    MANIFEST_K,
    ROOM_FOR_ONE_BLOCK,
    K,
    Seat,
    add_symbols,
    receiving_seat,
    verifying_seat,
)
from tests.sample_messages import OTHER_TSI, announcement, presence, receiver_id, repair_request, report, status

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


# --- messages ------------------------------------------------------------------------------------------------------


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
