import random

import pytest

from broadcaster.pacing import BURST_SECONDS, Pacer

RATE = 8_000_000  # 1 MB/s: a kilobyte takes a millisecond


def test_the_first_datagrams_leave_at_once() -> None:
    pacer = Pacer(RATE, now=5.0)
    assert pacer.wait_time(5.0) == 0.0


def test_what_has_left_must_be_paid_before_the_next() -> None:
    pacer = Pacer(RATE, now=0.0)
    pacer.spend(2000, 0.0)
    assert pacer.wait_time(0.0) == pytest.approx(0.002)
    assert pacer.wait_time(0.0015) == pytest.approx(0.0005)
    assert pacer.wait_time(0.002) == 0.0


def test_a_late_wake_up_is_caught_up_with() -> None:
    pacer = Pacer(RATE, now=0.0)
    pacer.spend(1000, 0.0)
    pacer.spend(1000, 0.003)  # 2 ms late
    assert pacer.wait_time(0.003) == 0.0


def test_a_long_pause_buys_no_more_than_a_burst() -> None:
    pacer = Pacer(RATE, now=0.0)
    sent = 0
    while pacer.wait_time(100.0) == 0.0:
        pacer.spend(100, 100.0)
        sent += 100
    assert sent == pytest.approx(BURST_SECONDS * RATE / 8, abs=200)


def test_another_rate_holds_from_the_next_datagrams_on() -> None:
    pacer = Pacer(RATE, now=0.0)
    pacer.spend(1000, 0.0)
    pacer.set_rate(RATE / 2)
    assert pacer.wait_time(0.0) == pytest.approx(0.001)
    pacer.spend(1000, 0.001)
    assert pacer.wait_time(0.001) == pytest.approx(0.002)


def test_the_rate_is_met_however_irregular_the_wake_ups() -> None:
    rng = random.Random(1)
    pacer, now, sent = Pacer(RATE, now=0.0), 0.0, 0
    while now < 10.0:
        now += pacer.wait_time(now) + rng.uniform(0.0, BURST_SECONDS / 2)
        length = rng.randrange(1000, 60_000)
        pacer.spend(length, now)
        sent += length
    assert sent == pytest.approx(10.0 * RATE / 8, rel=0.02)
