"""Lets the last partition that can grow, and its file system, fill a disk that is larger than its image.

    | EFI | MSR | Windows, NTFS | recovery |............|      recovery goes to the end first, then NTFS grows up to it
    | EFI | Linux root          |.......................|      grows at once; the backup GPT goes to the end in any case

The table is written before the file system grows, so that a power cut between leaves a file system that is smaller than
its partition, which is no fault, and the next run goes on from there. XFS and btrfs grow mounted, ext and NTFS
unmounted: ntfsresize marks it to be checked, so Windows runs chkdsk once, at its first start.
"""

import os
import re
from typing import Final

from protocol.configuration import GrowStep
from protocol.errors import DiskError, RefusedError
from receiver.configure.outcome import Outcome, done, skipped
from receiver.configure.running import find, run, run_well
from receiver.configure.target_disk import (
    EXTENDED_TYPES,
    LINUX_FILESYSTEMS,
    RECOVERY_TYPES,
    DiskPartition,
    DiskTable,
    TargetDisk,
)

GROWABLE: Final = (*LINUX_FILESYSTEMS, "ntfs")

MIN_GROWTH: Final = 4 << 20
"""[bytes] Less than that behind a partition is alignment, and not worth a change."""

_NTFS_SIZE: Final = re.compile(r"Current volume size\s*:\s*(\d+) bytes")
_EXT: Final = ("ext2", "ext3", "ext4")
_E2FSCK_MENDED: Final = 1
_NOTHING_TO_DO: Final = "Nothing to do!"
_TO_THE_END: Final = ",+"
_FIRST_LOGICAL: Final = 5


def grow(disk: TargetDisk, step: GrowStep) -> Outcome:
    """Carry it out.

    Raises:
        RefusedError: nothing on this disk can grow, or not the partition that was named.
        DiskError: a tool failed.
    """
    table = disk.table()
    if table.kind == "gpt":
        run_well(disk.stopping, "sfdisk", "--relocate", "gpt-bak-std", "--no-reread", "--no-tell-kernel", disk.device)
    chosen = _chosen(table, step.partition)
    told = []
    if _move_recovery(disk, table, chosen):
        told.append("moved the recovery partition to the end of the disk (in Windows: reagentc /disable, /enable)")
    table = disk.table()
    before = _named(table, chosen.number)
    if _room_behind(disk, table, before) >= MIN_GROWTH:
        _extend(disk, table, before)
    after = _named(disk.table(), chosen.number)
    is_larger = _grow_filesystem(disk, after)
    if after.size == before.size and not is_larger and not told:
        return skipped(f"partition {after.number} fills the disk already")
    size = after.size * table.sector_size
    told.insert(0, f"partition {after.number} ({after.filesystem}) has {size / 1e9:.1f} GB now")
    if after.filesystem == "ntfs" and is_larger:
        told.append("Windows checks it once when it starts")
    return done("; ".join(told))


def _chosen(table: DiskTable, number: int) -> DiskPartition:
    if number:
        named = _named(table, number)
        if named.filesystem not in GROWABLE:
            raise RefusedError(f"partition {number} ({named.filesystem or 'unknown'}) is no file system that can grow")
        return named
    growable = [each for each in table.partitions if each.filesystem in GROWABLE and each.type not in RECOVERY_TYPES]
    if not growable:
        raise RefusedError(f"no partition has a file system that can grow: {', '.join(GROWABLE)}")
    return growable[-1]


def _named(table: DiskTable, number: int) -> DiskPartition:
    found = next((each for each in table.partitions if each.number == number), None)
    if found is None:
        raise RefusedError(f"there is no partition {number} on this disk")
    return found


def _move_recovery(disk: TargetDisk, table: DiskTable, chosen: DiskPartition) -> bool:
    """Take what is in the way to the end of the disk, where it can be moved at all."""
    behind = [each for each in table.partitions if each.start > chosen.start and each.type not in EXTENDED_TYPES]
    if not behind or (chosen.number >= _FIRST_LOGICAL and table.kind == "dos"):
        return False
    last = behind[-1]
    if len(behind) > 1 or last.type not in RECOVERY_TYPES:
        raise RefusedError(
            f"partition {behind[0].number} lies behind partition {chosen.number}, so that this cannot grow;"
            f" let partition {last.number} grow, or make the image with the growing one last"
        )
    alignment = (1 << 20) // table.sector_size
    start = (_usable_end(disk, table) - last.size) // alignment * alignment
    if (start - last.start) * table.sector_size < MIN_GROWTH:
        return False
    command = ("sfdisk", "--no-reread", "--no-tell-kernel", "--move-data=/dev/null", "-N", str(last.number))
    run_well(disk.stopping, *command, disk.device, stdin=f"start={start},size={last.size}\n")
    disk.tell_kernel()
    return True


def _usable_end(disk: TargetDisk, table: DiskTable) -> int:
    """First sector that no partition may have."""
    sectors = int(run_well(disk.stopping, "blockdev", "--getsize64", disk.device)) // table.sector_size
    entries = -(-128 * 128 // table.sector_size)  # UEFI 5.3.1: at least 16 KiB for the array of entries
    return sectors - 1 - entries if table.kind == "gpt" else min(sectors, 1 << 32)


def _room_behind(disk: TargetDisk, table: DiskTable, chosen: DiskPartition) -> int:
    """Bytes between a partition and the next one, or the end."""
    is_logical = table.kind == "dos" and chosen.number >= _FIRST_LOGICAL
    others = [each.start for each in table.partitions if each.start >= chosen.start + chosen.size]
    end = min(others) if others and not is_logical else _usable_end(disk, table)
    return (end - chosen.start - chosen.size) * table.sector_size


def _extend(disk: TargetDisk, table: DiskTable, chosen: DiskPartition) -> None:
    numbers = [chosen.number]
    if table.kind == "dos" and chosen.number >= _FIRST_LOGICAL:
        numbers = [*(each.number for each in table.partitions if each.type in EXTENDED_TYPES), chosen.number]
    for number in numbers:
        command = ("sfdisk", "--no-reread", "--no-tell-kernel", "-N", str(number), disk.device)
        run_well(disk.stopping, *command, stdin=f"{_TO_THE_END}\n")
    disk.tell_kernel()


def _grow_filesystem(disk: TargetDisk, partition: DiskPartition) -> bool:
    """Let it fill its partition; whether it became larger."""
    if partition.filesystem == "ntfs":
        return _grow_ntfs(disk, partition)
    if partition.filesystem in _EXT:
        run_well(disk.stopping, "e2fsck", "-f", "-p", partition.node, codes=(0, _E2FSCK_MENDED))
        ran = run(disk.stopping, find("resize2fs"), partition.node)
        if ran.code != 0:
            raise DiskError(partition.node, "resize2fs", ran.last_lines(2))
        return _NOTHING_TO_DO not in ran.complaints
    with disk.mounted(partition) as folder:
        before = os.statvfs(folder).f_blocks
        if partition.filesystem == "xfs":
            run_well(disk.stopping, "xfs_growfs", str(folder))
        else:
            run_well(disk.stopping, "btrfs", "filesystem", "resize", "max", str(folder))
        return os.statvfs(folder).f_blocks > before


def _grow_ntfs(disk: TargetDisk, partition: DiskPartition) -> bool:
    tool, stopping = find("ntfsresize"), disk.stopping
    # Forced, since it refuses to look at what it has itself marked to be checked.
    looked = run(stopping, tool, "--info", "--force", "--no-progress-bar", partition.node)
    found = _NTFS_SIZE.search(looked.output)
    if found is None:
        raise DiskError(partition.node, "ntfsresize", looked.last_lines(2))
    room = int(run_well(stopping, "blockdev", "--getsize64", partition.node)) - int(found[1])
    if room < MIN_GROWTH:
        return False
    with disk.mounted(partition):
        pass  # which refuses a Windows that hibernates: its memory holds the old size
    ran = run(stopping, tool, "--force", "--force", "--no-progress-bar", partition.node)
    if ran.code != 0:
        raise DiskError(partition.node, "ntfsresize", ran.last_lines(2))
    return True
