"""What processes cost: seconds to their end, CPU seconds, peak memory, their own children included.

CPU comes from the kernel's account at exit (wait4), so it is exact and includes children that were waited for. In a lab
of namespaces the network's work is charged to whoever's system call did it, mostly to the sender: compare programs in
the same lab, not with a real card. Memory is sampled, because the account's maximum also counts the program that
started the process (the fork's pages survive in it through exec).
"""

import os
import queue
import select
import signal
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

SAMPLE_SECONDS: Final = 0.1
"""[s] Between two looks at the memory; a high-water mark is read, so only growth in the last 0.1 s can be missed."""

SAMPLED_TOGETHER: Final = 8
"""Processes that may be looked at each 0.1 s; of more each has its turn more rarely, or watching would be measured."""

Successors = queue.SimpleQueue[tuple[str, subprocess.Popen[str]]]
"""Processes that take the place of one that has ended, with its name."""


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
    is_late: bool = False
    """whether it was killed at the time limit"""


def watch(
    processes: Mapping[str, subprocess.Popen[str]],
    *,
    timeout: float,
    kills_late: bool = False,
    successors: Successors | None = None,
) -> dict[str, Usage]:
    """Wait until all ``processes`` have ended, each reaped here.

    Args:
        processes: by name.
        timeout: seconds for all of them.
        kills_late: whether those that still run then are killed; their exit code is -9 and ``is_late`` is set.
        successors: watched as well as soon as they come; a name's usage is its last process's.

    Raises:
        BenchError: one still ran after ``timeout`` seconds, and ``kills_late`` is not set.
    """
    deadline = time.monotonic() + timeout
    watched = _Watched()
    try:
        for name, process in processes.items():
            watched.add(name, process)
        while watched.running:
            watched.wait()
            while successors is not None and not successors.empty():
                watched.add(*successors.get())
            if watched.running and time.monotonic() > deadline:
                if not kills_late:
                    raise BenchError(f"{', '.join(watched.names())} still running after {timeout:.0f} s")
                watched.kill()
    finally:
        watched.close()
    return watched.usages


class _Watched:
    """Processes that are waited for, and what those that ended came to."""

    def __init__(self) -> None:
        self.running: dict[int, tuple[str, subprocess.Popen[str]]] = {}
        """by pidfd"""
        self.usages: dict[str, Usage] = {}
        self._marks: dict[int, dict[int, int]] = {}
        self._poll = select.poll()
        self._sampled_at = 0.0
        self._is_late = False

    def add(self, name: str, process: subprocess.Popen[str]) -> None:
        pidfd = os.pidfd_open(process.pid)
        self.running[pidfd] = name, process
        self._marks[pidfd] = {}
        self._poll.register(pidfd, select.POLLIN)

    def names(self) -> list[str]:
        return sorted(name for name, _ in self.running.values())

    def wait(self) -> None:
        """Until something ends, or it is time to look again."""
        if time.monotonic() - self._sampled_at >= SAMPLE_SECONDS * max(1.0, len(self.running) / SAMPLED_TOGETHER):
            for pidfd, (_, process) in self.running.items():
                _sample(process.pid, self._marks[pidfd])
            self._sampled_at = time.monotonic()
        for pidfd, _ in self._poll.poll(SAMPLE_SECONDS * 1000):
            self._poll.unregister(pidfd)
            os.close(pidfd)
            name, process = self.running.pop(pidfd)
            self.usages[name] = _reap(process, sum(self._marks[pidfd].values()), is_late=self._is_late)

    def kill(self) -> None:
        self._is_late = True
        for pidfd in self.running:
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)

    def close(self) -> None:
        for pidfd in self.running:
            os.close(pidfd)


def _reap(process: subprocess.Popen[str], peak_bytes: int, *, is_late: bool) -> Usage:
    _, status, account = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    cpu_seconds = account.ru_utime + account.ru_stime
    return Usage(process.returncode, time.monotonic(), cpu_seconds, peak_bytes, is_late)


def _sample(pid: int, marks: dict[int, int]) -> None:
    # A process may be gone at any step; what was read of it before stays.
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                marks[pid] = int(line.split()[1]) * 1024
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                _sample(int(child), marks)
