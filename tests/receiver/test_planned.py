"""A session that is only planned: the disk is looked at and never touched, on whatever path somebody tries it."""

import random

import msgspec
import pytest

from protocol.errors import RefusedError, SessionStateError, TicketError
from protocol.messages import ReceiverState, SessionPhase, SignedTicket
from protocol.signing import Purpose
from protocol.ticket import sign_ticket
from receiver.arming import PLANNED, STOPPED, Arming
from receiver.events import ObjectCompleted
from receiver.orders import Orders
from tests.receiver.planned_seat import last_report, planned_seat
from tests.receiver.seat import DATAGRAM, MANIFEST_K, K, Seat, manifest_of
from tests.sample_messages import receiver_id, status
from tests.sample_orders import (
    DIRECTOR,
    IMAGE_KEYS,
    OTHER_DIRECTOR,
    OTHER_SEAT,
    SEAT,
    SECRET,
    inside,
    signed_announcement,
    ticket_for,
)

COUNTDOWN = 10.0
ANNOUNCED = signed_announcement()
PLAN, WRITE = ticket_for(may_write=False), ticket_for(may_write=True)
BLOCKS = 6


def orders() -> Orders:
    return Orders(SEAT.keys, SEAT.opening_key, director_key=DIRECTOR.public, image_keys=IMAGE_KEYS)


# --- the gate ------------------------------------------------------------------------------------------------------


def test_held_it_never_opens_whatever_the_time() -> None:
    arming = Arming(COUNTDOWN, 0.0, is_held=True)
    arming.restart(0.0)
    for now in (0.0, COUNTDOWN, 1e9):
        assert not arming.is_over(now)
        with pytest.raises(SessionStateError, match="only planned"):
            arming.begin_writing(now, proved_blocks=1)
    assert arming.is_held
    assert not arming.has_begun
    assert arming.words(0.0) == PLANNED


def test_a_ticket_that_does_not_allow_it_does_not_release_it() -> None:
    arming = Arming(0.0, 0.0, is_held=True)
    with pytest.raises(SessionStateError, match="does not allow to write"):
        arming.release(inside(PLAN), 0.0)
    with pytest.raises(SessionStateError, match="only planned"):
        arming.begin_writing(1.0, proved_blocks=1)


def test_the_countdown_begins_with_the_ticket_and_once() -> None:
    arming = Arming(COUNTDOWN, 0.0, is_held=True)
    arming.release(inside(WRITE), 100.0)
    arming.release(inside(WRITE), 105.0)
    with pytest.raises(SessionStateError, match="before it may be"):
        arming.begin_writing(109.9, proved_blocks=1)
    arming.begin_writing(110.0, proved_blocks=1)
    arming.release(inside(WRITE), 111.0)
    assert arming.has_begun


def test_what_was_stopped_while_it_was_planned_is_not_released() -> None:
    arming = Arming(0.0, 0.0, is_held=True)
    assert arming.abort()
    arming.release(inside(WRITE), 1.0)
    with pytest.raises(RefusedError, match=STOPPED):
        arming.begin_writing(2.0, proved_blocks=1)


# --- orders --------------------------------------------------------------------------------------------------------


def test_a_plan_is_an_order_and_the_order_to_write_is_another() -> None:
    told = orders()
    told.announced(ANNOUNCED)
    plan = told.ticket(PLAN)
    assert plan is not None
    assert not plan.order.ticket.may_write
    assert not told.lacks_ticket
    assert told.ticket(PLAN) is None
    write = told.ticket(WRITE)
    assert write is not None
    assert write.order.ticket.may_write
    assert write.announcement == ANNOUNCED
    assert (told.ticket(WRITE), told.ticket(PLAN), told.announced(ANNOUNCED)) == (None, None, None)


def test_after_the_order_to_write_a_plan_changes_nothing_even_when_the_session_is_joined_again() -> None:
    told = orders()
    told.announced(ANNOUNCED)
    assert told.ticket(WRITE) is not None
    assert told.ticket(PLAN) is None
    told.may_begin_again(ANNOUNCED.tsi)
    told.announced(ANNOUNCED)
    assert told.ticket(PLAN) is None
    assert told.lacks_ticket
    assert told.ticket(WRITE) is not None


def test_the_order_to_write_is_judged_as_strictly_as_the_first() -> None:
    other_boot = msgspec.structs.replace(SEAT.keys, boot_nonce=bytes(16))
    body = WRITE.ticket
    altered = PLAN.ticket.replace(b'"may_write":false', b'"may_write":true')
    assert altered != PLAN.ticket
    bad: dict[str, SignedTicket] = {
        "another director": ticket_for(director=OTHER_DIRECTOR),
        "another machine": ticket_for(OTHER_SEAT),
        "an earlier boot": sign_ticket(ANNOUNCED, other_boot, SECRET, DIRECTOR, may_write=True),
        "another announcement": ticket_for(announced=signed_announcement(port=9)),
        "the plan, altered": msgspec.structs.replace(PLAN, ticket=altered),
        "another purpose": msgspec.structs.replace(WRITE, signature=DIRECTOR.sign(Purpose.CONTROL, body)),
        "another text": msgspec.structs.replace(
            WRITE, ticket=body + b" ", signature=DIRECTOR.sign(Purpose.TICKET, body + b" ")
        ),
        "another secret": sign_ticket(ANNOUNCED, SEAT.keys, bytes(32), DIRECTOR, may_write=True),
    }
    for name, signed in bad.items():
        told = orders()
        told.announced(ANNOUNCED)
        assert told.ticket(PLAN) is not None
        with pytest.raises(TicketError):
            print(name, told.ticket(signed))
        assert told.ticket(WRITE) is not None


def test_a_plan_that_was_dropped_or_left_is_not_written_later() -> None:
    told = orders()
    told.announced(ANNOUNCED)
    assert told.ticket(PLAN) is not None
    told.ended(ANNOUNCED.tsi)
    assert told.ticket(WRITE) is None
    assert told.announced(ANNOUNCED) is None
    assert told.ticket(WRITE) is None


def test_a_plan_whose_broadcaster_was_lost_is_joined_again_as_what_it_then_is() -> None:
    for again in (PLAN, WRITE):
        told = orders()
        told.announced(ANNOUNCED)
        assert told.ticket(PLAN) is not None
        told.may_begin_again(ANNOUNCED.tsi)
        assert told.ticket(again) is None
        ordered = told.announced(ANNOUNCED)
        assert ordered is not None
        assert ordered.order.ticket.may_write is (again is WRITE)


# --- the session ---------------------------------------------------------------------------------------------------


def test_a_planned_seat_says_so_and_what_its_disk_lacks() -> None:
    seat = planned_seat()
    report = last_report(seat, 0.0)
    assert (report.state, report.reason) == (ReceiverState.PLANNED, PLANNED)
    assert (report.has_manifest, report.has_scanned) == (True, True)
    assert (report.blocks_total, report.blocks_missing) == (BLOCKS, BLOCKS - 2)
    assert seat.session.blocks_missing == BLOCKS - 2


def test_its_inventory_is_told_and_told_again() -> None:
    seat = planned_seat()
    first = seat.inventories(0.0)
    assert [message.block_count for message in first] == [BLOCKS]
    assert len(seat.inventories(6.0)) == 1


def test_while_it_looks_it_does_not_know() -> None:
    seat = planned_seat(has_looked=False)
    assert not last_report(seat, 0.0).has_scanned
    assert seat.inventories(6.0) == []


def test_nothing_of_the_disk_is_taken_asked_for_or_fetched() -> None:
    seat = planned_seat(catch_up_url="https://192.0.2.1:1")
    mine = receiver_id(1)
    seat.session.receive_message(status(2, position=BLOCKS, catch_up=(mine,), must_leave_group=(mine,)), 1.0)
    for sbn in range(BLOCKS):
        assert not seat.arrive(sbn, range(K), now=1.0)
    assert seat.events() == []
    for now in (2.0, 5.0, 9.0):
        assert [request for request in seat.requests(now) if request.toi] == []
        assert seat.wants_of_lane(now) == []


def test_it_asks_for_the_manifest_that_it_lacks() -> None:
    seat = Seat(is_held=True)
    seat.session.receive_message(status(1, phase=SessionPhase.MANIFEST, position=1), 0.0)
    assert [request.toi for request in seat.requests(1.0)] == [0]


def test_time_alone_never_makes_it_write() -> None:
    seat = planned_seat()
    for now in range(1, 12):
        seat.session.receive_message(status(1 + now, phase=SessionPhase.DISK, position=BLOCKS), float(now))
        assert last_report(seat, float(now)).state is ReceiverState.PLANNED
        with pytest.raises(SessionStateError):
            seat.session.arming.begin_writing(float(now), proved_blocks=1)
    assert seat.events() == []


def test_released_it_counts_down_and_then_loads_the_manifest() -> None:
    seat = planned_seat(countdown=COUNTDOWN)
    with pytest.raises(SessionStateError):
        seat.session.released(inside(PLAN), 5.0)
    assert seat.session.state is ReceiverState.PLANNED
    seat.session.released(inside(WRITE), 5.0)
    report = last_report(seat, 5.0)
    assert (report.state, report.reason) == (ReceiverState.ARMING, "counting down: 10 s to stop it at the seat")
    assert not seat.arrive(0, range(K), now=6.0)
    assert last_report(seat, 14.9).state is ReceiverState.ARMING
    assert seat.events() == []
    seat.session.receive_message(status(2, phase=SessionPhase.MANIFEST), 14.9)
    report = last_report(seat, 15.0)
    # The disk is being opened: the sender must not begin for this seat.
    assert (report.state, report.has_manifest, report.has_scanned) == (ReceiverState.READY, False, False)
    assert seat.events() == [ObjectCompleted(0)]
    assert not seat.arrive(0, range(K), now=15.0)
    seat.session.manifest_loaded(manifest_of(BLOCKS), 15.0)
    report = last_report(seat, 15.0)
    assert (report.state, report.has_scanned, report.blocks_missing) == (ReceiverState.RECEIVING, True, BLOCKS)
    assert seat.arrive(0, range(K), now=15.0)


def test_what_was_foreseen_is_told_until_the_scan_is_over_and_is_never_believed() -> None:
    seat = planned_seat()
    before = seat.inventories(0.0)
    seat.session.released(inside(WRITE), 1.0)
    seat.messages(1.0)
    seat.events()
    seat.session.blocks_foreseen([0])  # a look that ended late
    seat.session.preview_ended(1.0)
    seat.session.manifest_loaded(manifest_of(BLOCKS), 1.0)
    assert seat.session.blocks_missing == BLOCKS
    again = seat.inventories(7.0)
    assert [each.bitmap for each in again] == [each.bitmap for each in before]
    seat.session.blocks_found([1], 7.0)
    seat.session.scan_ended(7.0)
    after = seat.inventories(7.0)
    assert [each.bitmap for each in after] != [each.bitmap for each in before]
    assert seat.session.blocks_missing == BLOCKS - 1


def test_a_manifest_that_comes_after_the_release_is_loaded_and_not_looked_at() -> None:
    seat = Seat(countdown=COUNTDOWN, is_held=True)
    seat.session.receive_message(status(1, phase=SessionPhase.MANIFEST), 0.0)
    seat.session.released(inside(WRITE), 0.0)
    assert seat.arrive(0, range(MANIFEST_K), toi=0, k=MANIFEST_K)
    seat.store()
    assert seat.events() == []
    seat.messages(COUNTDOWN)
    assert seat.events() == [ObjectCompleted(0)]


@pytest.mark.parametrize("end", [SessionPhase.ENDED, None])
def test_a_plan_that_is_dropped_or_lost_ends_without_a_word(end: SessionPhase | None) -> None:
    seat = planned_seat()
    if end is not None:
        seat.session.receive_message(status(9, phase=end), 1.0)
    assert seat.messages(100.0) == []
    assert seat.session.has_lost_sender is (end is None)
    assert [type(event).__name__ for event in seat.events()] == ["SessionLeft"]


def test_it_can_be_stopped_at_the_seat_and_is_not_released_after_that() -> None:
    seat = planned_seat()
    assert seat.session.abort(1.0)
    seat.session.released(inside(WRITE), 2.0)
    report = last_report(seat, 2.0)
    assert (report.state, report.reason) == (ReceiverState.REFUSED, STOPPED)
    assert seat.session.is_stopped
    with pytest.raises(RefusedError):
        seat.session.arming.begin_writing(3.0, proved_blocks=1)


def test_an_unfit_target_is_refused_while_it_is_planned() -> None:
    seat = planned_seat()
    seat.session.refused("too small", 1.0)
    seat.session.released(inside(WRITE), 2.0)
    assert last_report(seat, 2.0).state is ReceiverState.REFUSED
    assert seat.session.arming.is_held
    assert not seat.session.is_stopped


# --- anything in any order -----------------------------------------------------------------------------------------


def test_in_any_order_no_gate_opens_without_a_ticket_that_may_write() -> None:
    rng = random.Random(20261122)
    print("seed 20261122")
    written = 0
    for _ in range(400):
        seat, now, is_released, is_stopped = planned_seat(countdown=rng.choice([0.0, 1.0])), 0.0, False, False
        for number in range(20):
            now += rng.uniform(0.0, 0.6)
            step = rng.randrange(8)
            if step == 0 and rng.random() < 0.3:
                seat.session.released(inside(WRITE), now)
                is_released = True
            elif step == 1:
                with pytest.raises(SessionStateError):
                    seat.session.arming.release(inside(PLAN), now)
            elif step == 2 and rng.random() < 0.2:
                is_stopped |= seat.session.abort(now)
            elif step == 3:
                gone = (receiver_id(1),) if rng.random() < 0.1 else ()
                before = seat.session.state
                seat.session.receive_message(status(10 + number, position=BLOCKS, dismissed=gone), now)
                is_stopped |= seat.session.state is not before
            elif step == 4:
                seat._open(1, rng.randrange(BLOCKS), list(range(K)), K)
                seat.session.batch_opened(K * DATAGRAM, now)
            elif step == 5:
                seat.session.arming.restart(now)
            seat.messages(now)
            wants_disk = ObjectCompleted(0) in seat.events()
            assert is_released or not wants_disk
            try:
                seat.session.arming.begin_writing(now, proved_blocks=1)
            except (RefusedError, SessionStateError):
                continue
            assert is_released
            assert not is_stopped
            written += 1
            break
    assert written > 20
