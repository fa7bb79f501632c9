from typing import Any

import pytest

from broadcaster.roster import INCOMPLETE, LEASE, LONGEST_ARMING, LOST, STALL, STALLED, Roster, Seat
from protocol.fields import MAX_SEATS
from protocol.messages import ReceiverReport, ReceiverState
from tests.sample_messages import presence, receiver_id, report


def hear(roster: Roster, report: ReceiverReport, now: float, *, is_progress_due: bool = True) -> Seat | None:
    """A report while the seat ought to get somewhere."""
    return roster.hear_report(report, now, is_progress_due=is_progress_due)


def roster_with(number: int = 1, now: float = 0.0) -> Roster:
    roster = Roster()
    assert hear(roster, report(number), now)
    return roster


def outcome(roster: Roster, now: float) -> str:
    (seat,) = roster.seats()
    return seat.outcome(now)


def outcome_or_none(roster: Roster, now: float) -> str | None:
    return outcome(roster, now) if len(roster) else None


def test_a_seat_joins_with_its_first_report() -> None:
    roster = roster_with(now=5.0)
    (seat,) = roster.seats()
    assert (len(roster), seat.joined_at, seat.report) == (1, 5.0, report())
    assert outcome(roster, 5.0) == "ready"
    assert roster.awaited(5.0) == [seat]


def test_an_older_or_repeated_report_is_ignored() -> None:
    roster = roster_with()
    assert hear(roster, report(sequence=3, blocks_missing=7), 1.0)
    assert not hear(roster, report(sequence=3, blocks_missing=9), 2.0)
    assert not hear(roster, report(sequence=2, blocks_missing=9), 2.0)
    (seat,) = roster.seats()
    assert (seat.report.blocks_missing, seat.heard_at) == (7, 1.0)


def test_a_final_report_settles_a_seat_for_good() -> None:
    roster = roster_with()
    assert hear(roster, report(sequence=2, state=ReceiverState.VERIFIED), 4.0)
    assert not hear(roster, report(sequence=3, state=ReceiverState.RECEIVING), 5.0)
    (seat,) = roster.seats()
    assert (seat.settled_at, seat.is_settled, roster.settled_ids()) == (4.0, True, (receiver_id(1),))
    assert outcome(roster, 4.0 + LEASE + STALL) == "verified"
    assert roster.awaited(5.0) == []


@pytest.mark.parametrize("state", [ReceiverState.REFUSED, ReceiverState.FAILED, ReceiverState.DAMAGED])
def test_every_final_state_is_settled(state: ReceiverState) -> None:
    roster = roster_with()
    assert hear(roster, report(sequence=2, state=state), 4.0)
    assert outcome(roster, 4.0) == state.value
    assert roster.settled_ids() == (receiver_id(1),)


def test_a_silent_seat_is_lost_and_returns_with_a_word() -> None:
    roster = roster_with()
    assert outcome(roster, LEASE) == "ready"
    assert outcome(roster, LEASE + 0.1) == LOST
    assert roster.awaited(LEASE + 0.1) == []
    assert roster.hear(receiver_id(1), LEASE + 1.0)
    assert outcome(roster, LEASE + 1.0) == "ready"


def test_who_never_reported_is_of_another_session() -> None:
    roster = Roster()
    assert not roster.hear(receiver_id(1), 0.0)
    assert len(roster) == 0


def test_waiting_for_the_start_is_no_stall() -> None:
    roster = roster_with()
    for second in range(1, 200):
        assert hear(roster, report(sequence=second + 1), float(second), is_progress_due=False)
    assert outcome(roster, 199.0) == "ready"
    assert len(roster.armed(199.0)) == 1


@pytest.mark.parametrize("state", [ReceiverState.READY, ReceiverState.RECEIVING, ReceiverState.VERIFYING])
def test_a_seat_that_speaks_but_gets_nowhere_is_stalled(state: ReceiverState) -> None:
    roster = roster_with()
    roster.expect_progress(100.0)
    assert hear(roster, report(sequence=2, state=state), 100.0)
    for second in range(101, 165):
        assert hear(roster, report(sequence=second, state=state), float(second))
        is_stalled = second > 100 + STALL
        assert (outcome(roster, float(second)) == STALLED) == is_stalled
        assert (roster.awaited(float(second)) == []) == is_stalled
        assert (roster.hear(receiver_id(1), float(second)) is None) == is_stalled


@pytest.mark.parametrize(
    "change",
    [
        {"has_manifest": True},
        {"blocks_scanned": 1},
        {"blocks_missing": 1},
        {"bytes_written": 1},
        {"bytes_verified": 1},
        {"state": ReceiverState.RECEIVING},
    ],
    ids=lambda change: next(iter(change)),
)
def test_any_progress_ends_a_stall(change: dict[str, Any]) -> None:
    roster = roster_with()
    roster.expect_progress(0.0)
    assert hear(roster, report(sequence=2), STALL + 1.0)
    assert outcome(roster, STALL + 1.0) == STALLED
    assert hear(roster, report(sequence=3, **change), STALL + 2.0)
    assert outcome(roster, STALL + 2.0) in ("ready", "receiving")


@pytest.mark.parametrize("field", ["bytes_received", "catch_up_bytes", "symbols_lost", "blocks_without_room"])
def test_what_only_arrives_is_no_progress(field: str) -> None:
    roster = roster_with()
    roster.expect_progress(0.0)
    change: dict[str, Any] = {field: 1_000_000}
    assert hear(roster, report(sequence=2, **change), STALL + 1.0)
    assert outcome(roster, STALL + 1.0) == STALLED


def test_a_late_seat_has_its_own_time_to_get_somewhere() -> None:
    roster = Roster()
    roster.expect_progress(0.0)
    assert hear(roster, report(), STALL + 5.0)
    assert outcome(roster, STALL + 6.0) == "ready"


def test_only_ready_seats_that_speak_count_as_ready() -> None:
    roster = roster_with(1)
    assert hear(roster, report(2), 20.0)
    assert hear(roster, report(4, state=ReceiverState.REFUSED), 20.0)
    assert len(roster.armed(20.0)) == 1
    assert len(roster.armed(5.0)) == 2


def test_a_seat_of_an_earlier_run_is_as_good_as_ready() -> None:
    roster = Roster()
    for number, state in enumerate((ReceiverState.READY, ReceiverState.RECEIVING, ReceiverState.VERIFYING), 1):
        assert hear(roster, report(number, state=state), 20.0)
    assert len(roster.armed(20.0)) == 3


def test_a_seat_that_counts_down_is_awaited_and_not_ready() -> None:
    roster = Roster()
    assert hear(roster, report(state=ReceiverState.ARMING), 0.0)
    assert (outcome(roster, 1.0), len(roster.awaited(1.0)), roster.armed(1.0)) == ("arming", 1, [])
    assert hear(roster, report(sequence=2), 2.0)
    assert len(roster.armed(2.0)) == 1


def test_counting_down_is_no_stall_but_must_end() -> None:
    roster = Roster()
    for second in range(int(LONGEST_ARMING) + 1):
        assert outcome_or_none(roster, float(second)) in (None, "arming")
        assert hear(roster, report(sequence=second + 1, state=ReceiverState.ARMING), float(second))
    assert outcome(roster, LONGEST_ARMING + 1.0) == STALLED
    assert hear(roster, report(sequence=10_000), LONGEST_ARMING + 2.0)
    assert outcome(roster, LONGEST_ARMING + 2.0) == "ready"
    assert hear(roster, report(sequence=10_001, state=ReceiverState.ARMING), LONGEST_ARMING + 3.0)
    assert outcome(roster, LONGEST_ARMING + 3.0) == "arming"


def test_invented_receivers_do_not_grow_the_roster_without_end() -> None:
    roster = Roster()
    assert all(hear(roster, report(number), 0.0) for number in range(MAX_SEATS))
    assert hear(roster, report(MAX_SEATS), 0.0) is None
    assert hear(roster, report(7, sequence=2), 0.0)
    assert len(roster) == MAX_SEATS


# --- presence ------------------------------------------------------------------------------------------------------


def test_presence_is_a_sign_of_life_and_its_end_is_none() -> None:
    roster = roster_with()
    roster.hear_presence(presence(1, is_online=False), LEASE)
    assert outcome(roster, LEASE + 0.1) == LOST
    roster.hear_presence(presence(1), LEASE + 1.0)
    (seat,) = roster.seats()
    assert (outcome(roster, LEASE + 1.0), seat.is_offline) == ("ready", False)
    roster.hear_presence(presence(2), LEASE + 1.0)
    assert len(roster) == 1


def test_an_offline_seat_that_speaks_is_there() -> None:
    roster = roster_with()
    roster.hear_presence(presence(1, is_online=False), 1.0)
    assert roster.hear(receiver_id(1), 2.0)
    (seat,) = roster.seats()
    assert not seat.is_offline


# --- the same seat again -------------------------------------------------------------------------------------------


def test_a_new_receiver_takes_the_place_of_one_that_is_offline() -> None:
    roster = roster_with(1)
    roster.hear_presence(presence(1, is_online=False), 1.0)
    assert hear(roster, report(2, seat="seat-1"), 1.5)
    assert [seat.report.receiver_id for seat in roster.seats()] == [receiver_id(2)]


def test_a_new_receiver_takes_the_place_of_one_that_is_silent() -> None:
    roster = roster_with(1)
    assert hear(roster, report(2, seat="seat-1"), LEASE)
    assert len(roster) == 2
    assert hear(roster, report(3, seat="seat-1"), LEASE + 0.1)
    assert [seat.report.receiver_id for seat in roster.seats()] == [receiver_id(2), receiver_id(3)]


def test_two_that_both_speak_under_one_name_are_both_kept() -> None:
    roster = roster_with(1)
    assert hear(roster, report(2, seat="seat-1"), 1.0)
    assert len(roster.awaited(1.0)) == 2


def test_a_seat_of_another_name_takes_nobodys_place() -> None:
    roster = roster_with(1)
    roster.hear_presence(presence(1, is_online=False), 1.0)
    assert hear(roster, report(2), 1.5)
    assert len(roster) == 2


@pytest.mark.parametrize("state", [state for state in ReceiverState if state.is_final])
def test_a_verified_disk_stays_in_the_report_and_another_end_does_not(state: ReceiverState) -> None:
    roster = roster_with(1)
    assert hear(roster, report(1, sequence=2, state=state), 1.0)
    roster.hear_presence(presence(1, is_online=False), 1.0)
    assert hear(roster, report(2, seat="seat-1"), 1.5)
    assert (len(roster) == 2) == (state is ReceiverState.VERIFIED)


def test_a_full_roster_has_room_for_the_pc_that_was_restarted() -> None:
    roster = Roster()
    for number in range(MAX_SEATS):
        assert hear(roster, report(number), 0.0)
    roster.hear_presence(presence(7, is_online=False), 1.0)
    assert hear(roster, report(MAX_SEATS, seat="seat-7"), 1.0)
    assert len(roster) == MAX_SEATS


# --- lanes and ends ------------------------------------------------------------------------------------------------


def test_a_seat_that_can_never_be_complete_is_not_awaited() -> None:
    roster = roster_with()
    (seat,) = roster.seats()
    seat.incomplete_because = "a block is damaged in the library"
    assert outcome(roster, 1.0) == INCOMPLETE
    assert roster.awaited(1.0) == []
    assert roster.hear(receiver_id(1), 1.0) is None
    assert hear(roster, report(sequence=2, state=ReceiverState.VERIFIED), 2.0)
    assert outcome(roster, 2.0) == "verified"


def test_the_lanes_of_seats_that_are_not_settled() -> None:
    roster = Roster()
    for number in range(4):
        assert hear(roster, report(number), 0.0)
    seats = list(roster.seats())
    for number in (1, 2, 3):
        seats[number].slow_because = "disk 12 MB/s"
    seats[2].must_leave_group = True
    assert hear(roster, report(3, sequence=2, state=ReceiverState.VERIFIED), 1.0)
    assert roster.catch_up_ids() == (receiver_id(1), receiver_id(2))
    assert roster.catch_up_ids(outside_group=True) == (receiver_id(2),)
    assert [seat.is_on_catch_up for seat in seats] == [False, True, True, True]


def test_silent_seats_would_be_awaited_if_they_spoke() -> None:
    roster = roster_with(1)
    assert hear(roster, report(2), 0.0)
    assert hear(roster, report(2, sequence=2, state=ReceiverState.VERIFIED), 1.0)
    assert roster.silent(LEASE) == []
    assert [seat.report.receiver_id for seat in roster.silent(LEASE + 0.1)] == [receiver_id(1)]


# --- the broker, and an earlier run --------------------------------------------------------------------------------


def test_nobody_is_silent_or_stalled_while_nobody_could_be_heard() -> None:
    roster = roster_with()
    roster.excuse_silence(500.0)
    assert outcome(roster, 500.0 + LEASE) == "ready"
    assert outcome(roster, 500.0 + LEASE + 0.1) == LOST


def test_seats_of_an_earlier_run_are_taken_over() -> None:
    roster = Roster()
    roster.restore(report(1, 40, state=ReceiverState.RECEIVING), "disk 12 MB/s", 100.0)
    roster.restore(report(2, 40, state=ReceiverState.VERIFIED), "", 100.0)
    first, second = roster.seats()
    assert (first.was_slow_because, first.is_on_catch_up) == ("disk 12 MB/s", False)
    assert (first.outcome(100.0 + LEASE), first.outcome(100.0 + LEASE + 0.1)) == ("receiving", LOST)
    assert (second.settled_at, roster.settled_ids()) == (100.0, (receiver_id(2),))
    assert hear(roster, report(1, 40), 101.0) is None
    assert hear(roster, report(1, 41), 101.0) is first


def test_a_seat_is_found_by_its_receiver() -> None:
    roster = roster_with(1)
    seat = roster.get(receiver_id(1))
    assert seat is not None
    assert seat.report == report(1)
    assert roster.get(receiver_id(2)) is None
