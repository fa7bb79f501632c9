"""Making a file system smaller with the tools of those who made it: resize2fs, ntfsresize, btrfs.

Each is checked before and after. The device is always a private copy, so what goes wrong harms nobody.
"""

import re
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Final

from protocol.disk.clean_checks import why_not_clean
from protocol.disk.mounts import mounted
from protocol.disk.private_mounts import Check, in_private_mounts
from protocol.disk.system_tools import last_line, need_tool, run_tool
from protocol.errors import RefusedError

_E2FSCK_MENDED: Final = 1
"""Exit code of e2fsck: errors were found and corrected."""

_NTFS_SECTOR: Final = 4096
"""[bytes] Behind its last cluster NTFS keeps a copy of its first sector; a partition must have room for it."""

_BTRFS_LEAST: Final = 256 << 20
"""[bytes] The kernel takes no smaller one."""

_COMPLAINT: Final = re.compile(r"ERROR|[Ee]rror|cannot|can't|[Uu]nable|INCONSISTENCY|[Dd]irty|hibern")


class ShrinkTool(ABC):
    """What is done to one kind of file system, on a device that may be written."""

    @abstractmethod
    def check(self, device: Path) -> None:
        """Make sure that it is sound. Raises RefusedError."""

    @abstractmethod
    def least_length(self, device: Path) -> int:
        """Bytes that it can be made small to, as it says itself. Raises RefusedError."""

    @abstractmethod
    def shrink(self, device: Path, length: int) -> None:
        """Make it at most ``length`` bytes long, a multiple of 1 MiB. Raises RefusedError."""

    def finish(self, device: Path) -> None:  # noqa: B027 - most have nothing left to do
        """What is to be done once the device has its new length. Raises RefusedError."""


class _Ext(ShrinkTool):
    def check(self, device: Path) -> None:
        ran = run_tool(need_tool("e2fsck"), "-f", "-p", str(device))
        if ran.returncode > _E2FSCK_MENDED:
            raise RefusedError(f"e2fsck finds errors in the file system: {_reason(ran.stdout + ran.stderr)}")

    def least_length(self, device: Path) -> int:
        blocks = _number(r"minimum size of the filesystem: +(\d+)", _output("resize2fs", "-P", str(device)))
        return blocks * _number(r"^Block size: +(\d+)", _output("dumpe2fs", "-h", str(device)))

    def shrink(self, device: Path, length: int) -> None:
        _output("resize2fs", str(device), f"{length // 1024}K")


class _Ntfs(ShrinkTool):
    def check(self, device: Path) -> None:
        doubt = why_not_clean("ntfs", device)
        if doubt:
            raise RefusedError(f"{doubt}: shut Windows down without fast start, and capture it again")
        self._info(device)

    def least_length(self, device: Path) -> int:
        return _number(r"might resize at (\d+) bytes", self._info(device)) + _NTFS_SECTOR

    def shrink(self, device: Path, length: int) -> None:
        # Forced twice it asks nobody.
        size = str(length - _NTFS_SECTOR)
        _output("ntfsresize", "--force", "--force", "--no-progress-bar", "--size", size, str(device))

    def finish(self, device: Path) -> None:
        # ntfsresize leaves the copy of the first sector to be mended, and marks the file system as due for a check by
        # Windows; as long as it is, nobody believes its map of free space, and all of it would be stored.
        _output("ntfsfix", "--clear-dirty", str(device))

    def _info(self, device: Path) -> str:
        """Goes through the whole file system."""
        return _output("ntfsresize", "--info", "--no-progress-bar", str(device))


class _Btrfs(ShrinkTool):
    def check(self, device: Path) -> None:
        _output("btrfs", "check", "--readonly", str(device))

    def least_length(self, device: Path) -> int:
        least = _number(r"^(\d+) bytes", _mounted("btrfs", device, "inspect-internal", "min-dev-size"))
        return max(least, _BTRFS_LEAST)

    def shrink(self, device: Path, length: int) -> None:
        _mounted("btrfs", device, "filesystem", "resize", str(length))


_EXT: Final = _Ext()
TOOLS: Final[dict[str, ShrinkTool]] = {"ext2": _EXT, "ext3": _EXT, "ext4": _EXT, "ntfs": _Ntfs(), "btrfs": _Btrfs()}
"""By blkid's name of the file system."""


def _mounted(filesystem: str, device: Path, *command: str) -> str:
    """What btrfs says to a command about the mounted file system."""

    def work(_check: Check) -> str:
        with mounted(device, filesystem, is_writable=True) as folder:
            return _output("btrfs", *command, str(folder))

    return in_private_mounts(work)


def _output(tool: str, *arguments: str) -> str:
    ran = run_tool(need_tool(tool), *arguments)
    if ran.returncode != 0:
        raise RefusedError(f"{tool} cannot make the file system smaller: {_reason(ran.stderr or ran.stdout)}")
    return ran.stdout


def _number(pattern: str, output: str) -> int:
    found = re.search(pattern, output, re.M)
    if found is None:
        raise RefusedError(f"the tool says nothing that is understood: {last_line(output)}")
    return int(found[1])


def _reason(text: str) -> str:
    """The first line that names an error, since ntfsresize goes on with advice for pages."""
    return next((line.strip() for line in text.splitlines() if _COMPLAINT.search(line)), last_line(text))
