"""What the operator does to a running or planned session, at one seat: stopping it, and letting it rest."""

from collections.abc import Callable

import pytest

from protocol.errors import RefusedError
from protocol.messages import ReceiverState
from receiver.arming import STOPPED_BY_OPERATOR
from tests.receiver.planned_seat import last_report, planned_seat
from tests.receiver.seat import K, Seat, manifest_of, receiving_seat, verifying_seat
from tests.sample_messages import receiver_id, status
from tests.sample_orders import (
    inside,
    ticket_for,
)

WRITE = ticket_for(may_write=True)


@pytest.mark.parametrize("make", [planned_seat, lambda: planned_seat(countdown=9.0), lambda: Seat(countdown=9.0), Seat])
def test_a_seat_that_is_dismissed_before_it_writes_never_does(make: Callable[[], Seat]) -> None:
    seat = make()
    seat.session.receive_message(status(9, dismissed=(receiver_id(2),)), 1.0)
    assert not seat.session.state.is_final
    seat.session.receive_message(status(10, dismissed=(receiver_id(1),)), 1.0)
    report = last_report(seat, 1.0)
    assert (report.state, report.reason) == (ReceiverState.REFUSED, STOPPED_BY_OPERATOR)
    seat.session.released(inside(WRITE), 2.0)
    with pytest.raises(RefusedError):
        seat.session.arming.begin_writing(100.0, proved_blocks=1)
    assert seat.session.is_stopped


def test_one_that_writes_stops_and_keeps_its_marker() -> None:
    seat = receiving_seat(3)
    seat.session.arming.begin_writing(0.0, proved_blocks=1)
    seat.arrive(0, range(K))
    (block,) = seat.decodable()
    seat.session.receive_message(status(10, dismissed=(receiver_id(1),)), 1.0)
    report = last_report(seat, 1.0)
    assert (report.state, report.reason) == (ReceiverState.FAILED, STOPPED_BY_OPERATOR)
    assert not seat.arrive(1, range(K))
    seat.session.block_stored(block, 1.0)
    seat.session.read_back_failed([0], 1.0)
    seat.session.manifest_loaded(manifest_of(3), 1.0)
    assert seat.session.state is ReceiverState.FAILED
    assert seat.events() == []


def test_one_that_reads_back_stops_but_not_while_it_commits() -> None:
    seat = verifying_seat()
    seat.session.arming.begin_writing(0.0, proved_blocks=1)
    seat.session.receive_message(status(10, dismissed=(receiver_id(1),)), 1.0)
    assert seat.session.state is ReceiverState.FAILED
    assert not seat.session.may_commit()
    seat = verifying_seat()
    seat.session.arming.begin_writing(0.0, proved_blocks=1)
    assert seat.session.may_commit()
    seat.session.receive_message(status(10, dismissed=(receiver_id(1),)), 1.0)
    seat.session.verified(2.0)
    assert seat.session.state is ReceiverState.VERIFIED


def test_while_it_is_paused_nothing_is_asked_for_and_nobody_leaves() -> None:
    mine = (receiver_id(1),)
    seat = receiving_seat(5, catch_up_url="https://192.0.2.1:1")
    for second in range(1, 40):
        resting = status(10 + second, position=5, is_paused=True, catch_up=mine if second > 20 else ())
        seat.session.receive_message(resting, float(second))
        assert seat.requests(float(second)) == []
        assert seat.wants_of_lane(float(second)) == []
        assert not seat.session.has_lost_sender
    seat.session.receive_message(status(100, position=5, catch_up=mine), 40.0)
    assert [want.sbn for want in seat.wants_of_lane(41.0)] == list(range(5))
    seat.session.receive_message(status(101, position=5), 42.0)
    asked = [request for now in (43.0, 44.0, 45.0) for request in seat.requests(now)]
    assert asked


def test_a_fetch_that_is_under_way_when_it_is_paused_is_given_up() -> None:
    mine = (receiver_id(1),)
    seat = receiving_seat(5, catch_up_url="https://192.0.2.1:1")
    seat.session.receive_message(status(10, position=5, catch_up=mine), 1.0)
    want = seat.session.next_want(5.0)
    assert want is not None
    assert seat.session.is_wanted(want)
    seat.session.receive_message(status(11, position=5, catch_up=mine, is_paused=True), 6.0)
    assert not seat.session.is_wanted(want)
    seat.session.receive_message(status(12, position=5, catch_up=mine), 7.0)
    assert seat.session.next_want(8.0) == want
