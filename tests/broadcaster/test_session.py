from collections.abc import Callable

import pytest

from broadcaster.rate import RateControl
from broadcaster.roster import LEASE, STALL
from broadcaster.session import (
    ANNOUNCEMENT_INTERVAL,
    MANIFEST_PATIENCE,
    REPAIR_AIRTIME_RATIO,
    STATUS_INTERVAL,
    SenderSession,
    StartPolicy,
    TransferObject,
    Transmission,
)
from protocol.errors import SessionStateError
from protocol.messages import (
    Announcement,
    ReceiverState,
    SessionPhase,
    SessionStatus,
    decode_message,
    encode_message,
    topic_of,
)
from tests.sample_messages import OTHER_TSI, announcement, presence, receiver_id, repair_request, report, status

K = 10


def open_session(
    *, expect: int = 2, wait: float = 30.0, manifest_blocks: int = 1, disk_blocks: int = 4, k: int = K
) -> SenderSession:
    return SenderSession(
        announcement(),
        manifest_object=TransferObject(manifest_blocks, lambda sbn: 2),
        disk_object=TransferObject(disk_blocks, lambda sbn: k),
        policy=StartPolicy(expect, wait),
        rate=RateControl(900_000_000, 0.0),
        now=0.0,
    )


def phase_of(session: SenderSession) -> SessionPhase:
    """The phase as it is now: mypy would believe the last one that was asserted."""
    return session.phase


def send(session: SenderSession, now: float, limit: int = 1000) -> list[Transmission]:
    """Everything that wants to leave now leaves now, but no more than ``limit`` transmissions."""
    sent: list[Transmission] = []
    while len(sent) < limit and (transmission := session.next_transmission(now)) is not None:
        session.transmitted(transmission, now)
        sent.append(transmission)
    return sent


class Clock:
    """Sequence numbers for the reports of many seats, so that each is newer than the last."""

    def __init__(self, session: SenderSession) -> None:
        self.session = session
        self.sequence = 0

    def report(self, number: int, now: float, **changes: object) -> None:
        self.sequence += 1
        self.session.receive_message(report(number, sequence=self.sequence, **changes), now)

    def ask(self, number: int, now: float, **changes: object) -> None:
        self.sequence += 1
        self.session.receive_message(repair_request(number, sequence=self.sequence, **changes), now)


def in_disk_phase(*, seats: int = 2, disk_blocks: int = 4, k: int = K, now: float = 0.0) -> tuple[SenderSession, Clock]:
    """All seats hold the manifest, and not one symbol of the disk has left."""
    session = open_session(expect=seats, disk_blocks=disk_blocks, k=k)
    clock = Clock(session)
    for number in range(1, seats + 1):
        clock.report(number, now)
    send(session, now)
    for number in range(1, seats + 1):
        clock.report(number, now, state=ReceiverState.RECEIVING, has_manifest=True, blocks_total=disk_blocks)
    assert phase_of(session) is SessionPhase.DISK
    return session, clock


# --- phases --------------------------------------------------------------------------------------------------------


def test_the_whole_way() -> None:
    session = open_session()
    clock, phases = Clock(session), [session.phase]
    assert send(session, 0.0) == []
    clock.report(1, 1.0)
    assert phase_of(session) is SessionPhase.WAITING
    clock.report(2, 2.0)
    phases.append(session.phase)
    assert session.started_at == 2.0
    assert send(session, 2.0) == [Transmission(0, 0, 2, range(2), is_first_pass=True)]
    clock.report(1, 3.0, state=ReceiverState.RECEIVING, has_manifest=True)
    assert phase_of(session) is SessionPhase.MANIFEST
    clock.report(2, 3.0, state=ReceiverState.RECEIVING, has_manifest=True)
    phases.append(session.phase)
    assert send(session, 3.0) == [Transmission(1, sbn, K, range(K), is_first_pass=True) for sbn in range(4)]
    clock.report(1, 4.0, state=ReceiverState.VERIFIED)
    assert phase_of(session) is SessionPhase.DISK
    clock.report(2, 5.0, state=ReceiverState.VERIFIED)
    phases.append(session.phase)
    assert phases == [SessionPhase.WAITING, SessionPhase.MANIFEST, SessionPhase.DISK, SessionPhase.ENDED]
    assert (session.ended_at, session.end_reason) == (5.0, "every seat is settled, lost or stalled")
    assert send(session, 6.0) == []


def test_after_the_wait_it_begins_with_whoever_is_there() -> None:
    session = open_session(expect=5, wait=30.0)
    clock = Clock(session)
    for second in range(30):
        clock.report(1, float(second))
        assert phase_of(session) is SessionPhase.WAITING
    clock.report(1, 30.0)
    assert phase_of(session) is SessionPhase.MANIFEST


def test_when_nobody_came_it_ends_by_time_alone() -> None:
    session = open_session(wait=30.0)
    assert session.next_transmission(29.9) is None
    assert phase_of(session) is SessionPhase.WAITING
    assert session.next_transmission(30.0) is None
    assert (session.phase, session.end_reason) == (SessionPhase.ENDED, "no receiver is ready")


def test_a_seat_that_has_gone_silent_is_not_ready() -> None:
    session = open_session(expect=2, wait=30.0)
    clock = Clock(session)
    clock.report(1, 0.0)
    clock.report(2, LEASE + 1.0)
    assert phase_of(session) is SessionPhase.WAITING
    clock.report(1, LEASE + 2.0)
    assert phase_of(session) is SessionPhase.MANIFEST


def test_a_refusal_is_not_waited_for() -> None:
    session = open_session(expect=2, wait=300.0)
    clock = Clock(session)
    clock.report(1, 1.0)
    clock.report(2, 2.0, state=ReceiverState.REFUSED, reason="too small")
    assert phase_of(session) is SessionPhase.MANIFEST
    alone = open_session(expect=1, wait=300.0)
    Clock(alone).report(1, 1.0, state=ReceiverState.REFUSED)
    assert (alone.phase, alone.end_reason) == (SessionPhase.ENDED, "no receiver is ready")


def test_nobody_waits_for_a_manifest_longer_than_patience() -> None:
    session = open_session()
    clock = Clock(session)
    for number in (1, 2):
        clock.report(number, 0.0)
    send(session, 1.0)
    clock.report(1, 2.0, state=ReceiverState.RECEIVING, has_manifest=True)
    clock.report(2, 1.0 + MANIFEST_PATIENCE - 0.1)
    assert phase_of(session) is SessionPhase.MANIFEST
    clock.report(2, 1.0 + MANIFEST_PATIENCE)
    assert phase_of(session) is SessionPhase.DISK


def test_the_disk_waits_until_the_manifest_has_left() -> None:
    session = open_session(expect=1)
    clock = Clock(session)
    clock.report(1, 0.0)
    transmission = session.next_transmission(0.0)
    assert transmission is not None
    clock.report(1, 1.0, has_manifest=True)
    assert phase_of(session) is SessionPhase.MANIFEST
    session.transmitted(transmission, 2.0)
    assert session.next_transmission(2.0) is not None
    assert phase_of(session) is SessionPhase.DISK


@pytest.mark.parametrize("state", [ReceiverState.REFUSED, ReceiverState.FAILED])
def test_it_ends_in_the_manifest_when_every_seat_gave_up(state: ReceiverState) -> None:
    session = open_session(expect=1)
    clock = Clock(session)
    clock.report(1, 0.0)
    clock.report(1, 1.0, state=state)
    assert phase_of(session) is SessionPhase.ENDED


def test_it_ends_when_every_seat_has_fallen_silent() -> None:
    session, clock = in_disk_phase()
    send(session, 0.0)
    clock.report(1, 8.0, state=ReceiverState.VERIFIED)
    assert session.next_transmission(LEASE) is None
    assert phase_of(session) is SessionPhase.DISK
    assert session.next_transmission(LEASE + 0.1) is None
    assert phase_of(session) is SessionPhase.ENDED


def test_a_seat_that_multicast_does_not_reach_cannot_keep_it_from_ending() -> None:
    session = open_session(expect=2)
    clock = Clock(session)
    for number in (1, 2):
        clock.report(number, 0.0)
    send(session, 0.0)
    clock.report(1, 1.0, state=ReceiverState.RECEIVING, has_manifest=True)
    now = 1.0
    while phase_of(session) is not SessionPhase.ENDED and now < 200.0:
        now += 0.5
        clock.report(2, now)
        clock.ask(2, now, toi=0, absent=((0, 0),))
        send(session, now)
        if now == 20.0:
            clock.report(1, now, state=ReceiverState.VERIFIED)
    assert STALL <= now <= STALL + 1.0


def test_a_late_seat_joins_and_is_awaited() -> None:
    session, clock = in_disk_phase(seats=1)
    send(session, 0.0)
    clock.report(7, 1.0)
    clock.report(1, 2.0, state=ReceiverState.VERIFIED)
    assert phase_of(session) is SessionPhase.DISK
    clock.ask(7, 2.0, toi=0, absent=((0, 0),))
    assert send(session, 2.0) == [Transmission(0, 0, 2, range(2), is_first_pass=False)]
    clock.ask(7, 3.0, absent=((0, 3),))
    assert [each.sbn for each in send(session, 3.0)] == [0, 1, 2, 3]
    clock.report(7, 4.0, state=ReceiverState.VERIFIED)
    assert phase_of(session) is SessionPhase.ENDED


@pytest.mark.parametrize("begin", [open_session, lambda: in_disk_phase()[0]], ids=["waiting", "disk"])
def test_abort_ends_it_in_any_phase_and_only_once(begin: Callable[[], SenderSession]) -> None:
    session = begin()
    session.abort("the operator said so", 3.0)
    session.abort("again", 4.0)
    assert (session.phase, session.end_reason, session.ended_at) == (SessionPhase.ENDED, "the operator said so", 3.0)
    assert send(session, 5.0) == []


# --- what leaves ---------------------------------------------------------------------------------------------------


def test_the_position_follows_what_has_left_not_what_was_handed_out() -> None:
    session, _ = in_disk_phase()
    handed_out = [session.next_transmission(0.0) for _ in range(3)]
    assert session.position(1) == 0
    for count, transmission in enumerate(handed_out, 1):
        assert transmission is not None
        session.transmitted(transmission, 0.0)
        assert session.position(1) == count


def test_transmissions_that_leave_out_of_order_are_our_own_misuse() -> None:
    session, _ = in_disk_phase()
    session.next_transmission(0.0)
    second = session.next_transmission(0.0)
    assert second is not None
    with pytest.raises(SessionStateError):
        session.transmitted(second, 0.0)


def test_repair_is_sent_for_what_has_left_only() -> None:
    session, clock = in_disk_phase()
    send(session, 0.0, limit=2)
    clock.ask(1, 0.0, deficits=((0, 3), (3, 3)), absent=((1, 3),))
    repair = [each for each in send(session, 0.0) if not each.is_first_pass]
    assert repair == [
        Transmission(1, 0, K, range(K, K + 3), is_first_pass=False),
        Transmission(1, 1, K, range(K), is_first_pass=False),
    ]
    assert (session.repair_datagrams, session.datagrams_sent) == (K + 3, 2 + 4 * K + K + 3)


def test_what_is_handed_out_but_has_not_left_is_not_repaired() -> None:
    session, clock = in_disk_phase()
    for _ in range(4):
        session.next_transmission(0.0)
    clock.ask(1, 0.0, absent=((0, 3),))
    assert session.next_transmission(0.0) is None


def test_a_request_is_discounted_by_repair_that_has_only_just_left() -> None:
    session, clock = in_disk_phase()
    send(session, 0.0)
    clock.ask(1, 0.0, deficits=((0, 3),))
    repair = session.next_transmission(0.0)
    assert repair is not None
    session.transmitted(repair, 2.0)  # a long transmit queue
    clock.ask(1, 2.1, deficits=((0, 3),))
    assert session.next_transmission(2.1) is None


def test_repair_has_its_share_of_the_first_pass_and_no_more() -> None:
    session, clock = in_disk_phase(disk_blocks=2000)
    sent = send(session, 0.0, limit=100)
    for cycle in range(1, 60):
        clock.ask(1, cycle * 0.4, deficits=tuple((sbn, K) for sbn in range(100)))
        sent += send(session, cycle * 0.4, limit=40)
    assert session.position(1) < 2000  # the first pass is not over
    datagrams = sum(len(each.esis) for each in sent[100:])
    repair = sum(len(each.esis) for each in sent[100:] if not each.is_first_pass)
    assert repair / datagrams == pytest.approx(REPAIR_AIRTIME_RATIO, abs=0.02)


def test_an_hour_without_loss_buys_no_storm_of_repair() -> None:
    session, clock = in_disk_phase(disk_blocks=2000)
    send(session, 0.0, limit=1000)
    clock.ask(1, 0.0, absent=((0, 99),))
    repair_count = sum(not each.is_first_pass for each in send(session, 0.0, limit=40))
    assert 12 <= repair_count <= 12 + 2  # 30 % of 40 blocks, and the one saved up


def test_after_the_first_pass_everything_is_repair() -> None:
    session, clock = in_disk_phase(disk_blocks=100)
    send(session, 0.0)
    clock.ask(1, 1.0, absent=((0, 99),))
    assert [each.sbn for each in send(session, 1.0)] == list(range(100))


def test_who_is_not_of_the_session_gets_no_repair() -> None:
    session, clock = in_disk_phase()
    send(session, 0.0)
    clock.ask(9, 1.0, absent=((0, 3),))
    clock.ask(1, 1.0, absent=((0, 3),), tsi=OTHER_TSI)
    assert send(session, 1.0) == []


def test_a_settled_or_stalled_seat_gets_no_repair() -> None:
    session, clock = in_disk_phase(seats=3)
    send(session, 0.0)
    clock.report(1, 1.0, state=ReceiverState.VERIFIED)
    clock.ask(1, 1.0, absent=((0, 3),))
    assert send(session, 1.0) == []
    for second in range(1, 70):
        clock.report(2, float(second), state=ReceiverState.RECEIVING, has_manifest=True)
        clock.report(3, float(second), state=ReceiverState.RECEIVING, has_manifest=True, bytes_received=second)
    clock.ask(2, 70.0, absent=((0, 3),))
    assert send(session, 70.0) == []
    clock.ask(3, 70.0, absent=((0, 3),))
    assert len(send(session, 70.0)) == 4


def test_a_lost_seat_that_asks_is_back() -> None:
    session, clock = in_disk_phase()
    send(session, 0.0)
    clock.report(2, 9.0, state=ReceiverState.RECEIVING, has_manifest=True, bytes_received=1)
    clock.ask(1, LEASE + 5.0, deficits=((0, 1),))
    assert [each.sbn for each in send(session, LEASE + 5.0)] == [0]


# --- what it says --------------------------------------------------------------------------------------------------


def said(session: SenderSession, now: float) -> list[Announcement | SessionStatus]:
    messages = []
    while (message := session.next_message(now)) is not None:
        assert decode_message(topic_of(message), encode_message(message)) == message
        messages.append(message)
    return messages


def test_the_announcement_is_repeated_and_the_status_is_never_old() -> None:
    session = open_session(wait=1000.0)
    times: dict[type, list[float]] = {Announcement: [], SessionStatus: []}
    now = 0.0
    while now < 20.0:
        for message in said(session, now):
            times[type(message)].append(now)
        assert session.next_timeout() > now
        now = session.next_timeout()
    assert times[Announcement] == [0.0, ANNOUNCEMENT_INTERVAL, 2 * ANNOUNCEMENT_INTERVAL, 3 * ANNOUNCEMENT_INTERVAL]
    assert times[SessionStatus] == [number * STATUS_INTERVAL for number in range(40)]


def test_a_change_of_phase_is_said_at_once() -> None:
    session = open_session(expect=1)
    clock = Clock(session)
    said(session, 0.0)
    clock.report(1, 0.1)
    assert [message.phase for message in said(session, 0.1) if isinstance(message, SessionStatus)] == ["manifest"]
    send(session, 0.2)
    assert [message.position for message in said(session, 0.2) if isinstance(message, SessionStatus)] == [1]


def test_a_final_report_is_acknowledged_at_once_and_again_and_again() -> None:
    session, clock = in_disk_phase()
    said(session, 0.0)
    clock.report(1, 0.1, state=ReceiverState.VERIFIED)
    for now in (0.1, 0.7, 1.3):
        (message,) = said(session, now)
        assert isinstance(message, SessionStatus)
        assert message.settled == (receiver_id(1),)


def test_the_end_is_said_without_another_announcement() -> None:
    session = open_session()
    said(session, 0.0)
    session.abort("over", 1.0)
    (message,) = said(session, 20.0)
    assert isinstance(message, SessionStatus)
    assert message.phase is SessionPhase.ENDED
    assert session.next_timeout() > 20.0


def test_statuses_count_up_and_tell_the_truth() -> None:
    session, clock = in_disk_phase()
    send(session, 0.0, limit=3)
    clock.ask(1, 0.0, deficits=((0, 2),))
    send(session, 0.0, limit=1)
    first = [message for message in said(session, 0.0) if isinstance(message, SessionStatus)][-1]
    second = [message for message in said(session, 1.0) if isinstance(message, SessionStatus)][-1]
    assert second.sequence > first.sequence
    assert (first.phase, first.position) == (SessionPhase.DISK, 3)
    assert (first.datagrams_sent, first.repair_datagrams) == (2 + 3 * K + 2, 2)
    assert (first.rate_bits_per_second, first.rate_reason) == (900_000_000, "at the set rate")


# --- whom it hears -------------------------------------------------------------------------------------------------


def test_other_sessions_and_other_broadcasters_are_ignored() -> None:
    session = open_session(expect=1)
    for message in (report(1, tsi=OTHER_TSI), status(5, phase=SessionPhase.ENDED), announcement(), presence(1)):
        session.receive_message(message, 1.0)
    assert (session.phase, len(session.roster)) == (SessionPhase.WAITING, 0)


def test_presence_is_a_sign_of_life_and_its_end_is_none() -> None:
    session, _ = in_disk_phase()
    session.receive_message(presence(1), LEASE)
    session.receive_message(presence(2, is_online=False), LEASE)
    assert [seat.outcome(LEASE + 0.1) for seat in session.roster.seats()] == ["receiving", "lost"]


def test_the_rate_follows_the_reports() -> None:
    session, clock = in_disk_phase(seats=1)
    receiving = {"state": ReceiverState.RECEIVING, "has_manifest": True}
    clock.report(1, 2.0, symbols_expected=1000, symbols_lost=500, **receiving)
    assert session.rate.rate_bits_per_second < 900_000_000
    lowered = session.rate.rate_bits_per_second
    clock.report(1, 3.0, symbols_expected=2000, symbols_lost=600, buffer_fill_ratio=0.9, **receiving)
    assert session.rate.rate_bits_per_second < lowered
