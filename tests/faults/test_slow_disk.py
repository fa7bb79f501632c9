"""A slow disk and one that stalls hold up nobody, cost little memory, and finish in the end.

5 MB/s and a stall of 5 s in ``make test``; a larger disk and 30 s with SLATECAST_FAULTS=full.
"""

import json
import re
import time
from pathlib import Path

import pytest

from tests.broadcaster.library.disks import MIB
from tests.end_to_end.room import PATIENCE, Room, wait_until
from tests.faults.conftest import OpenDisk
from tests.faults.sizes import IS_FULL
from tests.faults.storage_daemon import slow, sound

pytestmark = [pytest.mark.system, pytest.mark.slow, pytest.mark.timeout(600 if IS_FULL else 120)]

DISK_SIZE = (768 if IS_FULL else 48) * MIB
SLOW = 5_000_000
"""[bytes per second] A worn disk."""
STALL_SECONDS = 30 if IS_FULL else 5
PATIENCE_WITH_SLOW = PATIENCE + DISK_SIZE / SLOW
MEMORY_LIMIT = 150 * MIB + min(DISK_SIZE, 256 * MIB)
"""What a receiver takes with nothing to do on a busy day, and the bound of blocks in memory."""


def test_a_slow_disk_finishes_later_and_the_others_do_not_wait(room: Room, open_disk: OpenDisk) -> None:
    source = room.source(size=DISK_SIZE)
    used = sum(source.read_bytes()[at : at + MIB].strip(b"\0") != b"" for at in range(0, DISK_SIZE, MIB)) * MIB
    disk, quick = open_disk(room.target("slow", DISK_SIZE), slow(), write_rate=SLOW), room.target("quick", DISK_SIZE)
    report_path = room.folder / "report.json"
    cast = room.cast(source, "--expect", 2, "--report", report_path)
    broker = cast.door()
    late, early = room.receive(disk.path, broker, seat="slow"), room.receive(quick, broker, seat="quick")
    pid = pid_of(disk.path)
    assert early.finish() == 0
    assert quick.read_bytes() == source.read_bytes()
    peak = 0
    deadline = time.monotonic() + PATIENCE_WITH_SLOW
    while (now := peak_memory(pid)) and time.monotonic() < deadline:
        peak = max(peak, now)
        time.sleep(0.05)
    assert (late.finish(), cast.finish()) == (0, 0)
    assert disk.medium.read_bytes() == source.read_bytes()
    seats = {seat["seat"]: seat for seat in json.loads(report_path.read_text())["seats"]}
    print(f"quick {seats['quick']['seconds']:.1f} s, slow {seats['slow']['seconds']:.1f} s, {peak / MIB:.0f} MiB")
    assert seats["slow"]["seconds"] >= 0.8 * used / SLOW
    assert seats["quick"]["seconds"] <= 0.5 * seats["slow"]["seconds"]
    assert 0 < peak < MEMORY_LIMIT


def test_a_disk_that_stalls_holds_up_nobody_and_goes_on(room: Room, open_disk: OpenDisk) -> None:
    source = room.source(size=16 * MIB)
    disk, quick = open_disk(room.target("slow", 16 * MIB), sound()), room.target("quick", 16 * MIB)
    cast = room.cast(source, "--expect", 2, "--rate", "40M")
    broker = cast.door()
    late, early = room.receive(disk.path, broker, seat="slow"), room.receive(quick, broker, seat="quick")
    wait_until(lambda: body_has_begun(disk.medium, source), "the first chunk")
    with disk.stalled():
        ends = time.monotonic() + STALL_SECONDS
        assert early.finish() == 0, "the other seat waits for the disk that stalls"
        assert quick.read_bytes() == source.read_bytes()
        time.sleep(max(0.0, ends - time.monotonic()))  # the fault itself
    assert (late.finish(), cast.finish()) == (0, 0)
    assert disk.medium.read_bytes() == source.read_bytes()


def body_has_begun(medium: Path, source: Path) -> bool:
    with medium.open("rb") as one, source.open("rb") as other:
        one.seek(MIB)
        other.seek(MIB)
        return one.read(MIB // 4) == other.read(MIB // 4)


def pid_of(target: str) -> int:
    """The process that receives to ``target``."""
    for command in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if target.encode() in command.read_bytes().split(b"\0"):
                return int(command.parent.name)
        except OSError:  # it ended meanwhile
            continue
    raise AssertionError(f"nobody receives to {target}")


def peak_memory(pid: int) -> int:
    """The most resident memory that a process ever had, in bytes; 0 when it is gone."""
    try:
        found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    except OSError:
        return 0
    return int(found[1]) * 1024 if found else 0
