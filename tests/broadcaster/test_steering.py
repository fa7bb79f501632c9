import pytest

from broadcaster.readiness import StartPolicy
from broadcaster.roster import Roster
from broadcaster.steering import Steering
from protocol.messages import ReceiverState
from tests.sample_messages import report


def roster(*states: ReceiverState) -> Roster:
    """Of seats in these states, heard at 100 s."""
    made = Roster()
    for number, state in enumerate(states, 1):
        made.hear_report(report(number, state=state), 100.0, is_progress_due=False)
    return made


def steering(*, is_held: bool = True, expected: int = 2) -> Steering:
    return Steering(StartPolicy(expected, 60.0), 0.0, is_held=is_held)


READY, PLANNED, REFUSED = ReceiverState.READY, ReceiverState.PLANNED, ReceiverState.REFUSED


def test_a_plan_never_begins_and_is_never_in_vain() -> None:
    held = steering()
    for seats in (roster(), roster(READY, READY), roster(REFUSED, REFUSED)):
        assert not held.may_begin(seats, 100.0)
        assert not held.is_in_vain(seats, 100.0)


def test_once_released_it_waits_for_whom_the_operator_expects_beside_those_that_are_settled() -> None:
    released = steering(expected=30)
    released.release(2, 1, 100.0)
    assert not released.may_begin(roster(READY, PLANNED, REFUSED), 100.0)
    assert released.may_begin(roster(READY, READY, REFUSED), 100.0)
    assert released.may_begin(roster(), 101.0)  # what has begun goes on


def test_without_a_number_for_whom_the_policy_expects() -> None:
    released = steering(expected=2)
    released.release(None, 0, 100.0)
    assert not released.may_begin(roster(READY), 100.0)
    assert released.may_begin(roster(READY, READY), 100.0)


def test_the_wait_counts_from_the_release() -> None:
    released = steering()
    released.release(None, 0, 70.0)
    assert not released.may_begin(roster(READY), 100.0)
    assert not released.is_in_vain(roster(), 100.0)
    assert released.is_in_vain(roster(), 130.0)


@pytest.mark.parametrize("seats", [roster(REFUSED, REFUSED), roster()])
def test_nobody_to_wait_for_is_the_end_when_the_wait_is_over(seats: Roster) -> None:
    plain = steering(is_held=False)
    assert plain.is_in_vain(seats, 60.0)
    assert not plain.is_in_vain(roster(), 59.0)


def test_a_rest_is_no_waiting() -> None:
    plain = steering(is_held=False)
    assert not plain.is_paused
    assert plain.resume(5.0) == 0.0
    plain.pause(10.0)
    plain.pause(20.0)
    assert plain.is_paused
    assert plain.resume(110.0) == 100.0
    assert not plain.is_paused
    assert not plain.is_in_vain(roster(), 159.0)
    assert plain.is_in_vain(roster(), 160.0)
