import pytest

from broadcaster.roster import LEASE, LOST, STALL, STALLED, Roster
from protocol.messages import MAX_SEATS, ReceiverState
from tests.sample_messages import receiver_id, report


def roster_with(number: int = 1, now: float = 0.0) -> Roster:
    roster = Roster()
    assert roster.hear_report(report(number), now)
    return roster


def outcome(roster: Roster, now: float) -> str:
    (seat,) = roster.seats()
    return seat.outcome(now)


def test_a_seat_joins_with_its_first_report() -> None:
    roster = roster_with(now=5.0)
    (seat,) = roster.seats()
    assert (len(roster), seat.joined_at, seat.report) == (1, 5.0, report())
    assert outcome(roster, 5.0) == "ready"
    assert roster.awaited(5.0) == [seat]


def test_an_older_or_repeated_report_is_ignored() -> None:
    roster = roster_with()
    assert roster.hear_report(report(sequence=3, blocks_missing=7), 1.0)
    assert not roster.hear_report(report(sequence=3, blocks_missing=9), 2.0)
    assert not roster.hear_report(report(sequence=2, blocks_missing=9), 2.0)
    (seat,) = roster.seats()
    assert (seat.report.blocks_missing, seat.heard_at) == (7, 1.0)


def test_a_final_report_settles_a_seat_for_good() -> None:
    roster = roster_with()
    assert roster.hear_report(report(sequence=2, state=ReceiverState.VERIFIED), 4.0)
    assert not roster.hear_report(report(sequence=3, state=ReceiverState.RECEIVING), 5.0)
    (seat,) = roster.seats()
    assert (seat.settled_at, seat.is_settled, roster.settled_ids()) == (4.0, True, (receiver_id(1),))
    assert outcome(roster, 4.0 + LEASE + STALL) == "verified"
    assert roster.awaited(5.0) == []


@pytest.mark.parametrize("state", [ReceiverState.REFUSED, ReceiverState.FAILED, ReceiverState.DAMAGED])
def test_every_final_state_is_settled(state: ReceiverState) -> None:
    roster = roster_with()
    assert roster.hear_report(report(sequence=2, state=state), 4.0)
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
        assert roster.hear_report(report(sequence=second + 1), float(second))
    assert outcome(roster, 199.0) == "ready"
    assert roster.count_ready(199.0) == 1


@pytest.mark.parametrize("state", [ReceiverState.READY, ReceiverState.RECEIVING, ReceiverState.VERIFYING])
def test_a_seat_that_speaks_but_gets_nowhere_is_stalled(state: ReceiverState) -> None:
    roster = roster_with()
    roster.expect_progress(100.0)
    assert roster.hear_report(report(sequence=2, state=state), 100.0)
    for second in range(101, 165):
        assert roster.hear_report(report(sequence=second, state=state), float(second))
        is_stalled = second > 100 + STALL
        assert (outcome(roster, float(second)) == STALLED) == is_stalled
        assert (roster.awaited(float(second)) == []) == is_stalled
        assert roster.hear(receiver_id(1), float(second)) == (not is_stalled)


@pytest.mark.parametrize(
    "change",
    [{"has_manifest": True}, {"blocks_missing": 1}, {"bytes_received": 1}, {"bytes_verified": 1}],
    ids=lambda change: next(iter(change)),
)
def test_any_progress_ends_a_stall(change: dict[str, int]) -> None:
    roster = roster_with()
    roster.expect_progress(0.0)
    assert roster.hear_report(report(sequence=2), STALL + 1.0)
    assert outcome(roster, STALL + 1.0) == STALLED
    assert roster.hear_report(report(sequence=3, **change), STALL + 2.0)
    assert outcome(roster, STALL + 2.0) == "ready"


def test_a_late_seat_has_its_own_time_to_get_somewhere() -> None:
    roster = Roster()
    roster.expect_progress(0.0)
    assert roster.hear_report(report(), STALL + 5.0)
    assert outcome(roster, STALL + 6.0) == "ready"


def test_only_ready_seats_that_speak_count_as_ready() -> None:
    roster = roster_with(1)
    assert roster.hear_report(report(2), 20.0)
    assert roster.hear_report(report(3, state=ReceiverState.RECEIVING), 20.0)
    assert roster.hear_report(report(4, state=ReceiverState.REFUSED), 20.0)
    assert roster.count_ready(20.0) == 1
    assert roster.count_ready(5.0) == 2


def test_invented_receivers_do_not_grow_the_roster_without_end() -> None:
    roster = Roster()
    assert all(roster.hear_report(report(number), 0.0) for number in range(MAX_SEATS))
    assert not roster.hear_report(report(MAX_SEATS), 0.0)
    assert roster.hear_report(report(7, sequence=2), 0.0)
    assert len(roster) == MAX_SEATS
