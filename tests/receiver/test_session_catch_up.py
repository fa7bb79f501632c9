"""A receiver's session on the catch-up lane: when it fetches, what, and what it makes of the answers."""

import pytest

from protocol.messages import ReceiverReport, RepairRequest, SessionPhase
from receiver.events import BlockDecodable, ObjectCompleted, Want
from receiver.first_pass import REORDER_BLOCKS
from receiver.receptions import DARKNESS, SILENCE
from receiver.repair import HOLDOFF, QUIET
from receiver.suspects import LANE_PATIENCE
from tests.receiver.seat import DATAGRAM, MANIFEST_K, ROOM_FOR_ONE_BLOCK, K, Seat, manifest_of, receiving_seat
from tests.sample_messages import receiver_id, status

ME, OTHER = receiver_id(1), receiver_id(2)


def demote(seat: Seat, sequence: int = 2, *, now: float = 0.0, **changes: object) -> None:
    """The broadcaster puts the seat on the catch-up lane."""
    seat.session.receive_message(status(sequence, catch_up=(OTHER, ME), **changes), now)


def behind_seat(block_count: int = 10, *, position: int = 6, has_scanned: bool = True) -> Seat:
    """On the catch-up lane, hears the group, and the sender has gone by ``position``; it is 1.0 s."""
    seat = receiving_seat(block_count, has_scanned=has_scanned)
    demote(seat, position=position)
    seat.messages(1.0)
    assert seat.session.first_pass.gone_by == position
    return seat


def sbns(wants: list[Want]) -> list[int]:
    return [want.sbn for want in wants]


# --- who fetches ---------------------------------------------------------------------------------------------------


def test_only_a_seat_that_the_status_names_fetches() -> None:
    seat = receiving_seat(10)
    seat.session.receive_message(status(2, position=10, catch_up=(OTHER,), must_leave_group=(OTHER,)), 0.0)
    assert (seat.session.last_status.is_on_catch_up, seat.session.last_status.must_leave_group) == (False, False)
    seat.messages(1.0)
    assert seat.wants_of_lane(99.0) == []
    demote(seat, 3, position=10)
    assert (seat.session.last_status.is_on_catch_up, seat.session.last_status.must_leave_group) == (True, False)
    assert sbns(seat.wants_of_lane(99.0)) == list(range(10))


def test_a_seat_that_is_taken_off_the_list_fetches_no_more() -> None:
    seat = behind_seat()
    want = seat.session.next_want(1.0)
    assert want is not None
    assert seat.session.is_wanted(want)
    seat.session.receive_message(status(3, position=6), 1.0)
    assert seat.session.next_want(1.0) is None
    assert not seat.session.is_wanted(want)


def test_the_newest_status_decides() -> None:
    seat = receiving_seat(3)
    demote(seat, 5, must_leave_group=(ME,))
    seat.session.receive_message(status(4), 0.1)
    assert (seat.session.last_status.is_on_catch_up, seat.session.last_status.must_leave_group) == (True, True)
    demote(seat, 6)
    assert (seat.session.last_status.is_on_catch_up, seat.session.last_status.must_leave_group) == (True, False)


def test_who_fetches_asks_the_group_for_nothing() -> None:
    seat = behind_seat(10)
    seat.arrive(0, range(4), now=1.0)
    later = [message for tick in range(10, 60) for message in seat.messages(tick / 10)]
    assert later
    assert not any(isinstance(message, RepairRequest) for message in later)
    seat.session.receive_message(status(3, position=6), 6.0)
    assert seat.wants(6.5) == ({0: 6}, [(1, 5)])


def test_a_seat_that_is_done_fetches_nothing() -> None:
    seat = behind_seat()
    want = seat.session.next_want(1.0)
    assert want is not None
    seat.session.failed("sda: write failed", 1.0)
    assert seat.wants_of_lane(9.0) == []
    assert not seat.session.is_wanted(want)


# --- what it fetches -----------------------------------------------------------------------------------------------


def test_what_the_group_may_still_bring_is_not_fetched() -> None:
    seat = behind_seat(10, position=6)
    seat.begin([7], now=1.0)
    assert sbns(seat.wants_of_lane(1.0 + QUIET)) == list(range(6))


def test_in_darkness_everything_is_fetched() -> None:
    seat = behind_seat(10, position=6)
    seat.begin([7], now=1.0)
    assert sbns(seat.wants_of_lane(1.0 + DARKNESS - 0.01)) == list(range(6))
    assert sbns(seat.wants_of_lane(1.0 + DARKNESS)) == [7, 6, 8, 9]


def test_a_seat_that_is_not_in_the_group_fetches_everything_at_once() -> None:
    seat = behind_seat(10, position=6)
    seat.begin([7], now=1.0)
    demote(seat, 3, position=6, must_leave_group=(ME,))
    assert sbns(seat.wants_of_lane(1.0 + QUIET)) == [7, *range(7), 8, 9]


def test_whole_blocks_are_fetched_when_it_is_known_what_the_disk_lacks() -> None:
    seat = behind_seat(4, position=4, has_scanned=False)
    seat.arrive(1, range(3), now=1.0)
    assert seat.wants_of_lane(2.0) == [Want(1, 1, range(K, K + 7))]
    seat.session.blocks_found([3], 2.0)
    seat.session.scan_ended(2.0)
    assert seat.wants_of_lane(2.0) == [Want(1, 0), Want(1, 2)]


@pytest.mark.parametrize("phase", [SessionPhase.MANIFEST, SessionPhase.DISK])
def test_the_manifest_comes_first_and_by_the_lane_too(phase: SessionPhase) -> None:
    seat = Seat()
    demote(seat, 1, phase=phase, position=1)
    seat.messages(SILENCE)
    (want,) = seat.wants_of_lane(SILENCE)
    assert want == Want(0, 0)
    assert seat.fetch(want, k=MANIFEST_K)
    assert seat.store() == [0]
    assert seat.events() == [ObjectCompleted(0)]
    seat.session.manifest_loaded(manifest_of(3), 1.0)
    seat.session.scan_ended(1.0)
    assert seat.wants_of_lane(DARKNESS) == [Want(1, 0), Want(1, 1), Want(1, 2)]


def test_a_whole_disk_comes_by_the_lane_alone() -> None:
    seat = receiving_seat(30, buffer_limit=3 * ROOM_FOR_ONE_BLOCK)
    demote(seat, must_leave_group=(ME,))
    fetched = 0
    for tick in range(1, 100):
        for want in seat.wants_of_lane(float(tick)):
            # Two of three answers are cut short, and a block may find no room.
            fetched += 1
            seat.fetch(want, None if fetched % 3 == 0 else list(want.esis or range(K))[:-1], now=float(tick))
        blocks = [event.block for event in seat.events() if isinstance(event, BlockDecodable)]
        for block in blocks:
            seat.session.block_stored(block, float(tick))
        if not seat.session.blocks_missing:
            break
    assert seat.events() == [ObjectCompleted(1)]
    assert seat.session.backlog_bytes == 0
    assert (seat.lost(), seat.session.first_pass.gone_by) == ((0, 0), 0)


# --- the answers ---------------------------------------------------------------------------------------------------


def test_what_is_fetched_is_counted_apart() -> None:
    seat = behind_seat()
    before = seat.session.counters.bytes_received
    (want, *_) = seat.wants_of_lane(1.0)
    seat.fetch(want, now=1.0)
    assert seat.session.counters.catch_up_bytes == K * DATAGRAM == seat.session.report().catch_up_bytes
    assert seat.session.counters.bytes_received == before
    assert seat.store() == [want.sbn]


def test_what_is_fetched_says_nothing_of_the_group() -> None:
    seat = receiving_seat(100)
    demote(seat, must_leave_group=(ME,))
    for want in seat.wants_of_lane(1.0)[: 3 * REORDER_BLOCKS]:
        seat.fetch(want, now=1.0)
    assert (seat.session.first_pass.gone_by, seat.lost()) == (0, (0, 0))
    assert seat.session.first_pass.blocks_repaired == 0


def test_a_want_is_handed_out_once_until_it_is_answered() -> None:
    seat = behind_seat(10, position=2)
    first, second = seat.wants_of_lane(1.0)
    assert seat.wants_of_lane(1.05) == []
    seat.fetch(first, [], now=1.1)  # nothing of the answer was authentic
    assert seat.session.next_want(1.2) is None  # it would bring nothing again
    assert seat.session.next_want(1.1 + HOLDOFF) == first
    assert second != first


def test_a_block_that_the_broadcaster_cannot_send_is_not_wanted_again() -> None:
    seat = behind_seat(10, position=1)
    (want,) = seat.wants_of_lane(1.0)
    seat.session.want_unavailable(want)
    assert seat.wants_of_lane(1.5) == []
    assert seat.session.blocks_missing == 10


def test_a_want_is_dropped_when_the_block_has_come_another_way_and_released_by_that() -> None:
    seat = behind_seat(10, position=1)
    (want,) = seat.wants_of_lane(1.0)
    seat.arrive(0, range(K), now=1.1)
    (block,) = seat.decodable()
    assert not seat.session.is_wanted(want)
    seat.session.block_rejected(block, 1.0)
    assert seat.wants_of_lane(1.1 + HOLDOFF) == [want]


def test_a_want_that_was_dropped_while_off_the_list_can_be_had_on_it_again() -> None:
    seat = behind_seat(10, position=1)
    (want,) = seat.wants_of_lane(1.0)
    seat.session.receive_message(status(3, position=1), 1.0)
    assert not seat.session.is_wanted(want)
    demote(seat, 4, now=1.0, position=1)
    assert seat.wants_of_lane(1.1 + HOLDOFF) == [want]


def test_symbols_of_both_ways_complete_a_block_together() -> None:
    seat = behind_seat(10, position=1)
    seat.arrive(0, range(6), now=1.0)
    (want,) = seat.wants_of_lane(1.0 + QUIET)
    assert want == Want(1, 0, range(K, K + 4))
    seat.arrive(0, [K + 20], now=1.1)  # somebody else's repair
    assert seat.fetch(want, now=1.2)
    assert seat.store() == [0]


def test_a_rejected_block_is_fetched_again_from_its_first_symbol_on() -> None:
    seat = behind_seat(10, position=1)
    (want,) = seat.wants_of_lane(1.0)
    seat.fetch(want, now=1.0)
    (block,) = seat.decodable()
    assert seat.wants_of_lane(1.1) == []
    seat.session.block_rejected(block, 1.0)
    assert seat.wants_of_lane(1.1 + HOLDOFF) == [Want(1, 0)]


# --- blocks that came whole and wrong --------------------------------------------------------------------------------

URL = "https://192.0.2.1:8885"


def poisoned_seat(sbn: int = 0) -> Seat:
    """It has a lane to ask, is not on it, and has had a block that was not as announced; it is 1.0 s."""
    seat = receiving_seat(20, catch_up_url=URL)
    seat.begin(range(1, 1 + REORDER_BLOCKS), now=1.0)
    mismatch(seat, sbn)
    return seat


def mismatch(seat: Seat, sbn: int = 0, *, now: float = 1.0) -> None:
    seat.arrive(sbn, range(K), now=now)
    (block,) = seat.decodable()
    seat.session.block_rejected(block, now)


def test_a_seat_that_was_lied_to_asks_the_lane_what_is_false_and_the_group_for_that_alone() -> None:
    seat = poisoned_seat()
    (want,) = seat.wants_of_lane(1.0)
    assert want == Want(1, 0, range(K), wants_digests=True)
    assert seat.session.is_wanted(want)
    assert seat.session.suspect(want) is not None
    assert not seat.arrive(0, [K], now=1.0), "what is judged must not change"
    assert 0 not in seat.wants(1.3)[0]
    seat.session.suspect_judged(want, [2, 7], 160)
    assert not seat.session.is_wanted(want)
    assert seat.wants(1.9)[0][0] == 2
    assert seat.session.counters.catch_up_bytes == 160
    report = seat.session.report()
    assert (report.poisoned_blocks, report.poisoned_symbols) == (1, 2)
    assert report.alarm == seat.session.poison.alarm != ""
    seat.arrive(0, [K + 1, K + 2], now=2.0)
    assert seat.store(2.0) == [0]


def test_the_alarm_is_told_at_once() -> None:
    seat = receiving_seat(20, catch_up_url=URL)
    seat.messages(1.0)
    mismatch(seat, now=1.1)
    (report,) = [message for message in seat.messages(1.1) if isinstance(message, ReceiverReport)]
    assert report.alarm.startswith("poisoned symbols: ")
    mismatch(seat, 1, now=1.2)
    assert not seat.messages(1.2), "the next one can wait for the next report"


def test_where_no_symbol_is_false_the_block_starts_over() -> None:
    seat = poisoned_seat()
    (want,) = seat.wants_of_lane(1.0)
    seat.session.suspect_judged(want, [], 160)
    assert seat.session.suspect(want) is None
    assert seat.wants(1.9)[1] == [(0, 0)]


def test_a_block_of_which_all_is_false_starts_over() -> None:
    seat = poisoned_seat()
    (want,) = seat.wants_of_lane(1.0)
    seat.session.suspect_judged(want, range(K), 160)
    assert seat.session.report().poisoned_symbols == K
    assert seat.wants(1.9)[1] == [(0, 0)]


def test_a_judgement_that_comes_too_late_is_of_nothing() -> None:
    seat = poisoned_seat()
    (want,) = seat.wants_of_lane(1.0)
    seat.messages(1.0 + LANE_PATIENCE)
    assert seat.session.suspect(want) is None
    assert not seat.session.is_wanted(want)
    seat.arrive(0, range(4), now=7.0)
    seat.session.suspect_judged(want, [0, 1], 160)
    assert seat.session.report().poisoned_symbols == 0
    assert seat.arrive(0, range(4, K), now=7.0)
    assert seat.store(7.0) == [0]


def test_the_manifest_is_looked_after_as_well() -> None:
    seat = Seat(catch_up_url=URL)
    seat.session.receive_message(status(1, phase=SessionPhase.MANIFEST), 0.0)
    seat.arrive(0, range(MANIFEST_K), toi=0, k=MANIFEST_K)
    (block,) = seat.decodable()
    seat.session.block_rejected(block, 0.0)
    assert seat.wants_of_lane(0.0) == [Want(0, 0, range(MANIFEST_K), wants_digests=True)]


def test_the_third_time_the_whole_block_comes_by_the_lane_alone() -> None:
    seat = poisoned_seat()
    for _ in range(2):
        (want,) = seat.wants_of_lane(1.0)
        assert want.wants_digests
        seat.session.suspect_judged(want, [3], 160)
        seat.arrive(0, [3], now=1.0)
        (block,) = seat.decodable()
        seat.session.block_rejected(block, 1.0)
    assert seat.wants_of_lane(1.0) == [Want(1, 0)]
    assert not seat.arrive(0, range(K), now=1.0), "nobody on the group can put anything in"
    assert seat.wants(1.9) == ({}, [])
    assert seat.session.is_wanted(Want(1, 0))
    assert seat.fetch(Want(1, 0), now=2.0)
    assert seat.store(2.0) == [0]
    assert seat.wants_of_lane(9.0) == []


def test_a_lane_that_brings_nothing_leaves_the_block_to_the_group() -> None:
    seat = poisoned_seat()
    for _ in range(2):
        (want,) = seat.wants_of_lane(1.0)
        seat.session.suspect_judged(want, [3], 160)
        seat.arrive(0, [3], now=1.0)
        (block,) = seat.decodable()
        seat.session.block_rejected(block, 1.0)
    (want,) = seat.wants_of_lane(1.0)
    seat.messages(1.0 + LANE_PATIENCE)
    assert not seat.session.is_wanted(want)
    assert seat.arrive(0, range(K), now=6.5)
    assert seat.store(6.5) == [0]


def test_a_block_that_the_library_lost_is_not_judged() -> None:
    seat = poisoned_seat()
    (want,) = seat.wants_of_lane(1.0)
    seat.session.want_unavailable(want)
    assert seat.session.suspect(want) is None
    assert seat.session.backlog_bytes == REORDER_BLOCKS * ROOM_FOR_ONE_BLOCK


def test_without_a_lane_the_block_starts_over_and_the_alarm_is_raised() -> None:
    seat = receiving_seat(20)
    mismatch(seat)
    assert seat.wants_of_lane(1.0) == []
    assert seat.session.backlog_bytes == 0
    assert seat.session.report().poisoned_blocks == 1
