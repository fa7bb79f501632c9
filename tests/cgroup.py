"""A control group: processes that get only so much memory and CPU, with cgroup v1 or v2, whichever the machine has.

Invariant: when the group is closed, whatever was in it is dead and the group is gone. It needs root.
"""

import itertools
import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import Final, Self

ROOT: Final = Path("/sys/fs/cgroup")

PERIOD: Final = 100_000
"""[us] Of the CPU quota, the kernel's default."""

_serial = itertools.count()


def missing_control() -> str | None:
    """Why no limits can be set here, in words for a skipped test, or None when they can."""
    if os.geteuid() != 0:
        return "needs root for control groups"
    if not os.access(ROOT, os.W_OK):
        return "needs control groups that can be written: run the container privileged"
    if not _is_v2() and not all((ROOT / controller).is_dir() for controller in ("memory", "cpu")):
        return "needs the memory and cpu controllers: mount cgroup2 at /sys/fs/cgroup"
    if _is_v2() and not {"memory", "cpu"} <= set((ROOT / "cgroup.controllers").read_text().split()):
        return "needs the memory and cpu controllers of cgroup2, which this container was not given"
    return None


class Cgroup:
    """Limits for the processes that are put into it; alive inside the ``with`` block.

    Args:
        memory: [bytes] of RAM, page cache and tmpfs included; a process that needs more is killed. None is no limit.
        cpus: processors' worth of time, such as 0.2. None is no limit.
    """

    def __init__(self, *, memory: int | None = None, cpus: float | None = None) -> None:
        name = f"slatecast-{os.getpid()}-{next(_serial)}"
        roots = [ROOT] if _is_v2() else [ROOT / "memory", ROOT / "cpu"]
        self._folders = [root / name for root in roots]
        self._memory = memory
        self._cpus = cpus

    def __enter__(self) -> Self:
        if _is_v2():
            (ROOT / "cgroup.subtree_control").write_text("+memory +cpu")
        for folder in self._folders:
            folder.mkdir()
        if self._memory is not None:
            self._write("memory.max", "memory.limit_in_bytes", str(self._memory))
        if self._cpus is not None:
            quota = round(self._cpus * PERIOD)
            if _is_v2():
                self._write("cpu.max", "", f"{quota} {PERIOD}")
            else:
                self._write("", "cpu.cfs_period_us", str(PERIOD))
                self._write("", "cpu.cfs_quota_us", str(quota))
        return self

    def __exit__(self, *_: object) -> None:
        for folder in self._folders:
            while pids := (folder / "cgroup.procs").read_text().split():
                for pid in map(int, pids):
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                time.sleep(0.01)  # a killed process leaves its group when the kernel gets to it
            folder.rmdir()

    def command(self, argv: list[str]) -> list[str]:
        """The command line that runs ``argv`` in this group; the process keeps its pid through it."""
        enter = " && ".join(f"echo $$ > {folder}/cgroup.procs" for folder in self._folders)
        return ["sh", "-c", f'{enter} && exec "$@"', "sh", *argv]

    def adopt(self, pid: int) -> None:
        """Put a running process into this group; what it has allocated so far does not count."""
        for folder in self._folders:
            (folder / "cgroup.procs").write_text(str(pid))

    def peak_memory(self) -> int:
        """[bytes] The most that was in use at once, page cache included."""
        return int(self._read("memory.peak", "memory.max_usage_in_bytes"))

    def kills(self) -> int:
        """Processes that the kernel killed because the memory was used up."""
        lines = self._read("memory.events", "memory.oom_control").splitlines()
        return sum(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))

    def _write(self, v2: str, v1: str, value: str) -> None:
        self._file(v2, v1).write_text(value)

    def _read(self, v2: str, v1: str) -> str:
        return self._file(v2, v1).read_text()

    def _file(self, v2: str, v1: str) -> Path:
        if _is_v2():
            return self._folders[0] / v2
        return self._folders[0 if v1.startswith("memory") else 1] / v1


def _is_v2() -> bool:
    return (ROOT / "cgroup.controllers").is_file()
