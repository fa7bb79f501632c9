"""Machines that have too little: rows 32 and 33 of the table of faults."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from protocol.messages import ReceiverReport
from tests.broadcaster.library.disks import MIB
from tests.cgroup import Cgroup, missing_control
from tests.end_to_end.room import Place
from tests.lab import missing_requirement
from tests.network_faults.classroom import Classroom

MISSING = missing_control() or missing_requirement()

pytestmark = [pytest.mark.system, pytest.mark.slow, pytest.mark.skipif(MISSING is not None, reason=f"{MISSING}")]


@dataclass(frozen=True)
class Confined:
    """A place whose processes belong to a control group."""

    group: Cgroup
    place: Place

    def command(self, argv: list[str]) -> list[str]:
        # The group is entered first: inside a network namespace the control groups cannot be seen.
        return self.group.command(self.place.command(argv))


def test_row_32_a_receiver_with_256_mib_bounds_what_waits_in_memory(classroom: Callable[..., Classroom]) -> None:
    """A quarter of its datagrams lost leaves every block in parts; the other seats keep the rate up meanwhile."""
    rehearsal = classroom(3, size=480 * MIB)
    lossy, *others = rehearsal.lab.receivers
    lossy.set_loss(0.25)
    rehearsal.cast("--expect", 3, rate="400M")
    with Cgroup(memory=256 * MIB) as group:
        rehearsal.seat(lossy, place=Confined(group, lossy))
        for host in others:
            rehearsal.seat(host)
        filled = rehearsal.watch().until(
            ReceiverReport, lambda report: report.seat == lossy.name and report.partial_fill_ratio > 0.9
        )
        assert filled.blocks_missing
        lossy.set_loss(0)
        rehearsal.prove()
        print(f"{rehearsal.outcome().report['seconds']} s, peak {group.peak_memory() / MIB:.0f} MiB")
        assert group.kills() == 0


def test_row_32_a_broadcaster_with_512_mib_takes_in_and_casts_a_larger_image(
    classroom: Callable[..., Classroom],
) -> None:
    rehearsal = classroom(1, size=640 * MIB)
    with Cgroup(memory=512 * MIB) as group:
        rehearsal.cast(rate="1G", place=Confined(group, rehearsal.lab.broadcaster))
        rehearsal.seat(rehearsal.lab.receivers[0])
        rehearsal.prove()
        print(f"{rehearsal.outcome().report['seconds']} s, peak {group.peak_memory() / MIB:.0f} MiB with page cache")
        assert group.kills() == 0


def test_row_33_a_starved_receiver_is_slower_and_nobody_is_lost(classroom: Callable[..., Classroom]) -> None:
    rehearsal = classroom(3)
    starved, *others = rehearsal.lab.receivers
    rehearsal.cast("--expect", 3)
    with Cgroup(cpus=0.1) as group:
        for host in others:
            rehearsal.seat(host)
        receiver = rehearsal.seat(starved)
        watch = rehearsal.watch()
        rehearsal.until_share(watch, others[0], 0.1)
        group.adopt(receiver.pid)
        rehearsal.room.start_python("-c", "while True: pass", host=group)
        outcome = rehearsal.prove()
    print({seat: values["seconds"] for seat, values in outcome.seats.items()})
