"""The boot and EFI partitions of a Linux on the disk, mounted where its own fstab has them while a script runs.

The fstab was written by somebody else: only partitions of the same disk are taken, by what names a file system or
partition for good, and a mount point is resolved within the root, whatever its links say. Its options count for
nothing. What it names on another disk, or by a device's name, is left out.
"""

import re
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Final

from receiver.configure.running import find, run
from receiver.configure.target_disk import DiskPartition, TargetDisk
from receiver.configure.target_root import TargetRoot

MOUNT_POINTS: Final = ("/boot", "/boot/efi", "/efi")
"""In the order in which they lie in each other."""

_FILESYSTEMS: Final = ("vfat", "ext2", "ext3", "ext4", "xfs")
_SOURCE: Final = re.compile(r'(?:/dev/disk/by-)?(UUID|PARTUUID|LABEL)[=/]"?([^"]+)"?', re.IGNORECASE)


@contextmanager
def boot_mounted(disk: TargetDisk, root: TargetRoot) -> Iterator[None]:
    """What fstab names for MOUNT_POINTS is there, nodev and nosuid; unmounted at the end.

    Raises:
        DiskError: a partition that it names is on this disk and cannot be mounted: a script would write beneath it.
    """
    fstab = root.read("etc/fstab")
    with ExitStack() as stack:
        if fstab:
            with tempfile.NamedTemporaryFile(prefix="slatecast-fstab-") as copy:
                copy.write(fstab)
                copy.flush()
                sources = [(point, _source(disk, copy.name, point)) for point in MOUNT_POINTS]
            partitions = [each for each in disk.table().partitions if each.filesystem in _FILESYSTEMS]
            for point, source in sources:
                partition = _partition(disk, partitions, source)
                if partition is not None and root.has(point):
                    stack.enter_context(disk.mounted_at(partition, root.real_path(point)))
        yield


def _source(disk: TargetDisk, fstab: str, mount_point: str) -> str:
    """How fstab names what belongs there; empty where it names nothing."""
    options = ("--nocanonicalize", "--noheadings", "--first-only", "--output", "SOURCE", "--mountpoint", mount_point)
    return run(disk.stopping, find("findmnt"), "--tab-file", fstab, *options).output.strip()


def _partition(disk: TargetDisk, partitions: Iterable[DiskPartition], source: str) -> DiskPartition | None:
    named = _SOURCE.fullmatch(source)
    if named is None:
        return None
    tag, value = named[1].upper(), named[2]
    return next((each for each in partitions if _tag(disk, each, tag).casefold() == value.casefold()), None)


def _tag(disk: TargetDisk, partition: DiskPartition, tag: str) -> str:
    if tag == "PARTUUID":
        return partition.uuid
    options = ("--probe", "--output", "value", "--match-tag", tag)
    return run(disk.stopping, find("blkid"), *options, partition.node).output.strip()
