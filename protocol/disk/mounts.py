"""File systems that strangers wrote, mounted to be looked into: the one table of how that is done without harm.

Devices, set-user-id bits and programs of theirs count for nothing, and no journal is replayed where a file system is
only looked at. Windows' is read by a program, not by the kernel.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from protocol.disk.ntfs_mount import serving_ntfs
from protocol.disk.system_tools import last_line, need_tool, run_tool
from protocol.errors import RefusedError


class _Looking(NamedTuple):
    driver: str
    options: str = ""
    """what it takes to leave it as it is, and show all of it"""


_LOOKING: Final = {
    "ext2": _Looking("ext4", "noload"),
    "ext3": _Looking("ext4", "noload"),
    "ext4": _Looking("ext4", "noload"),
    "xfs": _Looking("xfs", "norecovery,nouuid"),
    "btrfs": _Looking("btrfs", "rescue=nologreplay,subvolid=5"),
    "ntfs": _Looking("ntfs-3g", "norecover"),
    "vfat": _Looking("vfat"),
    "exfat": _Looking("exfat"),
}
"""By blkid's name of each file system that can be looked into."""

MOUNTABLE: Final = tuple(_LOOKING)
ROOT_SUBVOLUMES: Final = ("", "@", "@rootfs", "root", "@/.snapshots/1/snapshot")
"""Where btrfs has the root: by default, as Ubuntu, Debian, Fedora and openSUSE install it."""

_HARMLESS: Final = "nodev,nosuid,noexec"


@contextmanager
def mounted(device: Path, filesystem: str, *, is_writable: bool = False) -> Iterator[Path]:
    """The folder under which the file system of a device is mounted, of btrfs the volume that holds all others.

    Whoever calls this does so within ``in_private_mounts``, so that nothing of it outlives the work.

    Raises:
        RefusedError: it cannot be mounted.
        LibraryError: a tool is missing.
    """
    looking = _LOOKING[filesystem]
    options = ",".join(filter(None, (_HARMLESS, *(("rw",) if is_writable else ("ro", looking.options)))))
    with tempfile.TemporaryDirectory(prefix="slatecast-", ignore_cleanup_errors=True) as folder:
        if looking.driver == "ntfs-3g":
            with serving_ntfs(device, Path(folder), options):
                yield Path(folder)
            return
        ran = run_tool(need_tool("mount"), "-t", looking.driver, "-o", options, "--", str(device), folder)
        if ran.returncode != 0:
            raise RefusedError(f"the {filesystem} cannot be mounted: {last_line(ran.stderr)}")
        try:
            shown = run_tool(need_tool("findmnt"), "--noheadings", "--output", "SOURCE", "--mountpoint", folder).stdout
            # The kernel may take a copy of a btrfs that this machine has mounted for that very one.
            if shown.strip().partition("[")[0] != str(device):
                raise RefusedError(f"the {filesystem} cannot be mounted beside the one of this machine that it copies")
            yield Path(folder)
        finally:
            if run_tool(need_tool("umount"), folder).returncode != 0:
                run_tool(need_tool("umount"), "--lazy", folder)
