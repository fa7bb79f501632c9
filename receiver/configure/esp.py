"""The EFI system partition, read and written by mtools: its file system is never mounted, and no driver is needed.

Upper and lower case are the same in its paths, as they are to firmware.
"""

import tempfile
from pathlib import Path
from typing import Final

from protocol.errors import DiskError
from receiver.configure.running import find, run, run_well
from receiver.configure.target_disk import ESP_TYPES, DiskPartition, DiskTable, TargetDisk

MAX_ENTRY: Final = 1 << 20
"""[bytes] of a file of it that is looked into."""

_IS_MISSING: Final = "not found"
"""what mdir says of a path that is not there"""


class EfiPartition:
    """The one of a disk; paths are relative, with slashes."""

    def __init__(self, disk: TargetDisk, partition: DiskPartition) -> None:
        self.number: Final = partition.number
        self.uuid: Final = partition.uuid
        self._image: Final = partition.node
        self._stopping: Final = disk.stopping

    @classmethod
    def of(cls, disk: TargetDisk, table: DiskTable) -> "EfiPartition | None":
        """The first one that has a FAT file system."""
        found = next((each for each in table.partitions if each.type in ESP_TYPES and each.filesystem == "vfat"), None)
        return None if found is None else cls(disk, found)

    def names(self, folder: str) -> list[str]:
        """What lies in a folder; folders end with a slash. Nothing where there is none.

        Raises:
            DiskError: mdir cannot read the file system.
        """
        ran = run(self._stopping, find("mdir"), "-b", "-i", self._image, f"::/{folder}")
        if ran.code != 0 and _IS_MISSING not in ran.complaints:
            raise DiskError(self._image, "mdir", ran.last_lines())
        if ran.code != 0:
            return []
        lines = (line.strip().removeprefix("::/") for line in ran.output.splitlines())
        prefix = f"{folder.strip('/')}/".lstrip("/")
        return [line[len(prefix) :] for line in lines if line.lower().startswith(prefix.lower()) and line != prefix]

    def has(self, path: str) -> bool:
        """Whether there is such a file."""
        folder, _, name = path.rpartition("/")
        return name.lower() in (each.lower() for each in self.names(folder))

    def read(self, path: str) -> bytes | None:
        """A file's contents; None where there is none, or a longer one than any that is looked into."""
        with tempfile.TemporaryDirectory(prefix="slatecast-esp-") as scratch:
            copy = Path(scratch) / "file"
            if run(self._stopping, find("mcopy"), "-i", self._image, f"::/{path}", str(copy)).code != 0:
                return None
            return copy.read_bytes() if copy.stat().st_size <= MAX_ENTRY else None

    def copy(self, source: str, destination: str) -> None:
        """Copy a file within it; what is at ``destination`` goes when the copy is whole.

        Raises:
            DiskError: there is no such file, or no room.
        """
        folder, _, name = destination.rpartition("/")
        with tempfile.TemporaryDirectory(prefix="slatecast-esp-") as scratch:
            copy = Path(scratch) / "file"
            run_well(self._stopping, "mcopy", "-i", self._image, f"::/{source}", str(copy))
            for depth in range(1, folder.count("/") + 2):
                above = "/".join(folder.split("/")[:depth])
                if not self._has_folder(above):
                    run_well(self._stopping, "mmd", "-i", self._image, f"::/{above}")
            part = f"{folder}/slatecst.tmp"
            run_well(self._stopping, "mcopy", "-o", "-i", self._image, str(copy), f"::/{part}")
        if self.has(destination):
            run_well(self._stopping, "mdel", "-i", self._image, f"::/{destination}")
        run_well(self._stopping, "mren", "-i", self._image, f"::/{part}", name)

    def _has_folder(self, path: str) -> bool:
        folder, _, name = path.rpartition("/")
        return f"{name}/".lower() in (each.lower() for each in self.names(folder))
