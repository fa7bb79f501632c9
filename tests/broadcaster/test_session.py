"""Phases of a sender session, and who is heard; the rest is in test_session_outgoing, _room and _restart."""

from collections.abc import Callable

import pytest

from broadcaster.readiness import MANIFEST_PATIENCE
from broadcaster.roster import LEASE, STALL
from broadcaster.session import RETURN_PATIENCE
from broadcaster.transmission import Transmission
from protocol.messages import (
    ReceiverState,
    SessionPhase,
    SessionStatus,
)
from tests.broadcaster.sender_session import Bench, K, at_disk
from tests.sample_messages import OTHER_TSI, announcement, presence, receiver_id, report, status

# --- phases --------------------------------------------------------------------------------------------------------


def test_the_whole_way() -> None:
    bench = Bench()
    session, phases = bench.session, [bench.phase()]
    assert bench.send(0.0) == []
    bench.report(1, 1.0)
    assert bench.phase() is SessionPhase.WAITING
    bench.report(2, 2.0)
    phases.append(bench.phase())
    assert session.started_at == 2.0
    assert bench.send(2.0) == [Transmission(0, 0, 2, range(2), is_first_pass=True)]
    bench.receiving(1, 3.0)
    bench.misses(1, 3.0)
    assert bench.phase() is SessionPhase.MANIFEST
    bench.receiving(2, 3.0)
    bench.misses(2, 3.0)
    phases.append(bench.phase())
    assert bench.send(3.0) == [Transmission(1, sbn, K, range(K), is_first_pass=True) for sbn in range(4)]
    bench.verified(1, 4.0)
    assert bench.phase() is SessionPhase.DISK
    bench.verified(2, 5.0)
    phases.append(bench.phase())
    assert phases == [SessionPhase.WAITING, SessionPhase.MANIFEST, SessionPhase.DISK, SessionPhase.ENDED]
    assert (session.ended_at, session.end_reason) == (5.0, "every seat is settled, lost or stalled")
    assert bench.send(6.0) == []


def test_after_the_wait_it_begins_with_whoever_is_there() -> None:
    bench = Bench(expect=5, wait=30.0)
    for second in range(30):
        bench.report(1, float(second))
        assert bench.phase() is SessionPhase.WAITING
    bench.report(1, 30.0)
    assert bench.phase() is SessionPhase.MANIFEST


def test_when_nobody_came_it_ends_by_time_alone() -> None:
    bench = Bench(wait=30.0)
    assert bench.session.next_transmission(29.9) is None
    assert bench.phase() is SessionPhase.WAITING
    assert bench.session.next_transmission(30.0) is None
    assert (bench.phase(), bench.session.end_reason) == (SessionPhase.ENDED, "no receiver is ready")


def test_a_seat_that_has_gone_silent_is_not_ready() -> None:
    bench = Bench(expect=2, wait=30.0)
    bench.report(1, 0.0)
    bench.report(2, LEASE + 1.0)
    assert bench.phase() is SessionPhase.WAITING
    bench.report(1, LEASE + 2.0)
    assert bench.phase() is SessionPhase.MANIFEST


def test_a_refusal_is_not_waited_for() -> None:
    bench = Bench(expect=2, wait=300.0)
    bench.report(1, 1.0)
    bench.report(2, 2.0, state=ReceiverState.REFUSED, reason="too small")
    assert bench.phase() is SessionPhase.MANIFEST
    alone = Bench(expect=1, wait=300.0)
    alone.report(1, 1.0, state=ReceiverState.REFUSED)
    assert (alone.phase(), alone.session.end_reason) == (SessionPhase.ENDED, "every seat is settled")


def test_the_end_of_the_wait_waits_for_countdowns() -> None:
    bench = Bench(expect=3, wait=30.0)
    bench.report(1, 28.0, state=ReceiverState.ARMING)
    bench.report(1, 31.0, state=ReceiverState.ARMING)
    assert bench.phase() is SessionPhase.WAITING
    bench.report(2, 32.0)
    assert bench.phase() is SessionPhase.WAITING
    bench.report(1, 38.0)
    assert bench.phase() is SessionPhase.MANIFEST


def test_a_seat_that_is_stopped_at_the_seat_is_not_waited_for() -> None:
    bench = Bench(expect=2, wait=300.0)
    bench.report(1, 1.0)
    bench.report(2, 1.0, state=ReceiverState.ARMING)
    assert bench.phase() is SessionPhase.WAITING
    bench.report(2, 2.0, state=ReceiverState.REFUSED, reason="stopped at the seat")
    assert bench.phase() is SessionPhase.MANIFEST


def test_a_late_seat_that_counts_down_holds_up_nobody_and_is_awaited_at_the_end() -> None:
    bench = Bench(expect=1)
    bench.report(1, 0.0)
    bench.send(0.0)
    bench.report(2, 1.0, state=ReceiverState.ARMING)
    bench.receiving(1, 1.0)
    bench.misses(1, 1.0)
    assert bench.sent_blocks(1.0) == [0, 1, 2, 3]
    bench.verified(1, 2.0)
    assert bench.phase() is SessionPhase.DISK
    assert bench.outcome(2, 2.0) == "arming"
    bench.receiving(2, 9.0)
    bench.misses(2, 9.0)
    assert sorted(bench.sent_blocks(9.0)) == [0, 1, 2, 3]
    bench.verified(2, 10.0)
    assert bench.phase() is SessionPhase.ENDED


def test_nobody_waits_for_a_manifest_longer_than_patience() -> None:
    bench = Bench(expect=3)
    for number in (1, 2, 3):
        bench.report(number, 0.0)
    bench.send(1.0)
    bench.receiving(1, 2.0)
    bench.misses(1, 2.0)
    for number in (2, 3):
        bench.report(number, 1.0 + MANIFEST_PATIENCE - 0.1)
    assert bench.phase() is SessionPhase.MANIFEST
    bench.report(2, 1.0 + MANIFEST_PATIENCE)
    assert bench.phase() is SessionPhase.DISK


def test_the_disk_waits_until_the_manifest_has_left() -> None:
    bench = Bench(expect=1)
    bench.report(1, 0.0)
    transmission = bench.session.next_transmission(0.0)
    assert transmission is not None
    bench.receiving(1, 1.0)
    bench.misses(1, 1.0)
    assert bench.phase() is SessionPhase.MANIFEST
    bench.session.transmitted(transmission, 2.0)
    assert bench.session.next_transmission(2.0) is not None
    assert bench.phase() is SessionPhase.DISK


@pytest.mark.parametrize("state", [ReceiverState.REFUSED, ReceiverState.FAILED])
def test_it_ends_in_the_manifest_when_every_seat_gave_up(state: ReceiverState) -> None:
    bench = Bench(expect=1)
    bench.report(1, 0.0)
    bench.report(1, 1.0, state=state)
    assert bench.phase() is SessionPhase.ENDED


def test_it_ends_when_every_seat_has_fallen_silent() -> None:
    bench = at_disk()
    bench.send(0.0)
    bench.verified(1, 8.0)
    assert bench.session.next_transmission(LEASE) is None
    assert bench.phase() is SessionPhase.DISK
    assert bench.session.next_transmission(LEASE + 0.1) is None
    assert bench.phase() is SessionPhase.ENDED


def test_a_silent_seat_is_given_time_after_the_last_datagram_to_speak_again() -> None:
    bench = at_disk()
    bench.verified(1, 1.0)
    last = LEASE - 1.0
    bench.send(last)  # a flood: seat 2 cannot get a word out
    assert bench.outcome(2, last + 1.5) == "lost"
    assert bench.session.next_transmission(last + RETURN_PATIENCE - 0.1) is None
    assert bench.phase() is SessionPhase.DISK
    assert bench.session.next_transmission(last + RETURN_PATIENCE) is None
    assert bench.phase() is SessionPhase.ENDED


def test_a_seat_that_returns_is_awaited_as_before() -> None:
    bench = at_disk()
    bench.verified(1, 1.0)
    last = LEASE - 1.0
    bench.send(last)
    bench.receiving(2, last + RETURN_PATIENCE - 0.1, blocks_missing=1)
    assert bench.session.next_transmission(last + RETURN_PATIENCE + LEASE - 1.0) is None
    assert bench.phase() is SessionPhase.DISK
    assert bench.session.next_transmission(last + RETURN_PATIENCE + LEASE) is None
    assert bench.phase() is SessionPhase.ENDED


def test_without_silent_seats_nobody_waits_for_a_return() -> None:
    bench = at_disk()
    bench.send(5.0)
    bench.verified(1, 6.0)
    bench.report(2, 6.0, state=ReceiverState.FAILED)
    assert bench.phase() is SessionPhase.ENDED


def test_a_seat_that_multicast_does_not_reach_cannot_keep_it_from_ending() -> None:
    bench = Bench(expect=2)
    for number in (1, 2):
        bench.report(number, 0.0)
    bench.send(0.0)
    bench.receiving(1, 1.0)
    bench.misses(1, 1.0)
    now = 1.0
    while bench.phase() is not SessionPhase.ENDED and now < 200.0:
        now += 0.5
        bench.report(2, now)
        bench.ask(2, now, toi=0, absent=((0, 0),))
        bench.send(now)
        if now == 20.0:
            bench.verified(1, now)
    assert STALL <= now <= STALL + MANIFEST_PATIENCE + 1.0


def test_a_late_seat_joins_and_is_awaited() -> None:
    bench = at_disk(seats=1)
    bench.send(0.0)
    bench.report(7, 1.0)
    bench.verified(1, 2.0)
    assert bench.phase() is SessionPhase.DISK
    bench.ask(7, 2.0, toi=0, absent=((0, 0),))
    assert bench.send(2.0) == [Transmission(0, 0, 2, range(2), is_first_pass=False)]
    bench.ask(7, 3.0, absent=((0, 3),))
    assert bench.sent_blocks(3.0) == [0, 1, 2, 3]
    bench.verified(7, 4.0)
    assert bench.phase() is SessionPhase.ENDED


@pytest.mark.parametrize("begin", [Bench, at_disk], ids=["waiting", "disk"])
def test_abort_ends_it_in_any_phase_and_only_once(begin: Callable[[], Bench]) -> None:
    bench = begin()
    session = bench.session
    session.abort("the operator said so", 3.0)
    session.abort("again", 4.0)
    assert (session.phase, session.end_reason, session.ended_at) == (SessionPhase.ENDED, "the operator said so", 3.0)
    assert bench.send(5.0) == []


# --- whom it hears -------------------------------------------------------------------------------------------------


def test_other_sessions_and_other_broadcasters_are_ignored() -> None:
    session = Bench(expect=1).session
    for message in (report(1, tsi=OTHER_TSI), status(5, phase=SessionPhase.ENDED), announcement(), presence(1)):
        session.receive_message(message, 1.0)
    assert (session.phase, len(session.roster)) == (SessionPhase.WAITING, 0)


def test_presence_is_a_sign_of_life_and_its_end_is_none() -> None:
    session = at_disk().session
    session.receive_message(presence(1), LEASE)
    session.receive_message(presence(2, is_online=False), LEASE)
    assert [seat.outcome(LEASE + 0.1) for seat in session.roster.seats()] == ["receiving", "lost"]


@pytest.mark.parametrize(
    "request_of",
    [
        {"deficits": ((4, 1),)},
        {"deficits": ((0, K + 1),)},
        {"absent": ((0, 4),)},
        {"absent": ((2, 1),)},
        {"toi": 0, "deficits": ((0, 3),)},
        {"toi": 0, "absent": ((1, 1),)},
    ],
    ids=str,
)
def test_a_request_for_what_does_not_exist_is_nonsense_and_worth_nothing(request_of: dict[str, object]) -> None:
    bench = at_disk()
    bench.send(0.0)
    bench.ask(1, 1.0, **request_of)
    assert bench.nonsense == [receiver_id(1)]
    assert bench.send(1.0) == []
    bench.ask(2, 1.0, deficits=((0, 1),))
    assert bench.nonsense == [receiver_id(1)]
    assert bench.sent_blocks(1.0) == [0]


def test_requests_for_the_disk_before_the_disk_are_ignored() -> None:
    bench = Bench(expect=1)
    bench.report(1, 0.0)
    bench.ask(1, 0.0, absent=((0, 3),))
    assert [each.toi for each in bench.send(0.0)] == [0]
    assert bench.nonsense == []


def told_settled(bench: Bench, now: float) -> tuple[str, ...]:
    said = list(iter(lambda: bench.session.next_message(now), None))
    return next(message.settled for message in said if isinstance(message, SessionStatus))


def test_a_seat_is_acknowledged_only_when_a_restart_would_find_its_final_report() -> None:
    bench = at_disk(is_recorded=True)
    bench.verified(1, 5.0)
    assert told_settled(bench, 5.0) == ()
    seats = {seat.report.receiver_id: seat.report for seat in bench.session.roster.seats()}
    bench.session.recorded([seats[receiver_id(2)]], 5.1)  # which is not final
    assert told_settled(bench, 5.1) == ()
    bench.session.recorded(seats.values(), 5.2)
    assert told_settled(bench, 5.2) == (receiver_id(1),)


def test_when_the_session_is_over_there_is_nothing_to_restart() -> None:
    bench = at_disk(is_recorded=True)
    bench.verified(1, 10.0)
    bench.verified(2, 10.0)
    assert bench.phase() is SessionPhase.ENDED
    assert told_settled(bench, 10.0) == (receiver_id(1), receiver_id(2))
