from broadcaster.bulletin import ANNOUNCEMENT_INTERVAL, STATUS_INTERVAL
from broadcaster.session import SenderSession
from protocol.messages import (
    Announcement,
    SessionPhase,
    SessionStatus,
    decode_message,
    encode_message,
    topic_of,
)
from tests.broadcaster.sender_session import RATE, Bench, K, at_disk
from tests.sample_messages import receiver_id


def said(session: SenderSession, now: float) -> list[Announcement | SessionStatus]:
    messages = []
    while (message := session.next_message(now)) is not None:
        assert decode_message(topic_of(message), encode_message(message)) == message
        messages.append(message)
    return messages


def statuses(session: SenderSession, now: float) -> list[SessionStatus]:
    return [message for message in said(session, now) if isinstance(message, SessionStatus)]


def test_the_announcement_is_repeated_and_the_status_is_never_old() -> None:
    session = Bench(wait=1000.0).session
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
    bench = Bench(expect=1)
    said(bench.session, 0.0)
    bench.report(1, 0.1)
    assert [each.phase for each in statuses(bench.session, 0.1)] == ["manifest"]
    bench.send(0.2)
    assert [each.position for each in statuses(bench.session, 0.2)] == [1]


def test_the_end_of_the_first_pass_is_said_at_once() -> None:
    bench = at_disk()
    said(bench.session, 0.0)
    bench.send(0.1, limit=3)
    assert statuses(bench.session, 0.1) == []
    bench.send(0.1)
    assert [each.position for each in statuses(bench.session, 0.1)] == [4]


def test_a_final_report_is_acknowledged_at_once_and_again_and_again() -> None:
    bench = at_disk()
    said(bench.session, 0.0)
    bench.verified(1, 0.1)
    for now in (0.1, 0.7, 1.3):
        (message,) = said(bench.session, now)
        assert isinstance(message, SessionStatus)
        assert message.settled == (receiver_id(1),)


def test_the_end_is_said_without_another_announcement() -> None:
    session = Bench().session
    said(session, 0.0)
    session.abort("over", 1.0)
    (message,) = said(session, 20.0)
    assert isinstance(message, SessionStatus)
    assert message.phase is SessionPhase.ENDED
    assert session.next_timeout() > 20.0


def test_statuses_count_up_and_tell_the_truth() -> None:
    bench = at_disk()
    bench.send(0.0, limit=3)
    bench.ask(1, 0.0, deficits=((0, 2),))
    bench.send(0.0, limit=1)
    first, second = statuses(bench.session, 0.0)[-1], statuses(bench.session, 1.0)[-1]
    assert second.sequence > first.sequence
    assert (first.phase, first.position) == (SessionPhase.DISK, 3)
    assert (first.datagrams_sent, first.repair_datagrams) == (2 + 3 * K + 2, 2)
    assert (first.rate_bits_per_second, first.rate_reason) == (RATE, "at the set rate")
    assert (first.catch_up, first.must_leave_group) == ((), ())
