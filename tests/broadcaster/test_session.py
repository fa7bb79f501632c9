"""Phases, what leaves when and who is heard; deltas, lanes and restarts are in test_session_room."""

from collections.abc import Callable

import pytest

from broadcaster.readiness import MANIFEST_PATIENCE
from broadcaster.repair_credit import UNKNOWN_RATIO
from broadcaster.roster import LEASE, STALL
from broadcaster.session import RETURN_PATIENCE
from broadcaster.transmission import Transmission
from protocol.messages import (
    ReceiverState,
    SessionPhase,
    SessionStatus,
)
from protocol.wire import TOI_DISK
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


# --- what leaves ---------------------------------------------------------------------------------------------------


def test_the_position_follows_what_has_left_not_what_was_handed_out() -> None:
    session = at_disk().session
    handed_out = [session.next_transmission(0.0) for _ in range(3)]
    plan = session.plan(TOI_DISK)
    assert plan.position == 0
    for count, transmission in enumerate(handed_out, 1):
        assert transmission is not None
        session.transmitted(transmission, 0.0)
        assert (plan.position, plan.departed_count) == (count, count)


def test_blocks_that_are_sent_side_by_side_leave_in_any_order() -> None:
    session = at_disk().session
    first, second, third = (session.next_transmission(0.0) for _ in range(3))
    assert first is not None
    assert second is not None
    assert third is not None
    plan = session.plan(TOI_DISK)
    for transmission, position in ((third, 0), (first, 1), (second, 3)):
        session.transmitted(transmission, 0.0)
        assert plan.position == position


def test_repair_is_sent_for_what_has_left_only() -> None:
    bench = at_disk()
    bench.send(0.0, limit=2)
    bench.ask(1, 0.0, deficits=((0, 3), (3, 3)), absent=((1, 3),))
    repair = [each for each in bench.send(0.0) if not each.is_first_pass]
    assert repair == [
        Transmission(1, 0, K, range(K, K + 3), is_first_pass=False),
        Transmission(1, 1, K, range(K), is_first_pass=False),
    ]
    assert (bench.session.repair_datagrams, bench.session.datagrams_sent) == (K + 3, 2 + 4 * K + K + 3)


def test_what_is_handed_out_but_has_not_left_is_not_repaired() -> None:
    bench = at_disk()
    for _ in range(4):
        bench.session.next_transmission(0.0)
    bench.ask(1, 0.0, absent=((0, 3),))
    assert bench.session.next_transmission(0.0) is None


def test_a_request_is_discounted_by_repair_that_has_only_just_left() -> None:
    bench = at_disk()
    bench.send(0.0)
    bench.ask(1, 0.0, deficits=((0, 3),))
    repair = bench.session.next_transmission(0.0)
    assert repair is not None
    bench.session.transmitted(repair, 2.0)  # a long transmit queue
    bench.ask(1, 2.05, deficits=((0, 3),))
    assert bench.session.next_transmission(2.05) is None


def test_repair_has_its_share_of_the_first_pass_and_no_more() -> None:
    bench = at_disk(disk_blocks=3000)
    sent = bench.send(0.0, limit=100)
    for cycle in range(1, 60):
        bench.ask(1, cycle * 0.4, deficits=tuple((sbn, K) for sbn in range(100)))
        sent += bench.send(cycle * 0.4, limit=40)
    assert not bench.session.plan(TOI_DISK).is_over
    datagrams = sum(len(each.esis) for each in sent[100:])
    repair = sum(len(each.esis) for each in sent[100:] if not each.is_first_pass)
    assert repair / datagrams == pytest.approx(UNKNOWN_RATIO, abs=0.02)


def test_an_hour_without_loss_buys_no_storm_of_repair() -> None:
    bench = at_disk(disk_blocks=2000)
    bench.send(0.0, limit=1000)
    bench.ask(1, 0.0, deficits=tuple((sbn, K) for sbn in range(100)))
    repair_count = sum(not each.is_first_pass for each in bench.send(0.0, limit=40))
    assert 4 <= repair_count <= 4 + 2  # a tenth of 40 blocks, and the one saved up


def test_whole_blocks_wait_for_the_end_of_the_pass() -> None:
    bench = at_disk(disk_blocks=20)
    bench.send(0.0, limit=10)
    bench.ask(1, 0.0, absent=((2, 3),), deficits=((5, 1),))
    assert bench.sent_blocks(0.0) == [5, *range(10, 20), 2, 3]


def test_whole_blocks_of_the_manifest_do_not_wait() -> None:
    bench = at_disk(disk_blocks=20)
    bench.send(0.0, limit=10)
    bench.report(7, 0.0)
    bench.ask(7, 0.0, toi=0, absent=((0, 0),))
    assert (bench.send(0.0, limit=1)[0].toi, bench.send(0.0, limit=1)[0].toi) == (0, 1)


def test_after_the_first_pass_everything_is_repair() -> None:
    bench = at_disk(disk_blocks=100)
    bench.send(0.0)
    bench.ask(1, 1.0, absent=((0, 99),))
    assert bench.sent_blocks(1.0) == list(range(100))


def test_who_is_not_of_the_session_gets_no_repair() -> None:
    bench = at_disk()
    bench.send(0.0)
    bench.ask(9, 1.0, absent=((0, 3),))
    bench.ask(1, 1.0, absent=((0, 3),), tsi=OTHER_TSI)
    assert bench.send(1.0) == []


def test_a_settled_or_stalled_seat_gets_no_repair() -> None:
    bench = at_disk(seats=3)
    bench.send(0.0)
    bench.verified(1, 1.0)
    bench.ask(1, 1.0, absent=((0, 3),))
    assert bench.send(1.0) == []
    for second in range(1, 70):
        bench.receiving(2, float(second))
        bench.receiving(3, float(second), bytes_written=second)
    bench.ask(2, 70.0, absent=((0, 3),))
    assert bench.send(70.0) == []
    bench.ask(3, 70.0, absent=((0, 3),))
    assert len(bench.send(70.0)) == 4


def test_nobody_stalls_while_the_first_pass_runs() -> None:
    bench = at_disk(disk_blocks=2000)
    for second in range(200):
        bench.send(float(second), limit=1)
        for number in (1, 2):
            bench.receiving(number, float(second))  # what it misses may come last
    assert bench.outcome(1, 199.0) == "receiving"


def test_a_lost_seat_that_asks_is_back() -> None:
    bench = at_disk()
    bench.send(0.0)
    bench.receiving(2, 9.0, bytes_written=1)
    bench.ask(1, LEASE + 5.0, deficits=((0, 1),))
    assert bench.sent_blocks(LEASE + 5.0) == [0]


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
