"""Mounts that nobody else sees or has to clean up: they live in a mount namespace of one thread, and die with it.

So it is whatever ends the work: an error, Ctrl-C, or SIGKILL. What is mounted was written by strangers: devices,
set-user-id bits and programs of it count for nothing, and no journal is replayed where it is only looked at.
"""

import ctypes
import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeVar

from protocol.disk.system_tools import last_line, need_tool, run_tool
from protocol.errors import ConfigError, RefusedError

Result = TypeVar("Result")
Check = Callable[[], None]
"""raises RefusedError once the work is to end early"""

_CLONE_NEWNS: Final = 0x00020000
_MS_REC_PRIVATE: Final = 0x4000 | 1 << 18
"""From linux/sched.h and linux/mount.h."""

_LOOKING: Final = {
    "ext2": "noload",
    "ext3": "noload",
    "ext4": "noload",
    "xfs": "norecovery,nouuid",
    "btrfs": "rescue=nologreplay,subvolid=5",
    "ntfs": "",
    "vfat": "",
    "exfat": "",
}
"""blkid's name of each file system that can be looked into: what it takes to leave it as it is, and show all of it."""

MOUNTABLE: Final = tuple(_LOOKING)
_HARMLESS: Final = "nodev,nosuid,noexec"
_MOUNT_TYPES: Final = {"ntfs": "ntfs-3g"}
"""Where mount calls it otherwise than blkid; ntfs-3g reads in a process of its own, not in the kernel."""


def in_private_mounts(work: Callable[[Check], Result]) -> Result:
    """Run ``work`` in a thread with a mount namespace of its own, which its child processes share.

    Ctrl-C lets it end at its next call of the check that it is given.

    Raises:
        ConfigError: not root.
        RefusedError: the kernel allows no mount namespace.
    """
    if os.geteuid() != 0:
        raise ConfigError("looking into file systems takes loop devices and mounts: run this as root")
    is_over = threading.Event()

    def check() -> None:
        if is_over.is_set():
            raise RefusedError("interrupted")

    def run() -> Result:
        _leave_namespace()
        return work(check)

    with ThreadPoolExecutor(1, thread_name_prefix="mounts") as thread:
        ran = thread.submit(run)
        try:
            return ran.result()
        finally:
            is_over.set()


@contextmanager
def mounted(device: Path, filesystem: str, *, is_writable: bool = False) -> Iterator[Path]:
    """The folder under which the file system of a device is mounted; only within ``in_private_mounts``.

    Raises:
        RefusedError: it cannot be mounted.
    """
    options = ",".join(filter(None, (_HARMLESS, "rw" if is_writable else f"ro,{_LOOKING[filesystem]}".rstrip(","))))
    kind = _MOUNT_TYPES.get(filesystem, filesystem)
    with tempfile.TemporaryDirectory(prefix="slatecast-", ignore_cleanup_errors=True) as folder:
        ran = run_tool(need_tool("mount"), "-t", kind, "-o", options, "--", str(device), folder)
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


def _leave_namespace() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNS) != 0 or libc.mount(None, b"/", None, ctypes.c_ulong(_MS_REC_PRIVATE), None) != 0:
        raise RefusedError(f"no mount namespace of its own can be had: {os.strerror(ctypes.get_errno())}")
