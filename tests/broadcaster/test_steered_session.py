"""What an operator does to a session: plan, release, pause, dismiss, move; the transmitter and the seats are played."""

import pytest

from broadcaster.lanes import MOVED
from broadcaster.readiness import SCAN_PATIENCE
from broadcaster.roster import ABORTED, LEASE, LONGEST_ARMING, STALL, STALLED
from protocol.messages import ReceiverState, SessionPhase, SessionStatus
from tests.broadcaster.sender_session import RATE, URL, Bench, at_disk
from tests.sample_messages import receiver_id

PLANNED = ReceiverState.PLANNED


def planned(*seats: int, expect: int = 30, **settings: object) -> Bench:
    """These seats hold the manifest, know what they lack and wait."""
    bench = Bench(expect=expect, is_held=True, **settings)  # type: ignore[arg-type]  # the settings of a Bench
    for number in seats:
        bench.report(number, 0.0, state=PLANNED)
    bench.send(0.0)
    for number in seats:
        look(bench, number, 0.0)
    return bench


def look(bench: Bench, number: int, now: float, **changes: object) -> None:
    """A planned seat knows what it lacks."""
    bench.receiving(number, now, **{"state": PLANNED, **changes})
    bench.misses(number, now)


def statuses(bench: Bench, now: float) -> list[SessionStatus]:
    said = []
    while (message := bench.session.next_message(now)) is not None:
        if isinstance(message, SessionStatus):
            said.append(message)
    return said


# --- the plan ------------------------------------------------------------------------------------------------------


def test_a_plan_sends_the_manifest_and_nothing_else_for_as_long_as_it_is_held() -> None:
    bench = Bench(is_held=True)
    assert bench.send(0.0) == []
    bench.report(1, 1.0, state=PLANNED)
    assert [each.toi for each in bench.send(1.0)] == [0]
    look(bench, 1, 1.0)
    for hour in range(1, 30):
        now = 3600.0 * hour
        look(bench, 1, now)
        assert bench.send(now) == []
        assert bench.phase() is SessionPhase.MANIFEST
        assert bench.outcome(1, now) == "planned"
    assert bench.session.started_at is None
    assert bench.session.is_held


def test_a_seat_that_comes_late_gets_the_manifest_too() -> None:
    bench = planned(1)
    bench.report(2, 500.0, state=PLANNED)
    assert bench.send(500.0) == []
    bench.ask(2, 501.0, toi=0, absent=((0, 0),))
    assert {(each.toi, each.sbn) for each in bench.send(501.0)} == {(0, 0)}


def test_a_plan_does_not_end_by_itself_whoever_is_refused_or_lost() -> None:
    bench = planned(1, 2)
    bench.report(1, 1.0, state=ReceiverState.REFUSED)
    for now in (5.0, 100.0, 10_000.0):
        bench.send(now)
        assert bench.phase() is SessionPhase.MANIFEST
    assert bench.outcome(2, 10_000.0) == "lost"


def test_a_plan_that_is_dropped_ends() -> None:
    bench = planned(1)
    bench.session.abort("dropped", 9.0)
    assert bench.phase() is SessionPhase.ENDED
    bench.session.release(10.0)
    assert bench.session.is_held
    assert bench.send(11.0) == []


def test_released_it_waits_until_the_seats_that_the_operator_saw_may_write() -> None:
    bench = planned(1, 2, 3)
    bench.report(3, 50.0, state=ReceiverState.REFUSED)
    look(bench, 1, 50.0)
    look(bench, 2, 50.0)
    bench.session.release(50.0, expected_seats=2)
    assert not bench.session.is_held
    for state in (PLANNED, ReceiverState.ARMING):
        for number in (1, 2):
            look(bench, number, 55.0, state=state)
        assert bench.send(55.0) == []
    bench.receiving(1, 60.0)
    assert bench.send(60.0) == []
    assert bench.phase() is SessionPhase.MANIFEST
    bench.receiving(2, 60.0)
    assert bench.sent_blocks(60.0) == [0, 1, 2, 3]
    assert bench.phase() is SessionPhase.DISK
    assert bench.session.started_at == 50.0


def test_the_first_pass_is_what_the_seats_said_while_they_were_planned() -> None:
    bench = planned(1, 2)
    bench.misses(1, 1.0, (0, 1))
    bench.misses(2, 1.0, (2, 3))
    bench.session.release(2.0, expected_seats=2)
    bench.receiving(1, 3.0)
    bench.receiving(2, 3.0)
    assert bench.sent_blocks(3.0) == [0, 2]


def test_who_is_ready_and_has_opened_its_disk_not_yet_is_waited_for() -> None:
    bench = planned(1, 2)
    bench.session.release(2.0, expected_seats=2)
    bench.receiving(1, 3.0)
    bench.report(2, 3.0, state=ReceiverState.READY)
    assert bench.send(3.0) == []
    assert bench.send(3.0 + SCAN_PATIENCE) != []


def test_a_seat_that_never_begins_is_given_up_after_the_wait() -> None:
    bench = planned(1, 2, wait=60.0)
    bench.session.release(100.0, expected_seats=2)
    for second in range(100, 191):
        look(bench, 1, float(second))
        bench.receiving(2, float(second))
    assert bench.sent_blocks(191.0) == [0, 1, 2, 3]
    last = 100 + int(LONGEST_ARMING) + 2
    for second in range(191, last):
        look(bench, 1, float(second))
        bench.receiving(2, float(second))
    assert bench.outcome(1, float(last)) == STALLED
    bench.verified(2, float(last))
    bench.send(float(last) + LEASE)
    assert bench.phase() is SessionPhase.ENDED


def test_a_plan_that_is_released_before_anybody_came_waits_as_every_session() -> None:
    bench = Bench(expect=1, wait=30.0, is_held=True)
    bench.session.release(100.0)
    bench.send(129.0)
    assert bench.phase() is SessionPhase.WAITING
    bench.send(130.0)
    assert (bench.phase(), bench.session.end_reason) == (SessionPhase.ENDED, "no receiver is ready")


def test_a_released_plan_that_everybody_has_left_ends_when_the_wait_is_over() -> None:
    bench = planned(1, wait=30.0)
    bench.session.release(5.0, expected_seats=1)
    bench.send(20.0)
    assert bench.phase() is SessionPhase.MANIFEST
    bench.send(35.0)
    assert bench.phase() is SessionPhase.ENDED


def test_a_plan_that_goes_on_after_a_restart_sends_the_manifest_to_those_that_lack_it() -> None:
    bench = Bench(is_held=True, generation=3)
    bench.report(1, 0.0, state=PLANNED)
    assert [each.toi for each in bench.send(0.0)] == [0]


def test_releasing_twice_is_releasing_once() -> None:
    bench = planned(1, 2)
    bench.session.release(2.0, expected_seats=2)
    bench.session.release(9.0, expected_seats=1)
    bench.receiving(1, 9.0)
    assert bench.send(9.0) == []


# --- the pause -----------------------------------------------------------------------------------------------------


def test_while_it_is_paused_nothing_leaves_and_nobody_is_given_up() -> None:
    bench = at_disk(seats=2)
    assert bench.sent_blocks(0.0, limit=1) == [0]
    bench.session.pause(1.0)
    assert bench.session.is_paused
    for second in range(1, 2 * int(STALL)):
        now = float(second)
        for number in (1, 2):
            bench.receiving(number, now, symbols_expected=10_000 * second, symbols_lost=9_000 * second)
        bench.ask(1, now, deficits=((0, 3),))
        assert bench.send(now) == []
        assert [status.is_paused for status in statuses(bench, now)] == [True]
        assert {bench.outcome(number, now) for number in (1, 2)} == {"receiving"}
    assert bench.session.rate.rate_bits_per_second == RATE
    now = 2.0 * STALL
    bench.session.resume(now)
    assert not statuses(bench, now)[0].is_paused
    assert sorted(bench.sent_blocks(now)) == [0, 1, 2, 3]
    bench.receiving(1, now + STALL - 1)
    assert bench.outcome(1, now + STALL - 1) == "receiving"


def test_a_pause_when_everybody_is_silent_does_not_end_the_session() -> None:
    bench = at_disk(seats=1)
    bench.session.pause(1.0)
    bench.send(1000.0)
    assert bench.phase() is SessionPhase.DISK
    bench.session.abort("stopped", 1000.0)
    assert bench.phase() is SessionPhase.ENDED
    bench.session.pause(1001.0)


def test_a_pause_is_no_part_of_the_wait() -> None:
    bench = Bench(expect=2, wait=30.0)
    bench.report(1, 0.0)
    bench.session.pause(10.0)
    bench.session.resume(100.0)
    bench.report(1, 119.0)
    assert bench.send(119.0) == []
    assert bench.send(120.0) != []


def test_resuming_what_goes_on_changes_nothing() -> None:
    bench = at_disk(seats=1)
    bench.session.resume(1.0)
    assert bench.sent_blocks(1.0) == [0, 1, 2, 3]


# --- one seat ------------------------------------------------------------------------------------------------------


def test_a_seat_that_is_dismissed_is_told_and_nobody_waits_for_it() -> None:
    bench = at_disk(seats=2)
    assert bench.session.dismiss(receiver_id(2), 1.0)
    said = statuses(bench, 1.0)[-1]
    assert (said.dismissed, said.settled) == ((receiver_id(2),), ())
    bench.receiving(2, 1.2)
    bench.ask(2, 1.2, deficits=((0, 3),))
    bench.send(1.2)
    bench.verified(1, 2.0)
    bench.report(2, 2.0, state=ReceiverState.FAILED, reason="stopped by the operator")
    said = statuses(bench, 2.0)[-1]
    assert (said.dismissed, set(said.settled)) == ((), {receiver_id(1), receiver_id(2)})
    assert bench.phase() is SessionPhase.ENDED
    assert not bench.session.dismiss(receiver_id(1), 3.0)


def test_a_seat_that_does_not_care_is_not_waited_for_for_long() -> None:
    bench = at_disk(seats=2)
    bench.send(0.0)
    bench.session.dismiss(receiver_id(2), 1.0)
    bench.session.dismiss(receiver_id(2), 9.0)
    for second in range(1, 13):
        bench.receiving(2, float(second))
        bench.receiving(1, float(second))
    assert bench.outcome(2, 1.0 + LEASE) == "receiving"
    assert bench.outcome(2, 1.1 + LEASE) == ABORTED
    bench.verified(1, 12.0)
    assert bench.phase() is SessionPhase.ENDED


@pytest.mark.parametrize("number", [3, 1])
def test_who_is_unknown_or_settled_is_not_dismissed_or_moved(number: int) -> None:
    bench = at_disk(seats=2, catch_up_url=URL)
    bench.verified(1, 1.0)
    assert not bench.session.dismiss(receiver_id(number), 1.0)
    assert not bench.session.move_to_catch_up(receiver_id(number), 1.0)
    assert statuses(bench, 1.0)[-1].dismissed == ()


def test_what_a_dismissed_seat_lacks_is_not_sent() -> None:
    bench = planned(1, 2)
    bench.misses(1, 1.0, (0, 1))
    bench.session.dismiss(receiver_id(2), 1.0)
    bench.session.release(2.0, expected_seats=1)
    bench.receiving(1, 3.0)
    assert bench.sent_blocks(3.0) == [0]


def test_a_seat_that_is_moved_catches_up_by_itself_for_good() -> None:
    bench = at_disk(seats=2, catch_up_url=URL)
    assert bench.session.move_to_catch_up(receiver_id(2), 1.0)
    assert statuses(bench, 1.0)[-1].catch_up == (receiver_id(2),)
    seat = bench.session.roster.get(receiver_id(2))
    assert seat is not None
    assert (seat.slow_because, seat.was_slow_because) == (MOVED, MOVED)
    bench.send(1.0)
    bench.verified(1, 2.0)
    for second in range(2, 40):
        bench.receiving(2, float(second), bytes_received=second, catch_up_bytes=second * 1000, blocks_missing=second)
        assert statuses(bench, float(second))[-1].catch_up == (receiver_id(2),)
        bench.send(float(second))
    assert bench.session.moved_ids() == (receiver_id(2),)
    bench.verified(2, 40.0)
    assert statuses(bench, 40.0)[-1].catch_up == ()


def test_without_a_lane_nobody_is_moved() -> None:
    bench = at_disk(seats=2)
    assert not bench.session.move_to_catch_up(receiver_id(2), 1.0)
    assert statuses(bench, 1.0)[-1].catch_up == ()


def test_a_seat_that_is_moved_while_it_is_planned_stays_there() -> None:
    bench = planned(1, 2, catch_up_url=URL)
    assert bench.session.move_to_catch_up(receiver_id(2), 1.0)
    look(bench, 2, 2.0)
    assert statuses(bench, 2.0)[-1].catch_up == (receiver_id(2),)
    bench.misses(1, 2.0, (0, 1))
    bench.session.release(3.0, expected_seats=2)
    bench.receiving(1, 4.0)
    bench.receiving(2, 4.0)
    assert bench.sent_blocks(4.0) == [0]
