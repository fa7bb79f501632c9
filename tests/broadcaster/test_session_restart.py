"""Sessions whose broker was away, and those whose broadcaster was started again."""

import pytest

from broadcaster.roster import LEASE
from broadcaster.session import RETURN_PATIENCE
from protocol.messages import ReceiverState, SessionPhase
from protocol.wire import TOI_MANIFEST
from tests.broadcaster.sender_session import Bench, at_disk, at_manifest, status_of
from tests.sample_messages import receiver_id, report


def test_while_the_broker_is_away_nobody_is_judged_and_the_data_goes_on() -> None:
    bench = at_disk(disk_blocks=100)
    bench.session.control_lost(1.0)
    assert len(bench.send(60.0, limit=50)) == 50
    assert bench.session.next_transmission(500.0) is not None
    assert bench.phase() is SessionPhase.DISK
    bench.session.control_restored(500.0)
    assert bench.session.next_transmission(500.0 + LEASE) is not None
    assert [bench.outcome(number, 500.0 + LEASE) for number in (1, 2)] == ["receiving", "receiving"]


@pytest.mark.parametrize("phase", [SessionPhase.WAITING, SessionPhase.MANIFEST])
def test_a_session_does_not_begin_or_end_because_nobody_could_be_heard(phase: SessionPhase) -> None:
    bench = Bench(wait=30.0) if phase is SessionPhase.WAITING else at_manifest()
    bench.session.control_lost(1.0)
    bench.send(400.0)
    assert bench.phase() is phase
    bench.session.control_restored(400.0)
    bench.send(400.0)
    assert bench.phase() is (SessionPhase.ENDED if phase is SessionPhase.WAITING else SessionPhase.MANIFEST)


def test_who_does_not_come_back_with_the_broker_is_lost() -> None:
    bench = at_disk()
    bench.send(0.0)
    bench.session.control_lost(1.0)
    bench.session.control_restored(100.0)
    bench.verified(1, 101.0)
    assert bench.session.next_transmission(100.0 + LEASE) is None
    assert bench.phase() is SessionPhase.DISK
    bench.session.next_transmission(100.0 + max(LEASE, RETURN_PATIENCE) + 0.1)
    assert bench.phase() is SessionPhase.ENDED


def test_a_broker_that_is_back_is_told_everything_at_once() -> None:
    bench = at_disk()
    status_of(bench, 0.0)
    bench.session.control_lost(0.1)
    bench.session.control_restored(0.2)
    assert [type(bench.session.next_message(0.2)).__name__ for _ in range(3)] == [
        "Announcement",
        "SessionStatus",
        "NoneType",
    ]


# --- a broadcaster that was started again --------------------------------------------------------------------------


def resumed(*reports: dict[str, object], now: float = 100.0, disk_blocks: int = 20) -> Bench:
    """A second run of the session with the last reports of its first."""
    bench = Bench(expect=len(reports), generation=2, now=now, disk_blocks=disk_blocks)
    for number, changes in enumerate(reports, 1):
        bench.sequence += 1
        bench.session.roster.restore(report(number, bench.sequence, **changes), "", now)
    return bench


RECEIVING = {"state": ReceiverState.RECEIVING, "has_manifest": True, "has_scanned": True, "blocks_total": 20}


def test_a_resumed_session_sends_what_is_missing_and_no_second_manifest() -> None:
    bench = resumed(RECEIVING, RECEIVING)
    assert bench.send(100.0) == []
    assert bench.phase() is SessionPhase.MANIFEST
    assert status_of(bench, 100.0).sequence >> 32 == 2
    for number, missing in ((1, (7, 9)), (2, (8, 10))):
        bench.receiving(number, 101.0)
        bench.misses(number, 101.0, missing)
    assert [(each.toi, each.sbn) for each in bench.send(101.0)] == [(1, 7), (1, 8), (1, 9)]


def test_who_lacks_the_manifest_gets_it_in_the_second_run() -> None:
    bench = resumed(RECEIVING, {})
    assert [each.toi for each in bench.send(100.0)] == [TOI_MANIFEST]


def test_settled_seats_are_not_waited_for_again() -> None:
    bench = resumed(RECEIVING, {"state": ReceiverState.VERIFIED, "has_manifest": True})
    bench.send(100.0)
    assert bench.phase() is SessionPhase.MANIFEST
    assert status_of(bench, 100.0).settled == (receiver_id(2),)
    bench.receiving(1, 101.0)
    bench.misses(1, 101.0, (3, 4))
    assert bench.sent_blocks(101.0) == [3]


def test_a_seat_that_reads_its_disk_back_keeps_nobody_waiting() -> None:
    bench = resumed(RECEIVING, {**RECEIVING, "state": ReceiverState.VERIFYING})
    bench.send(100.0)
    assert bench.phase() is SessionPhase.MANIFEST
    bench.receiving(1, 101.0)
    bench.misses(1, 101.0, (3, 4))
    bench.receiving(2, 101.0, state=ReceiverState.VERIFYING)
    bench.has_all(2, 101.0)
    assert bench.sent_blocks(101.0) == [3]


def test_when_all_were_settled_it_ends_at_once() -> None:
    bench = resumed({"state": ReceiverState.VERIFIED}, {"state": ReceiverState.REFUSED})
    assert bench.send(100.0) == []
    assert (bench.phase(), bench.session.end_reason) == (SessionPhase.ENDED, "every seat is settled")


def test_each_run_supersedes_the_messages_of_the_one_before() -> None:
    first, second = Bench(), Bench(generation=2)
    newest = 0
    for half_second in range(200):
        newest = status_of(first, half_second / 2).sequence
    assert status_of(second, 0.0).sequence > newest
