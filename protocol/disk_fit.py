"""Whether an image fits on a disk, or would if one of its file systems were made smaller first. Pure; reads no disk.

    | EFI | MSR |  file system to be made smaller  | small ones behind it, moved down | backup table |

Made smaller is the file system with the most free space among those that can be (ext, NTFS, btrfs) and have nothing
behind them that is large or must stay where it is. All is by what the manifest's header says of used bytes, so a size
from here is an estimate: whoever does it asks the file system itself.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from protocol.firmware import BIOS_BOOT
from protocol.manifest import ManifestHeader, PartitionInfo

SHRINKABLE: Final = ("ext2", "ext3", "ext4", "ntfs", "btrfs")
"""blkid's names of the file systems that their tools can make smaller; XFS and FAT have no such tool."""

ALIGNMENT: Final = 1 << 20
"""[bytes] Partitions begin and end at multiples of this, and behind the last one as much is kept for the backup table,
which takes 34 sectors of 512 bytes or 6 of 4096."""

MOVABLE: Final = 2 << 30
"""[bytes] A partition up to this long is moved down by copying it: recovery and swap partitions are."""

_ROOM: Final = {"btrfs": 256 << 20}
_LEAST_ROOM: Final = 16 << 20
"""[bytes] that a file system needs beside its used blocks to be made smaller: btrfs moves whole block groups."""

_ROOM_SHARE: Final = 20
"""And a part of what is used, one in this many, for tables that cannot be packed to the last block."""

_LAST_PRIMARY: Final = 4


class FitVerdict(StrEnum):
    """Whether an image goes onto a disk."""

    FITS = "fits"
    FITS_AFTER_SHRINK = "fits after shrink"
    TOO_SMALL = "too small"


@dataclass(frozen=True, slots=True)
class Fit:
    """What is to be said of an image and a disk size."""

    verdict: FitVerdict
    size: int
    """bytes of the disk that the image needs: as it is, or at least once it is made smaller"""


@dataclass(frozen=True, slots=True)
class ShrinkChoice:
    """What can be done to make an image's disk smaller."""

    partition: PartitionInfo | None
    """whose file system is made smaller; None if only free space behind the last partition can go"""
    behind: tuple[PartitionInfo, ...]
    """what is moved down, in disk order"""

    def disk_size(self, length: int, header: ManifestHeader) -> int:
        """Bytes of the disk when the partition is ``length`` bytes long."""
        if self.partition is None:
            return min(header.disk_size, aligned(_end(header)) + ALIGNMENT)
        end = aligned(self.partition.offset + length)
        return end + sum(aligned(each.length) for each in self.behind) + ALIGNMENT

    def length_for(self, disk_size: int) -> int:
        """Bytes of the partition, whole ALIGNMENTs, on a disk of this size; negative where nothing is left for it."""
        assert self.partition is not None
        usable = disk_size // ALIGNMENT * ALIGNMENT - ALIGNMENT
        rest = usable - sum(aligned(each.length) for each in self.behind) - self.partition.offset
        return rest // ALIGNMENT * ALIGNMENT


def fit(header: ManifestHeader, disk_size: int) -> Fit:
    """Whether the image goes onto a disk of ``disk_size`` bytes."""
    return judge(header.disk_size, least_size(header), disk_size)


def judge(image_size: int, least: int, disk_size: int) -> Fit:
    """As ``fit``, of what an announcement tells; ``least`` is 0 where nobody has estimated it. All in bytes."""
    if disk_size >= image_size:
        return Fit(FitVerdict.FITS, image_size)
    if 0 < least <= disk_size:
        return Fit(FitVerdict.FITS_AFTER_SHRINK, least)
    return Fit(FitVerdict.TOO_SMALL, least or image_size)


def least_size(header: ManifestHeader) -> int:
    """Estimated bytes of the smallest disk that the image goes onto after a shrink; never more than it has now."""
    if header.partition_table == "none":
        return header.disk_size
    choice = choose(header)
    partition = choice.partition
    if partition is None:
        return choice.disk_size(0, header)
    return min(header.disk_size, choice.disk_size(_least_length(partition), header))


def choose(header: ManifestHeader) -> ShrinkChoice:
    """Which file system is made smaller: the one from which most is to be gained."""
    partitions = sorted(header.partitions, key=lambda each: each.offset)
    best = ShrinkChoice(None, ())
    gain = 0
    for index, partition in enumerate(partitions):
        behind = tuple(partitions[index + 1 :])
        spare = partition.length - _least_length(partition)
        is_possible = partition.filesystem in SHRINKABLE and _is_primary(header, partition)
        if is_possible and spare > gain and all(_is_movable(header, each) for each in behind):
            best, gain = ShrinkChoice(partition, behind), spare
    return best


def why_not_smaller(header: ManifestHeader) -> str:
    """Why nothing of an image can be made smaller, in words; empty where something can."""
    if header.partition_table == "none":
        return "it has no partition table"
    if choose(header).partition is not None or least_size(header) < header.disk_size:
        return ""
    last = max(header.partitions, key=lambda each: each.offset, default=None)
    if last is None:
        return "it has no partitions"
    if last.filesystem not in SHRINKABLE:
        return f"{last.filesystem or 'an unknown file system'} in its last partition cannot be made smaller"
    return "its file systems are full, or have something behind them that cannot be moved"


def aligned(count: int) -> int:
    """``count`` bytes, rounded up to whole ALIGNMENTs."""
    return -(-count // ALIGNMENT) * ALIGNMENT


def _least_length(partition: PartitionInfo) -> int:
    room = max(_ROOM.get(partition.filesystem, _LEAST_ROOM), partition.used_bytes // _ROOM_SHARE)
    return min(partition.length, aligned(partition.used_bytes + room))


def _is_primary(header: ManifestHeader, partition: PartitionInfo) -> bool:
    """Whether its entry stands in the table itself: logical ones lie in a chain that nothing here takes apart."""
    return header.partition_table == "gpt" or partition.number <= _LAST_PRIMARY


def _is_movable(header: ManifestHeader, partition: PartitionInfo) -> bool:
    """GRUB finds what lies in a BIOS boot partition by its sector."""
    is_short = partition.length <= MOVABLE
    return is_short and partition.type.lower() != BIOS_BOOT and _is_primary(header, partition)


def _end(header: ManifestHeader) -> int:
    return max((each.offset + each.length for each in header.partitions), default=header.disk_size)
