"""Datagrams that are lost, doubled, late, out of order or broken: rows 1 to 6 of the table of faults."""

from collections.abc import Callable
from contextlib import ExitStack

import pytest

from protocol.messages import ReceiverReport, ReceiverState
from tests.lab import missing_requirement
from tests.network_faults.classroom import Classroom
from tests.relay import relay

pytestmark = [
    pytest.mark.system,
    pytest.mark.slow,
    pytest.mark.skipif(missing_requirement() is not None, reason=f"{missing_requirement()}"),
]

MAX_OVERHEAD = {0.001: 0.02, 0.01: 0.05, 0.05: 0.12, 0.10: 0.21, 0.30: 0.80}
"""Repair for each datagram of the first pass, for three seats and 42 blocks; at 30 % the 64 repair symbols of a block
are too few, and source symbols are sent again. Eight seats need 0.5, 2.2, 7.9, 15 and 52 % at least."""


@pytest.mark.parametrize("loss", MAX_OVERHEAD, ids="row 1: {:.1%}".format)
def test_random_loss_at_every_seat_costs_repair_and_no_byte(classroom: Callable[..., Classroom], loss: float) -> None:
    rehearsal = classroom(3)
    for host in rehearsal.lab.receivers:
        host.set_loss(loss)
    outcome = rehearsal.fill().prove()
    print(f"overhead {outcome.overhead:.1%} at {loss:.0%} loss, {outcome.report['seconds']} s")
    assert outcome.overhead < MAX_OVERHEAD[loss]
    if loss >= 0.01:
        assert all(loss * 0.5 < seat["loss_ratio"] < loss * 1.5 for seat in outcome.seats.values())


def test_row_2_bursts_that_swallow_whole_blocks_are_mended(classroom: Callable[..., Classroom]) -> None:
    """Bursts of 50 ms are 135 datagrams at 32 Mbit/s, most of a block; each seat has its own."""
    rehearsal = classroom(3)
    with ExitStack() as bursts:
        for host in rehearsal.lab.receivers:
            bursts.enter_context(host.bursts_lost(0.05, 0.5))
        outcome = rehearsal.fill().prove()
    print(f"overhead {outcome.overhead:.1%}, {outcome.report['seconds']} s")
    assert outcome.overhead < 0.4


@pytest.mark.parametrize("loss", [0.05, 0.30], ids="row 3: {:.0%}".format)
def test_loss_at_one_seat_does_not_slow_the_others(classroom: Callable[..., Classroom], loss: float) -> None:
    rehearsal = classroom(4)
    lossy, *others = rehearsal.lab.receivers
    lossy.set_loss(loss)
    watch = rehearsal.fill(rate="16M").watch()
    for host in others:
        watch.until(ReceiverReport, is_verified(host.name))
    lossy.set_loss(0)  # TCP of the catch-up lane takes long at 30 %, and the others are done
    outcome = rehearsal.prove()
    slowest = max(outcome.seats[host.name]["seconds"] for host in others)
    print(f"{lossy.name}: {outcome.seats[lossy.name]}; the others took {slowest} s of {rehearsal.pass_seconds:.1f}")
    assert outcome.seats[lossy.name]["loss_ratio"] > loss / 2
    assert slowest <= 1.1 * rehearsal.pass_seconds + 1.5


def is_verified(seat: str) -> Callable[[ReceiverReport], bool]:
    return lambda report: report.seat == seat and report.state is ReceiverState.VERIFIED


def test_row_4_datagrams_that_arrive_twice_count_once(classroom: Callable[..., Classroom]) -> None:
    rehearsal = classroom(3)
    *doubled, once = rehearsal.lab.receivers
    rehearsal.lab.double_multicast(rehearsal.lab.broadcaster, *doubled)
    outcome = rehearsal.fill().prove()
    assert outcome.overhead < 0.001, "only what a busy machine drops or asks for too early"
    assert {seat["loss_ratio"] for seat in outcome.seats.values()} == {0}
    usual = outcome.seats[once.name]["bytes_received"]
    assert [outcome.seats[host.name]["bytes_received"] for host in doubled] == [2 * usual, 2 * usual]


@pytest.mark.parametrize("window", [1, 30, 1000], ids="row 5: {}".format)
def test_datagrams_out_of_order_give_the_same_image(classroom: Callable[..., Classroom], window: int) -> None:
    rehearsal = classroom(2)
    with relay(rehearsal.lab.receivers[0], reorder=window):
        outcome = rehearsal.fill().prove()
    print(f"overhead {outcome.overhead:.1%}, {outcome.report['seconds']} s")
    assert outcome.overhead < 0.15


def test_row_6_a_turned_bit_is_a_lost_datagram(classroom: Callable[..., Classroom]) -> None:
    rehearsal = classroom(2)
    host = rehearsal.lab.receivers[0]
    with relay(host, corrupt_ratio=0.02):
        outcome = rehearsal.fill().prove()
    assert 0.01 < outcome.seats[host.name]["loss_ratio"] < 0.04
