"""Cables and switches that fail or differ: rows 35 and 38 to 41 of the table of faults."""

import time
from collections.abc import Callable

import pytest

from tests.lab import missing_requirement
from tests.network_faults.classroom import OUTAGE, Classroom, draw

pytestmark = [
    pytest.mark.system,
    pytest.mark.slow,
    pytest.mark.skipif(missing_requirement() is not None, reason=f"{missing_requirement()}"),
]


def test_row_35_a_sender_with_jumbo_datagrams_sends_what_everybody_can_take(
    classroom: Callable[..., Classroom],
) -> None:
    rehearsal = classroom(2)
    rehearsal.lab.broadcaster.set_mtu(9000)
    # Without a fault nothing is repaired; a starved machine may ask for a datagram that still waits in a queue.
    assert rehearsal.fill().prove().overhead < 0.005


@pytest.mark.parametrize("who", ["receiver", "broadcaster"], ids="row 38: {}".format)
def test_a_cable_that_is_pulled_for_a_while_costs_that_while(classroom: Callable[..., Classroom], who: str) -> None:
    rehearsal = classroom(2).fill()
    watch = rehearsal.watch()
    first = rehearsal.lab.receivers[0]
    rehearsal.until_share(watch, first, 0.2)
    pulled = first if who == "receiver" else rehearsal.lab.broadcaster
    pulled.unplug()
    time.sleep(OUTAGE)
    pulled.plug()
    outcome = rehearsal.prove()
    print(f"{outcome.report['seconds']} s, overhead {outcome.overhead:.0%}")
    assert outcome.report["seconds"] < 20 + 3 * OUTAGE


def test_row_38_an_interface_that_goes_down_and_up_costs_that_while(classroom: Callable[..., Classroom]) -> None:
    """Unlike a pulled cable it loses its routes."""
    rehearsal = classroom(2).fill()
    host = rehearsal.lab.receivers[0]
    rehearsal.until_share(rehearsal.watch(), host, 0.2)
    host.run(["ip", "link", "set", "eth0", "down"])
    time.sleep(OUTAGE)
    host.run(["ip", "link", "set", "eth0", "up"])
    rehearsal.prove()


def test_row_40_half_of_the_room_is_cut_off_and_both_halves_finish(classroom: Callable[..., Classroom]) -> None:
    rehearsal = classroom(4).fill()
    half = rehearsal.lab.receivers[:2]
    rehearsal.until_share(rehearsal.watch(), half[0], 0.2)
    rehearsal.lab.cut_off(*half)
    time.sleep(OUTAGE)
    rehearsal.lab.rejoin(*half)
    outcome = rehearsal.prove()
    print({seat: values["seconds"] for seat, values in outcome.seats.items()})


@pytest.mark.parametrize("seed", [1], ids="row 41: seed {}".format)
def test_links_that_stop_one_by_one_and_come_back_in_any_order(classroom: Callable[..., Classroom], seed: int) -> None:
    """The swizzle-clog of FoundationDB: at its height nobody is connected, the broadcaster not either."""
    rng = draw(seed)
    rehearsal = classroom(4).fill()
    rehearsal.until_share(rehearsal.watch(), rehearsal.lab.receivers[0], 0.1)
    hosts = rng.sample(rehearsal.lab.hosts, len(rehearsal.lab.hosts))
    for host in hosts:
        host.unplug()
        time.sleep(rng.uniform(0.0, OUTAGE / len(hosts)))
    for host in rng.sample(hosts, len(hosts)):
        host.plug()
        time.sleep(rng.uniform(0.0, OUTAGE / len(hosts)))
    rehearsal.prove()
