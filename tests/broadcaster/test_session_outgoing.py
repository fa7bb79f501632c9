"""What leaves when, in the first pass and beside and after it; and who gets no repair."""

import pytest

from broadcaster.repair_credit import UNKNOWN_RATIO
from broadcaster.roster import LEASE
from broadcaster.transmission import Transmission
from protocol.wire import TOI_DISK
from tests.broadcaster.sender_session import K, at_disk
from tests.sample_messages import OTHER_TSI


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
