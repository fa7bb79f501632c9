"""The broadcaster is killed and started again, and its state folder is full: rows 17, 18 and 31 of the table of faults.

That its state is the old one or the new one at each step of a save is told in tests/broadcaster/test_saved_cast.py.
"""

import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

import pytest

from broadcaster.dispatch import LOOKAHEAD
from broadcaster.saved_cast import CASTS_FOLDER
from protocol.manifest import CHUNK_SIZE
from protocol.messages import ReceiverReport, ReceiverState, SessionPhase, SessionStatus
from tests.end_to_end.room import wait_until
from tests.lab import Host, missing_requirement
from tests.network_faults.classroom import Classroom, draw, on_wire
from tests.receiver.loop_device import mounted

pytestmark = [
    pytest.mark.system,
    pytest.mark.slow,
    pytest.mark.skipif(missing_requirement() is not None, reason=f"{missing_requirement()}"),
]

KILLS: Final = int(os.environ.get("FAULTS_KILLS", "3"))
"""Moments of death that are tried."""

DATA_AGAIN: Final = 256 << 10
"""[bytes] Of arrivals that control alone does not make in seconds."""

IN_FLIGHT: Final = (LOOKAHEAD + 2) * CHUNK_SIZE
"""[bytes] Blocks that have left in part or whole while no report tells of them; they are sent again."""

FOLDER_BYTES: Final = 64 << 10
"""[bytes] Of a folder for states that is small enough to fill."""


@pytest.mark.parametrize("seed", range(KILLS), ids="row 17: seed {}".format)
def test_a_broadcaster_that_is_killed_goes_on_where_it_was(classroom: Callable[..., Classroom], seed: int) -> None:
    rng = draw(seed)
    rehearsal = classroom(2).fill()
    watch = rehearsal.watch()
    watch.until(SessionStatus, lambda status: status.phase is not SessionPhase.WAITING)
    time.sleep(rng.uniform(0.0, rehearsal.pass_seconds))
    downtime = restart(rehearsal)
    outcome = rehearsal.prove()
    needed = on_wire(outcome.report["stored_bytes"])
    sent_again = max(seat["bytes_received"] for seat in outcome.seats.values()) - needed
    print(f"data after {downtime:.1f} s, {sent_again / needed:.1%} sent again, {outcome.report['seconds']} s")
    assert "resuming session" in rehearsal.running.errors.text
    assert downtime < 5
    assert sent_again <= max(0.02 * needed, on_wire(IN_FLIGHT))
    nobody_started_over(watch.heard(ReceiverReport), seats=2)


def test_row_17_a_broadcaster_that_is_killed_while_it_waits_for_seats(classroom: Callable[..., Classroom]) -> None:
    rehearsal = classroom(2)
    first, second = rehearsal.lab.receivers
    rehearsal.cast("--expect", 2)
    rehearsal.seat(first)
    rehearsal.watch().until(ReceiverReport, lambda report: report.state is ReceiverState.READY)
    rehearsal.running.kill()
    rehearsal.cast("--expect", 2)
    rehearsal.seat(second)
    assert len(rehearsal.prove().seats) == 2


def test_row_31_a_state_folder_that_is_full_costs_the_resumption_alone(classroom: Callable[..., Classroom]) -> None:
    rehearsal = classroom(1)
    with mounted("tmpfs", casts_folder(rehearsal), "-t", "tmpfs", "-o", f"size={FOLDER_BYTES}") as folder:
        fill_up(folder)
        rehearsal.fill().prove()
    assert "the cast goes on, but a restart cannot resume it" in rehearsal.running.errors.text
    assert "No space left on device" in rehearsal.running.errors.text


def test_row_31_a_state_folder_that_fills_up_keeps_the_state_that_it_had(classroom: Callable[..., Classroom]) -> None:
    rehearsal = classroom(1)
    host = rehearsal.lab.receivers[0]
    with mounted("tmpfs", casts_folder(rehearsal), "-t", "tmpfs", "-o", f"size={FOLDER_BYTES}") as folder:
        rehearsal.fill()
        rehearsal.until_share(rehearsal.watch(), host, 0.1)
        fill_up(folder)
        rehearsal.running.errors.until("the cast goes on, but a restart resumes from an older state")
        restart(rehearsal)
        rehearsal.prove()
    assert "resuming session" in rehearsal.running.errors.text


def restart(rehearsal: Classroom) -> float:
    """Kill the broadcaster and start the same command; how long after it datagrams arrive again, in seconds."""
    rehearsal.running.kill()
    host = rehearsal.lab.receivers[0]
    before, begun = host.counters().received_bytes, time.monotonic()
    cast = rehearsal.cast("--expect", len(rehearsal.receivers))
    wait_until(lambda: cast.has_ended or arrived(host) >= before + DATA_AGAIN, "data of the resumed cast")
    return time.monotonic() - begun


def arrived(host: Host) -> int:
    return host.counters().received_bytes


def nobody_started_over(reports: list[ReceiverReport], *, seats: int) -> None:
    """Each seat has one receiver from beginning to end, and what it lacks only becomes less."""
    missing: dict[str, int] = {}
    for report in reports:
        if report.blocks_total:
            before = missing.setdefault(report.receiver_id, report.blocks_total)
            assert report.blocks_missing <= before, f"{report.seat} lacked {before} blocks, then {report}"
            missing[report.receiver_id] = report.blocks_missing
    assert len(missing) == seats


def casts_folder(rehearsal: Classroom) -> Path:
    """Where the casts of a library are kept, a library that is there already."""
    rehearsal.room.add(rehearsal.source, "lab")
    return rehearsal.room.library / CASTS_FOLDER


def fill_up(folder: Path) -> None:
    """Write until nothing more fits, while the cast's own writes come and go."""
    with (folder / "filler").open("wb", buffering=0) as filler, suppress(OSError):
        for _ in range(FOLDER_BYTES // 512 + 1):
            filler.write(bytes(512))
    assert os.statvfs(folder).f_bavail == 0
