"""The Debian tools that know partition tables, file systems and virtual disks better than we ever should.

One place to find them, run them in the C locale and say which package to install. What is changed here is a loop device
at most, which frees itself when the process that asked for it ends, however it ends.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from protocol.errors import LibraryError

PACKAGES: Final = {
    "blkid": "util-linux",
    "btrfs": "btrfs-progs",
    "dumpe2fs": "e2fsprogs",
    "e2fsck": "e2fsprogs",
    "findmnt": "util-linux",
    "losetup": "util-linux",
    "lowntfs-3g": "ntfs-3g",
    "lsblk": "util-linux",
    "mcopy": "mtools",
    "mdir": "mtools",
    "mmd": "mtools",
    "mount": "mount",
    "mtype": "mtools",
    "ntfs-3g": "ntfs-3g",
    "ntfsfix": "ntfs-3g",
    "ntfsresize": "ntfs-3g",
    "partx": "util-linux",
    "qemu-img": "qemu-utils",
    "resize2fs": "e2fsprogs",
    "setpriv": "util-linux",
    "sfdisk": "fdisk",
    "ssh-keygen": "openssh-client",
    "umount": "mount",
    "unshare": "util-linux",
    "xfs_growfs": "xfsprogs",
}
"""Debian package of each tool that an operation cannot do without."""

_ADMIN_FOLDERS: Final = "/usr/local/sbin:/usr/sbin:/sbin"
"""Debian leaves these out of an ordinary user's PATH, but the tools work there for files that the user may read."""


def find_tool(name: str) -> str | None:
    """The path of a tool, or None if it is not installed."""
    return shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:{_ADMIN_FOLDERS}")


def need_tool(name: str) -> str:
    """The path of a tool that there is no way around.

    Raises:
        LibraryError: it is not installed; the text says which package has it.
    """
    path = find_tool(name)
    if path is None:
        raise LibraryError(f"{name} is not installed: apt install {PACKAGES.get(name, name)}")
    return path


def run_tool(path: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a tool to its end, whatever its exit code; output and complaints are text in the C locale."""
    return subprocess.run(
        [path, *arguments],
        check=False,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        env=tool_environment(),
    )


def tool_environment() -> dict[str, str]:
    """This process's environment with messages in English, since some of them are read."""
    return {**os.environ, "LC_ALL": "C"}


def last_line(text: str) -> str:
    """The last line that says something: where these tools put their reason."""
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "no reason given")


@contextmanager
def loop_device(
    path: Path, offset: int, length: int, sector_size: int = 512, *, is_writable: bool = False
) -> Iterator[Path]:
    """A block device over a part of a file or disk, all in bytes; read-only unless ``is_writable``. Needs root.

    Raises:
        OSError: no loop device to be had.
    """
    losetup = find_tool("losetup")
    if losetup is None:
        raise FileNotFoundError("losetup is not installed")
    window = ("--offset", str(offset), "--sizelimit", str(length), "--sector-size", str(sector_size))
    access = () if is_writable else ("--read-only",)
    attached = run_tool(losetup, "--find", "--show", *access, *window, str(path))
    if attached.returncode != 0:
        raise OSError(last_line(attached.stderr))
    device = attached.stdout.strip()
    descriptor = -1
    try:
        with suppress(OSError):
            descriptor = os.open(device, os.O_RDONLY | os.O_CLOEXEC)
    finally:
        # Detaching an open device makes the kernel detach it on the last close, even if we are killed.
        run_tool(losetup, "--detach", device)
    if descriptor < 0:
        raise OSError(f"{device} cannot be opened")
    try:
        yield Path(device)
    finally:
        os.close(descriptor)
