"""The written disk as the steps see it: its table and file systems, and its systems' roots, mounted while in use.

The kernel is told of the partitions by ``partx``, which reads the table itself: so the nodes are there without udev,
and for a file, by way of a loop device, as for a disk. File systems are mounted nodev, nosuid and, unless a program of
theirs is to be run, noexec, in a folder that nobody else may enter; all are unmounted before a step ends. Whoever runs
the steps does so within ``in_private_mounts``, so that all of it is gone too when the process is killed.
"""

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from protocol.disk.mounts import ROOT_SUBVOLUMES
from protocol.disk.ntfs_mount import serving_ntfs
from protocol.errors import DiskError, RefusedError
from receiver.configure.running import Stopping, find, run, run_well
from receiver.configure.target_root import TargetRoot

LINUX_FILESYSTEMS: Final = ("ext2", "ext3", "ext4", "xfs", "btrfs")
ESP_TYPES: Final = ("c12a7328-f81f-11d2-ba4b-00a0c93ec93b", "ef")
RECOVERY_TYPES: Final = ("de94bba4-06d1-4d40-a16a-bfd50179d6ac", "27")
EXTENDED_TYPES: Final = ("5", "f", "85")

_UNMOUNT_ATTEMPTS: Final = 3
_ALL_PARTITIONS: Final = "1:256"
"""Named, since partx 2.38 otherwise believes that the highest number is the count: it leaves gaps out."""


@dataclass(frozen=True)
class DiskPartition:
    """One partition."""

    number: int
    node: str
    """its block device"""
    start: int
    """sectors of 512 or 4096 bytes, as the disk's"""
    size: int
    """sectors"""
    type: str
    """GPT type GUID or MBR type, lower case"""
    uuid: str
    """PARTUUID; empty in an MBR that has no disk id"""
    filesystem: str
    """blkid's name of the type, empty if unknown"""

    @property
    def is_linux(self) -> bool:
        """Whether a Linux system may lie in it."""
        return self.filesystem in LINUX_FILESYSTEMS


@dataclass(frozen=True)
class DiskTable:
    """The partition table."""

    kind: str
    """gpt or dos"""
    disk_id: str
    sector_size: int
    """bytes"""
    partitions: tuple[DiskPartition, ...]
    """in disk order"""


class TargetDisk:
    """The disk or file at ``path``; ``opened`` makes it."""

    def __init__(self, device: str, stopping: Stopping) -> None:
        self.device: Final = device
        self.stopping: Final = stopping

    @classmethod
    @contextmanager
    def opened(cls, path: str, stopping: Stopping) -> Iterator["TargetDisk"]:
        """The disk, with its partitions known to the kernel.

        Raises:
            DiskError: it cannot be used.
        """
        with ExitStack() as stack:
            device = path
            if not Path(path).is_block_device():
                options = ("--find", "--show", "--nooverlap", "--partscan")
                device = run_well(stopping, "losetup", *options, path).strip()
                stack.enter_context(_held(device))
            disk = cls(device, stopping)
            disk.tell_kernel()
            yield disk

    def tell_kernel(self) -> None:
        """Let the kernel know the partitions as the table has them now."""
        run(self.stopping, find("partx"), "--update", "--nr", _ALL_PARTITIONS, self.device)

    def table(self) -> DiskTable:
        """The partitions as they are now.

        Raises:
            RefusedError: it has no partition table.
        """
        ran = run(self.stopping, find("sfdisk"), "--json", self.device)
        try:
            found: dict[str, Any] = json.loads(ran.output)["partitiontable"]
        except (ValueError, KeyError) as error:
            raise RefusedError(f"the disk has no partition table that can be read: {ran.last_lines(1)}") from error
        partitions = [self._partition(entry, found) for entry in found.get("partitions", ())]
        return DiskTable(
            kind=found["label"],
            disk_id=str(found.get("id", "")).lower(),
            sector_size=int(found.get("sectorsize", 512)),
            partitions=tuple(sorted(partitions, key=lambda each: each.start)),
        )

    def _partition(self, entry: dict[str, Any], table: dict[str, Any]) -> DiskPartition:
        number = int(entry["node"].removeprefix(table["device"]).lstrip("p"))
        probed = run(self.stopping, find("blkid"), "--probe", "--output", "value", "--match-tag", "TYPE", entry["node"])
        disk_id = str(table.get("id", "")).lower().removeprefix("0x")
        uuid = str(entry.get("uuid", "")).lower() or (disk_id and f"{disk_id}-{number:02x}")
        kind = str(entry["type"]).lower()
        filesystem = probed.output.strip() if probed.code == 0 else ""
        return DiskPartition(number, entry["node"], entry["start"], entry["size"], kind, uuid, filesystem)

    # --- mounting ----------------------------------------------------------------------------------------------------

    @contextmanager
    def mounted(self, partition: DiskPartition, *, options: str = "", executable: bool = False) -> Iterator[Path]:
        """A partition's file system, writable; synced and unmounted at the end.

        Raises:
            DiskError: it cannot be mounted, or not for writing.
        """
        with self._mounted_as_is(partition, options=options, executable=executable) as folder:
            if os.statvfs(folder).f_flag & os.ST_RDONLY:
                reason = _READ_ONLY if partition.filesystem == "ntfs" else "it can only be read"
                raise DiskError(_words(partition), "mounting", reason)
            yield folder

    @contextmanager
    def _mounted_as_is(
        self, partition: DiskPartition, *, options: str = "", executable: bool = False
    ) -> Iterator[Path]:
        """The same, but perhaps only readable, as ntfs-3g mounts a hibernated Windows."""
        flags = ",".join(filter(None, ("nodev", "nosuid", "" if executable else "noexec", options)))
        with ExitStack() as stack:
            folder = Path(tempfile.mkdtemp(prefix="slatecast-target-"))
            stack.callback(_remove, folder)
            if partition.filesystem == "ntfs":
                try:
                    stack.enter_context(serving_ntfs(Path(partition.node), folder, flags))
                except RefusedError as error:
                    raise DiskError(_words(partition), "mounting", str(error)) from error
                stack.callback(_unmount, folder, partition)
            else:
                stack.enter_context(self.mounted_at(partition, folder, flags))
            yield folder

    @contextmanager
    def mounted_at(self, partition: DiskPartition, folder: Path, flags: str = "nodev,nosuid") -> Iterator[None]:
        """A partition's file system, not of Windows, at a folder that is there; synced and unmounted at the end.

        Raises:
            DiskError: it cannot be mounted.
        """
        run_well(self.stopping, "mount", "-t", partition.filesystem, "-o", flags, partition.node, str(folder))
        try:
            yield
        finally:
            _unmount(folder, partition)

    @contextmanager
    def linux_root(self, *, executable: bool = False) -> Iterator[TargetRoot]:
        """The root of the Linux system on the disk.

        Raises:
            RefusedError: there is none.
        """
        for partition in self.table().partitions:
            for options in self._linux_options(partition):
                with ExitStack() as stack:
                    try:
                        mount = self.mounted(partition, options=options, executable=executable)
                        folder = stack.enter_context(mount)
                    except DiskError:
                        if options:  # there is no such subvolume
                            continue
                        raise
                    root = stack.enter_context(TargetRoot(folder))
                    if root.has("etc/os-release") or root.has("usr/lib/os-release"):
                        yield root
                        root.sync()
                        return
        raise RefusedError("no partition holds a Linux system; what lies in LVM or LUKS is not opened")

    @contextmanager
    def windows_root(self) -> Iterator[TargetRoot]:
        """The root of the Windows system on the disk; upper and lower case are the same in its paths.

        Raises:
            RefusedError: there is none.
        """
        for partition in self.table().partitions:
            if partition.filesystem == "ntfs" and partition.type not in RECOVERY_TYPES:
                with self.mounted(partition) as folder, TargetRoot(folder, ignore_case=True) as root:
                    if root.has("Windows/System32"):
                        yield root
                        root.sync()
                        return
        raise RefusedError("no partition holds a Windows system")

    def has_windows(self) -> bool:
        """Whether a Windows system is on the disk, writable or not."""
        for partition in self.table().partitions:
            if partition.filesystem == "ntfs":
                with self._mounted_as_is(partition) as folder, TargetRoot(folder, ignore_case=True) as root:
                    if root.has("Windows/System32"):
                        return True
        return False

    def _linux_options(self, partition: DiskPartition) -> tuple[str, ...]:
        if not partition.is_linux:
            return ()
        if partition.filesystem != "btrfs":
            return ("",)
        return tuple(each and f"subvol={each}" for each in ROOT_SUBVOLUMES)


_READ_ONLY: Final = (
    "Windows hibernated or was not shut down, so nothing may be written to it;"
    " capture the image again after 'shutdown /s /t 0' with fast startup off"
)


def _words(partition: DiskPartition) -> str:
    return f"partition {partition.number} ({partition.filesystem})"


def _remove(folder: Path) -> None:
    with suppress(OSError):
        folder.rmdir()


def _unmount(folder: Path, partition: DiskPartition) -> None:
    """Unmount it even if the steps were stopped; what a hung program holds is let go as soon as that ends."""
    never = Stopping()
    for _ in range(_UNMOUNT_ATTEMPTS):
        ran = run(never, find("umount"), "--recursive", str(folder))
        if ran.code == 0:
            return
    run(never, find("umount"), "--lazy", "--recursive", str(folder))
    raise DiskError(_words(partition), "unmounting", ran.last_lines(1))


@contextmanager
def _held(device: str) -> Iterator[None]:
    """A loop device and its partitions are there for as long as this is entered, or a mount uses them."""
    try:
        descriptor = os.open(device, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise DiskError(device, "opening", error.strerror or str(error)) from error
    finally:
        # Detaching one that is open makes the kernel do that after the last use, even if we are killed.
        run(Stopping(), find("losetup"), "--detach", device)
    try:
        yield
    finally:
        os.close(descriptor)
