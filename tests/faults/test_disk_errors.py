"""Disks that refuse a sector: that seat fails loudly and does not boot, and nobody else notices.

Ten places of one disk in ``make test``, fifty with SLATECAST_FAULTS=full. A fault may show at once or only after some
flushes, which is how it meets each step of a cast: the marker, the body, the read-back, the commit.
"""

import errno
import json
import os
import random
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.broadcaster.library.disks import MIB, SECTOR
from tests.end_to_end.room import Room, is_bootable
from tests.faults.conftest import OpenDisk
from tests.faults.sizes import IS_FULL
from tests.faults.storage_daemon import failing

pytestmark = [pytest.mark.system, pytest.mark.slow, pytest.mark.timeout(600 if IS_FULL else 120)]

DISK_SIZE = 8 * MIB
LAST_SECTOR = DISK_SIZE // SECTOR - 1
LONGEST_REQUEST = 1 * MIB
"""What a receiver writes, zeroes or reads at once; the sector that it names is the first of these."""
FAILED = 4
SEATS = 10


@dataclass(frozen=True)
class Fault:
    operation: str
    error: int
    sector: int
    after_flushes: int = 0

    @property
    def leaves_old_disk(self) -> bool:
        """The very first write fails, the marker's, so the old disk is as it was."""
        return self.operation == "write" and self.sector < 4096 // SECTOR and self.after_flushes == 0


EDGES = [
    Fault("write", errno.EIO, 0),
    Fault("write", errno.ENOSPC, 1, after_flushes=1),  # blanking the old table
    Fault("write", errno.EIO, 2047),  # end of the head
    Fault("write", errno.ENOSPC, 2048),  # the first byte of the body
    Fault("write", errno.EIO, LAST_SECTOR // 2),  # within the hole, where zeros go
    Fault("write", errno.ENOSPC, LAST_SECTOR - 2048),  # the last one of the body
    Fault("write", errno.EIO, LAST_SECTOR),  # the backup table
    Fault("write", errno.EIO, LAST_SECTOR, after_flushes=3),  # the same, at the commit
    Fault("write", errno.ENOSPC, 0, after_flushes=4),  # the last write of all, which would make it bootable
    Fault("read", errno.EIO, 3000),  # written, and not to be read again
]


def further_faults() -> list[Fault]:
    rng = random.Random(26)
    return [
        Fault("write", rng.choice([errno.EIO, errno.ENOSPC]), rng.randrange(LAST_SECTOR), rng.randrange(2))
        for _ in range(50 - len(EDGES))
    ]


CASTS = [EDGES]
if IS_FULL:
    places = further_faults()
    CASTS += [places[start : start + SEATS] for start in range(0, len(places), SEATS)]


@pytest.mark.parametrize("faults", CASTS, ids=lambda faults: f"sectors {faults[0].sector} to {faults[-1].sector}")
def test_each_seat_with_a_bad_sector_fails_and_says_where(room: Room, open_disk: OpenDisk, faults: list[Fault]) -> None:
    source, old = room.source(size=DISK_SIZE, seed=1), room.source("old", size=DISK_SIZE, seed=2).read_bytes()
    disks = [open_disk(old_disk(room, f"bad-{n}", old), failing_disk(fault)) for n, fault in enumerate(faults)]
    good = old_disk(room, "good", old)
    report_path = room.folder / "report.json"
    cast = room.cast(source, "--expect", len(faults) + 1, "--report", report_path)
    broker = cast.door()
    receivers = [room.receive(disk.path, broker, seat=f"bad-{n}") for n, disk in enumerate(disks)]
    well = room.receive(good, broker, seat="good")
    assert cast.finish(90) == FAILED
    assert well.finish() == 0
    assert good.read_bytes() == source.read_bytes()
    seats = {seat["seat"]: seat for seat in json.loads(report_path.read_text())["seats"]}
    assert seats["good"]["outcome"] == "verified"
    for number, (fault, disk, receiver) in enumerate(zip(faults, disks, receivers, strict=True)):
        assert receiver.finish() == FAILED, f"{fault}: {receiver.errors.text}"
        seat = seats[f"bad-{number}"]
        assert (seat["outcome"], seat["verified"]) == ("failed", False), fault
        assert seat["reason"] in receiver.errors.text
        named = re.match(
            rf"{re.escape(disk.path)}: (\w+) at byte \d+ \(sector (\d+)\) failed: {os.strerror(fault.error)}$",
            seat["reason"],
        )
        assert named, f"{fault}: {seat['reason']}"
        assert int(named[2]) <= fault.sector < int(named[2]) + LONGEST_REQUEST // SECTOR, fault
        if fault.leaves_old_disk:
            assert disk.medium.read_bytes() == old, fault
        else:
            assert not is_bootable(disk.medium), fault


def test_a_block_device_that_loses_a_write_of_its_cache_fails(room: Room, open_disk: OpenDisk) -> None:
    """The kernel takes the write and tells of the error at the next fsync, without a place."""
    source, old = room.source(size=DISK_SIZE, seed=1), room.source("old", size=DISK_SIZE, seed=2).read_bytes()
    medium = old_disk(room, "bad", old)
    disk = open_disk(medium, failing_disk(Fault("write", errno.EIO, 3000, after_flushes=2)), is_loop_device=True)
    cast = room.cast(source)
    receiver = room.receive(disk.path, cast.door())
    assert cast.finish() == FAILED
    assert receiver.finish() == FAILED
    assert f"{disk.path}: fsync failed: Input/output error" in receiver.errors.text
    assert not is_bootable(medium)


def failing_disk(fault: Fault) -> dict[str, object]:
    return failing(fault.operation, fault.error, sector=fault.sector, after_flushes=fault.after_flushes)


def old_disk(room: Room, name: str, content: bytes) -> Path:
    medium = room.folder / f"{name}.disk"
    medium.write_bytes(content)
    return medium
