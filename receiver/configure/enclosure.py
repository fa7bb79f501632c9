"""Runs a program inside a Linux system on the disk, in mount, process and network namespaces of its own.

    /        the system's root; its file system is nodev and nosuid
    /dev     null, zero, full, random, urandom, tty; or the machine's own, where the step wants its disks
    /proc    of the namespace alone          /sys  read-only          /run, /tmp  empty, in memory

When the program ends, is stopped or meets its limit, and when we are killed, every process that it has started is
killed with the namespace. There is no network unless the step wants it. ``unshare`` rather than a container tool, since
the environment lies in an initramfs, from which pivot_root(2) does not lead away. It keeps accidents in, not an
attacker: the image is signed.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from protocol.disk.private_mounts import bound_to_us
from receiver.configure.running import Ran, Stopping, find, run, run_well
from receiver.configure.target_root import TargetRoot

NODES: Final = {"null": (1, 3), "zero": (1, 5), "full": (1, 7), "random": (1, 8), "urandom": (1, 9), "tty": (5, 0)}
"""Character devices that every program may expect, with their numbers (devices.txt of Linux)."""


@dataclass(frozen=True)
class Enclosure:
    """Where programs run; made by ``enclosed``."""

    root: Path
    run_folder: Path
    """its /run, as seen from outside"""
    has_network: bool
    stopping: Stopping

    def run(self, *command: str, limit: float) -> Ran:
        """Run a program by its path inside; raises RefusedError when it is to stop."""
        spaces = ["--mount", "--propagation", "private", "--pid", "--fork", "--kill-child=KILL", "--ipc", "--uts"]
        if not self.has_network:
            spaces.append("--net")
        enter = ("--root", str(self.root), "--wd", "/", "--mount-proc=/proc")
        ours = bound_to_us(find("unshare"), *spaces, *enter, "--", *command)
        return run(self.stopping, *ours, limit=limit, is_tool=False)


@contextmanager
def enclosed(
    stopping: Stopping, root: TargetRoot, *, has_network: bool = False, has_disks: bool = False
) -> Iterator[Enclosure]:
    """A place inside ``root``, which must be mounted executable; its mounts are gone at the end.

    Raises:
        DiskError: something cannot be mounted.
    """
    with ExitStack() as stack:
        root.real_path("proc")
        runs = stack.enter_context(_mounted(stopping, root, "run", "-t", "tmpfs", "-o", "nodev,nosuid,size=64m"))
        stack.enter_context(_mounted(stopping, root, "tmp", "-t", "tmpfs", "-o", "nodev,nosuid,mode=1777,size=512m"))
        if has_disks:
            stack.enter_context(_mounted(stopping, root, "sys", "--rbind", source="/sys"))
            stack.enter_context(_mounted(stopping, root, "dev", "--rbind", source="/dev"))
        else:
            stack.enter_context(_mounted(stopping, root, "sys", "--bind", "-o", "ro", source="/sys"))
            devices = stack.enter_context(
                _mounted(stopping, root, "dev", "-t", "tmpfs", "-o", "nosuid,noexec,mode=755,size=1m")
            )
            for name, numbers in NODES.items():
                os.mknod(devices / name, stat.S_IFCHR, os.makedev(*numbers))
                (devices / name).chmod(0o666)
            for number, name in enumerate(("stdin", "stdout", "stderr")):
                (devices / name).symlink_to(f"/proc/self/fd/{number}")
            (devices / "fd").symlink_to("/proc/self/fd")
        if has_network:
            _give_resolver(stack, stopping, root, runs)
        yield Enclosure(root.folder, runs, has_network, stopping)


@contextmanager
def _mounted(stopping: Stopping, root: TargetRoot, path: str, *options: str, source: str = "none") -> Iterator[Path]:
    folder = root.real_path(path)
    private = () if "-t" in options else ("--make-rslave",)
    run_well(stopping, "mount", *options, source, str(folder))
    try:
        if private:
            run_well(stopping, "mount", *private, str(folder))
        yield folder
    finally:
        never = Stopping()
        if run(never, find("umount"), "--recursive", str(folder)).code != 0:
            run(never, find("umount"), "--lazy", "--recursive", str(folder))


def _give_resolver(stack: ExitStack, stopping: Stopping, root: TargetRoot, runs: Path) -> None:
    """Let programs inside find names as this environment does, without a change to the disk."""
    ours = Path("/etc/resolv.conf")
    if not ours.is_file():
        return
    leads_to = root.link_target("etc/resolv.conf")
    if not leads_to and not root.has("etc/resolv.conf"):
        root.write("etc/resolv.conf", b"")
        stack.callback(root.remove, "etc/resolv.conf")
    theirs = root.real_file("etc/resolv.conf")
    if theirs is not None:
        run_well(stopping, "mount", "--bind", str(ours.resolve()), str(theirs))
        stack.callback(run, Stopping(), find("umount"), str(theirs))
        return
    parts = Path(os.path.normpath(Path("/etc", leads_to))).parts
    if parts[:2] == ("/", "run") and len(parts) > 2:  # which systemd's and others' resolvers fill when they run
        place = runs.joinpath(*parts[2:])
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(ours.read_bytes())
