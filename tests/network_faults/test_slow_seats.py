"""Seats that multicast does not reach, or not well: rows 35 to 37 and 39 of the table of faults."""

import time
from collections.abc import Callable
from typing import Final

import pytest

from protocol.messages import ReceiverReport, SessionPhase, SessionStatus
from tests.end_to_end.room import Watch
from tests.lab import Host, missing_requirement
from tests.network_faults.classroom import OUTAGE, Classroom, Outcome

pytestmark = [
    pytest.mark.system,
    pytest.mark.slow,
    pytest.mark.skipif(missing_requirement() is not None, reason=f"{missing_requirement()}"),
]

CALM: Final = "16M"
"""[bit/s] One pass takes 5.6 s: longer than a seat that does not keep up may remain unnoticed."""

FOUND: Final = 5.0
"""[s] After which such a seat is named at the latest."""

NO_DATA: Final = "control ok, no data"

UNREACHABLE: Final = 6
"""Exit code."""


def test_row_36_a_seat_that_multicast_does_not_reach_is_named_and_served(classroom: Callable[..., Classroom]) -> None:
    rehearsal = classroom(3)
    dark, *others = rehearsal.lab.receivers
    dark.blackhole_multicast()
    rehearsal.fill(rate=CALM)
    seconds = seconds_until_found(rehearsal.watch(), dark)
    outcome = rehearsal.prove()
    print(f"found after {seconds:.1f} s; {seconds_of(outcome)}")
    assert seconds < FOUND
    assert NO_DATA in outcome.seats[dark.name]["reason"]
    is_served_by_the_lane(outcome, dark)
    # The start waits until it is clear that this seat will not have the manifest.
    are_not_slowed(rehearsal, outcome, others, delay=seconds)


def test_row_35_a_cable_with_a_smaller_mtu_is_refused_in_words(classroom: Callable[..., Classroom]) -> None:
    rehearsal = classroom(2)
    narrow, other = rehearsal.lab.receivers
    narrow.set_mtu(1400)
    rehearsal.cast("--expect", 1)
    refused = rehearsal.seat(narrow).complaint(UNREACHABLE)
    assert refused == (
        "interface eth0 takes 1400 bytes (MTU) where our datagrams need 1500: raise it or choose another"
    )
    del rehearsal.receivers[narrow.name], rehearsal.targets[narrow.name]
    rehearsal.seat(other)
    rehearsal.prove()


@pytest.mark.parametrize("count", [1, 3], ids="row 37: {} of 3 seats".format)
def test_a_membership_that_is_lost_for_a_while_costs_that_while(
    classroom: Callable[..., Classroom], count: int
) -> None:
    rehearsal = classroom(3).fill()
    gone = rehearsal.lab.receivers[:count]
    rehearsal.until_share(rehearsal.watch(), gone[0], 0.2)
    for host in gone:
        host.blackhole_multicast()
    time.sleep(OUTAGE)
    for host in gone:
        host.blackhole_multicast(False)
    outcome = rehearsal.prove()
    print(f"overhead {outcome.overhead:.0%}; {seconds_of(outcome)}")
    assert outcome.overhead < 1.0, "more than one further pass"
    assert outcome.report["seconds"] < rehearsal.pass_seconds + 2 * OUTAGE + 5


@pytest.mark.parametrize("snooping", [False, True], ids=["row 39: flooding switch", "row 39: snooping switch"])
def test_a_port_slower_than_the_rate_is_found_and_nobody_waits_for_it(
    classroom: Callable[..., Classroom], snooping: bool
) -> None:
    rehearsal = classroom(3, snooping=snooping)
    slow, *others = rehearsal.lab.receivers
    slow.shape_receiving("8mbit")
    rehearsal.fill(rate=CALM)
    seconds = seconds_until_found(rehearsal.watch(), slow)
    outcome = rehearsal.prove()
    seat = outcome.seats[slow.name]
    print(f"found after {seconds:.1f} s: {seat['reason']}; {seconds_of(outcome)}")
    assert seconds < FOUND
    assert "loss" in seat["reason"]
    assert seat["catch_up_bytes"] > 0
    are_not_slowed(rehearsal, outcome, others)


def seconds_until_found(watch: Watch, host: Host) -> float:
    """How long after the first data the broadcaster says that a seat is served by the catch-up lane."""
    watch.until(SessionStatus, lambda status: status.phase is not SessionPhase.WAITING)
    begun = time.monotonic()
    receiver_id = watch.until(ReceiverReport, lambda report: report.seat == host.name).receiver_id
    watch.until(SessionStatus, lambda status: receiver_id in status.catch_up)
    return time.monotonic() - begun


def is_served_by_the_lane(outcome: Outcome, host: Host) -> None:
    """All of the image went to this seat alone."""
    seat = outcome.seats[host.name]
    assert seat["bytes_received"] == 0
    assert seat["catch_up_bytes"] >= outcome.report["stored_bytes"]


def are_not_slowed(rehearsal: Classroom, outcome: Outcome, hosts: list[Host], delay: float = 0.0) -> None:
    """They take what the wire needs for one pass, a tenth of it, and a moment to start and to read back."""
    for host in hosts:
        assert outcome.seats[host.name]["seconds"] <= 1.1 * rehearsal.pass_seconds + 1.5 + delay


def seconds_of(outcome: Outcome) -> dict[str, float]:
    return {seat: values["seconds"] for seat, values in outcome.seats.items()}
