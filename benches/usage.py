"""What processes cost: seconds to their end, CPU seconds, peak memory, their own children included.

CPU comes from the kernel's account at exit (wait4), so it is exact and includes children that were waited for. In a lab
of namespaces the network's work is charged to whoever's system call did it, mostly to the sender: compare programs in
the same lab, not with a real card. Memory is sampled, because the account's maximum also counts the program that
started the process (the fork's pages survive in it through exec).
"""

import os
import select
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

SAMPLE_SECONDS: Final = 0.1
"""[s] Between two looks at the memory; a high-water mark is read, so only growth in the last 0.1 s can be missed."""


class BenchError(Exception):
    """A program of a bench failed or did not end in time."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What one process, with its children, came to."""

    exit_code: int
    ended_at: float
    """[s] monotonic"""
    cpu_seconds: float
    peak_bytes: int
    """resident memory: high-water marks of the process and of its children, added"""


def watch(processes: Mapping[str, subprocess.Popen[str]], *, timeout: float) -> dict[str, Usage]:
    """Wait until all ``processes`` have ended, each reaped here.

    Raises:
        BenchError: one still ran after ``timeout`` seconds.
    """
    deadline = time.monotonic() + timeout
    running = {os.pidfd_open(process.pid): name for name, process in processes.items()}
    marks: dict[str, dict[int, int]] = {name: {} for name in processes}
    usages = {}
    poll = select.poll()
    for pidfd in running:
        poll.register(pidfd, select.POLLIN)
    try:
        while running:
            for name in running.values():
                _sample(processes[name].pid, marks[name])
            for pidfd, _ in poll.poll(SAMPLE_SECONDS * 1000):
                poll.unregister(pidfd)
                os.close(pidfd)
                name = running.pop(pidfd)
                usages[name] = _reap(processes[name], sum(marks[name].values()))
            if running and time.monotonic() > deadline:
                raise BenchError(f"{', '.join(sorted(running.values()))} still running after {timeout:.0f} s")
    finally:
        for pidfd in running:
            os.close(pidfd)
    return usages


def _reap(process: subprocess.Popen[str], peak_bytes: int) -> Usage:
    _, status, account = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    cpu_seconds = account.ru_utime + account.ru_stime
    return Usage(process.returncode, time.monotonic(), cpu_seconds, peak_bytes)


def _sample(pid: int, marks: dict[int, int]) -> None:
    # A process may be gone at any step; what was read of it before stays.
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                marks[pid] = int(line.split()[1]) * 1024
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                _sample(int(child), marks)
