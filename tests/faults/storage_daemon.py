"""Disks that fail on demand: QEMU's block layer behind a file of FUSE, and a loop device on top of it if wanted.

``qemu-storage-daemon`` exports a graph of its nodes (``blkdebug``, ``throttle``, ``blklogwrites``) as a regular file.
FUSE passes each write and fsync to it before the call returns, so its errors arrive where a bad disk's would: as the
result of pwrite, fsync and O_DIRECT reads. Over a loop device they come as a real disk's do, late, out of the page
cache. Neither needs a virtual machine, NBD or device-mapper. What lies on the medium is the file ``medium``.

Invariant: after the ``with`` block the daemon is gone, and its mount and loop device with it, even if it was stopped or
killed meanwhile. Whoever uses the disk must be gone before that.
"""

import json
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from tests.broadcaster.library.disks import SECTOR
from tests.end_to_end.room import wait_until
from tests.receiver.loop_device import loop_device

Node = dict[str, Any]
"""One node of the daemon's graph, as in QEMU's ``blockdev-add``."""

_COUNTED_FLUSHES: Final = 40
"""Flushes that blkdebug counts; far more than one cast makes."""


def missing_requirement() -> str | None:
    """Why there can be no such disk here, in words for a skipped test, or None when there can."""
    if os.geteuid() != 0:
        return "needs root, for FUSE mounts and loop devices"
    if shutil.which("qemu-storage-daemon") is None:
        return "needs qemu-storage-daemon: apt-get install qemu-system-common"
    if not Path("/dev/fuse").exists():
        return "needs FUSE in the kernel: modprobe fuse"
    return None


def failing(
    operation: str, errno: int, *, sector: int | None = None, after_flushes: int = 0, is_once: bool = False
) -> Node:
    """A disk on which ``operation`` (read, write or flush) fails from some moment on.

    Args:
        operation: which kind of request fails.
        errno: with which error.
        sector: number of the 512-byte sector that a request must touch to fail; None for all.
        after_flushes: how many flushes of something new pass before; 0 fails from the start.
        is_once: the next such request succeeds; otherwise all fail for ever.
    """
    fault: Node = {"iotype": operation, "errno": errno, "event": "none", "once": is_once}
    if sector is not None:
        fault["sector"] = sector
    # blkdebug's state is 1 plus the flushes begun; a rule takes effect at the beginning of a flush, before its request.
    state = after_flushes + (operation == "flush")
    if state:
        fault |= {"event": "flush_to_disk", "state": state}
    count = [
        {"event": "flush_to_disk", "state": number, "new_state": number + 1} for number in range(1, _COUNTED_FLUSHES)
    ]
    return {
        "driver": "blkdebug",
        "node-name": "failing",
        "image": "medium",
        "set-state": count,
        "inject-error": [fault],
    }


def sound() -> Node:
    """A disk without fault, to be stalled, or changed behind the receiver's back."""
    return {"driver": "blkdebug", "node-name": "sound", "image": "medium"}


def logging(log: Path) -> Node:
    """A disk whose writes and flushes are recorded in ``log``, in dm-log-writes' format; see ``write_log``."""
    log.touch()
    return {
        "driver": "blklogwrites",
        "node-name": "logging",
        "file": "medium",
        "log": {"driver": "file", "filename": str(log)},
        "log-sector-size": SECTOR,
    }


def slow() -> Node:
    """A disk that writes no more than ``write_rate`` of ``FaultyDisk.open``."""
    return {"driver": "throttle", "node-name": "slow", "throttle-group": "limit", "file": "medium"}


class FaultyDisk:
    """One disk, alive inside ``with FaultyDisk.open(...)``."""

    def __init__(self, path: str, medium: Path, daemon: "subprocess.Popen[bytes]") -> None:
        self.path = path
        """what a receiver is given as its target"""
        self.medium = medium
        """what lies on the disk now; to be read and changed behind the receiver's back"""
        self._daemon = daemon

    @classmethod
    @contextmanager
    def open(
        cls, medium: Path, fault: Node, *, write_rate: int | None = None, is_loop_device: bool = False
    ) -> Iterator["FaultyDisk"]:
        """A disk of the size and content of ``medium``, which it changes; ``write_rate`` in bytes per second."""
        with ExitStack() as cleanup:
            folder = Path(cleanup.enter_context(tempfile.TemporaryDirectory(prefix="disk-", dir=medium.parent)))
            path = folder / medium.name
            path.touch()
            nodes: list[Node] = [
                {"driver": "file", "node-name": "medium", "filename": str(medium)},
                fault,
                # Reports flushes to blkdebug, which counts them; does nothing else.
                {"driver": "raw", "node-name": "disk", "file": fault["node-name"]},
            ]
            daemon = _start(folder, nodes, path, write_rate)
            cleanup.callback(_end, daemon, path)
            wait_until(lambda: daemon.poll() is not None or (folder / "pid").exists(), "the storage daemon")
            assert daemon.poll() is None, "the storage daemon ended at once"
            name = cleanup.enter_context(loop_device(path)) if is_loop_device else str(path)
            yield cls(name, medium, daemon)

    @contextmanager
    def stalled(self) -> Iterator[None]:
        """Inside the block the disk answers nothing; whoever waits for it cannot even be killed."""
        self._daemon.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._daemon.send_signal(signal.SIGCONT)


def _start(folder: Path, nodes: Sequence[Node], path: Path, write_rate: int | None) -> "subprocess.Popen[bytes]":
    command = ["qemu-storage-daemon", "--pidfile", str(folder / "pid")]
    if write_rate is not None:
        command += ["--object", f"throttle-group,id=limit,x-bps-write={write_rate},x-bps-write-max={write_rate}"]
    for node in nodes:
        command += ["--blockdev", json.dumps(node)]
    export = f"fuse,id=export,node-name=disk,mountpoint={path},writable=on,allow-other=off"
    return subprocess.Popen([*command, "--export", export], stdin=subprocess.DEVNULL)


def _end(daemon: "subprocess.Popen[bytes]", path: Path) -> None:
    """Let the daemon unmount; if it cannot any more, unmount for it."""
    daemon.terminate()
    try:
        daemon.wait(10)
    except subprocess.TimeoutExpired:
        daemon.kill()
        daemon.wait()
    with suppress(subprocess.CalledProcessError):
        if str(path) in Path("/proc/mounts").read_text():
            subprocess.run(["umount", "--lazy", str(path)], check=True)
