"""A receiver is killed and comes back: row 23 of the table of faults."""

import time
from collections.abc import Callable

import pytest

from broadcaster.roster import LEASE
from protocol.manifest import CHUNK_SIZE
from protocol.messages import ReceiverReport
from tests.broadcaster.library.disks import MIB
from tests.lab import missing_requirement
from tests.network_faults.classroom import IMAGE_BYTES, Classroom, Outcome

pytestmark = [
    pytest.mark.system,
    pytest.mark.slow,
    pytest.mark.skipif(missing_requirement() is not None, reason=f"{missing_requirement()}"),
]

LOST_IN_MEMORY = 16 * MIB
"""[bytes] Of blocks that were there in part, or not written, when the receiver was killed; the row allows 64 MiB."""


def test_row_23_a_receiver_killed_at_70_percent_fetches_what_was_not_written(
    classroom: Callable[..., Classroom],
) -> None:
    rehearsal = classroom(2, size=4 * IMAGE_BYTES).fill(rate="128M")
    lost, outcome = kill_and_return(rehearsal, share=0.7, absence=0.0)
    print(f"{lost / MIB:.1f} MiB were not on the disk, {outcome.report['seconds']} s, overhead {outcome.overhead:.0%}")
    assert lost <= LOST_IN_MEMORY
    assert outcome.overhead < 0.6, "more than what it had missed"


def test_row_23_a_receiver_that_was_given_up_is_back_when_it_returns(classroom: Callable[..., Classroom]) -> None:
    """It is away for longer than its lease, and returns when the others have everything."""
    rehearsal = classroom(2).fill(rate="7M")
    lost, outcome = kill_and_return(rehearsal, share=0.5, absence=LEASE + 2)
    print(f"{lost / MIB:.1f} MiB were not on the disk, {outcome.report['seconds']} s, overhead {outcome.overhead:.0%}")
    assert lost <= LOST_IN_MEMORY
    assert outcome.overhead < 0.8


def kill_and_return(rehearsal: Classroom, *, share: float, absence: float) -> tuple[int, Outcome]:
    """Kill a seat that holds a share of the image and start it again after so many seconds.

    Returns what its last report had as stored and its disk did not hold, in bytes, and how the cast ended.
    """
    host = rehearsal.lab.receivers[0]
    watch = rehearsal.watch()
    before = rehearsal.until_share(watch, host, share)
    rehearsal.receivers[host.name].kill()
    time.sleep(absence)
    rehearsal.seat(host)
    after = watch.until(
        ReceiverReport,
        lambda report: (
            report.seat == host.name and report.receiver_id != before.receiver_id and report.blocks_scanned > 0
        ),
    )
    found = watch.until(ReceiverReport, lambda report: report.receiver_id == after.receiver_id and report.has_scanned)
    outcome = rehearsal.prove()
    assert len(outcome.report["seats"]) == 2, "one row for each seat"
    return max(0, found.blocks_missing - before.blocks_missing) * CHUNK_SIZE, outcome
