"""Runs the tools and scripts of steps: within a time limit, stoppable, and never leaving anything of theirs behind.

A child is the leader of a process group of its own, without a terminal and with no more of our environment than a
program needs. At its limit, or when the step is to stop, the group is killed. What it prints is kept from its end only.
"""

import os
import signal
import subprocess
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from protocol.disk.system_tools import PACKAGES, find_tool
from protocol.errors import DiskError, RefusedError

TOOL_SECONDS: Final = 600.0
"""[s] for one tool that works on a file system: ntfsresize and resize2fs of a 4 TB hard disk need two minutes."""

MAX_OUTPUT: Final = 64 * 1024
"""[bytes] of what a child printed that are looked at: its end. A script that prints without end fills no memory."""

_LOOK_INTERVAL: Final = 0.2
_MAX_FILE: Final = 16 << 20
"""[bytes] that a child may have printed before it is ended: the environment's disk is memory."""

_ENVIRONMENT: Final = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LC_ALL": "C.UTF-8",
    "HOME": "/",
    "DEBIAN_FRONTEND": "noninteractive",
    "MTOOLS_SKIP_CHECK": "1",
}


class Stopping:
    """Whether whoever ordered the steps has given up on them; asked from the thread that runs them."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def stop(self) -> None:
        """End what runs."""
        self._event.set()

    def check(self) -> None:
        """Raise RefusedError once it is to stop."""
        if self._event.is_set():
            raise RefusedError("the steps were stopped")

    @property
    def is_set(self) -> bool:
        """Whether it is to stop."""
        return self._event.is_set()


@dataclass(frozen=True)
class Ran:
    """A child that has ended."""

    code: int
    """its exit code; negative for the signal that killed it"""
    output: str
    """the end of what it printed, both streams as they came; of a tool, its standard output"""
    complaints: str = ""
    """of a tool, its standard error"""
    is_late: bool = False
    """it was killed at its limit"""

    def last_lines(self, count: int = 3) -> str:
        """The last lines that say something, in one line."""
        said = self.complaints if self.complaints.strip() else self.output
        lines = [" ".join(line.split()) for line in said.splitlines() if line.strip()]
        return "; ".join(lines[-count:]) or "it printed nothing"


def find(tool: str) -> str:
    """The path of a tool.

    Raises:
        RefusedError: it is not installed.
    """
    path = find_tool(tool)
    if path is None:
        raise RefusedError(f"{tool} is not in this environment (package {PACKAGES.get(tool, tool)})")
    return path


def run(
    stopping: Stopping,
    *command: str,
    stdin: str = "",
    limit: float = TOOL_SECONDS,
    is_tool: bool = True,
) -> Ran:
    """Run a program to its end, whatever its exit code; the first word is its path.

    Of a tool the two streams are kept apart; of a script they are one, as on a terminal.

    Raises:
        RefusedError: it is to stop.
        DiskError: it cannot be started.
    """
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors, tempfile.TemporaryFile() as given:
        given.write(stdin.encode())
        given.seek(0)
        try:
            child = subprocess.Popen(
                list(command),
                stdin=given,
                stdout=output,
                stderr=errors if is_tool else subprocess.STDOUT,
                env=_ENVIRONMENT,
                start_new_session=True,
                cwd="/",
            )
        except OSError as error:
            raise DiskError(Path(command[0]).name, "starting", error.strerror or str(error)) from error
        try:
            is_late = _waited(child, output, limit, stopping)
        finally:
            _kill(child)
        stopping.check()
        return Ran(child.returncode, _end_of(output), _end_of(errors), is_late)


def run_well(stopping: Stopping, *command: str, stdin: str = "", codes: tuple[int, ...] = (0,)) -> str:
    """What a tool printed that did what it should: the first word is its name.

    Raises:
        RefusedError: it is not installed, or it is to stop.
        DiskError: it failed; with its last words.
    """
    ran = run(stopping, find(command[0]), *command[1:], stdin=stdin)
    if ran.code not in codes:
        reason = "it did not end" if ran.is_late else ran.last_lines(2)
        raise DiskError(command[-1], command[0], reason)
    return ran.output


def _waited(child: "subprocess.Popen[bytes]", output: IO[bytes], limit: float, stopping: Stopping) -> bool:
    """Wait for its end; whether its time, or its room to print, ran out before."""
    end = time.monotonic() + limit
    while not stopping.is_set:
        remaining = end - time.monotonic()
        if remaining <= 0:
            return True
        with suppress(subprocess.TimeoutExpired):
            child.wait(min(_LOOK_INTERVAL, remaining))
            return False
        if os.fstat(output.fileno()).st_size > _MAX_FILE:
            return True
    return False


def _kill(child: "subprocess.Popen[bytes]") -> None:
    """End whatever is left of its group, and fetch its exit code."""
    if child.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def _end_of(output: IO[bytes]) -> str:
    size = os.fstat(output.fileno()).st_size
    output.seek(max(0, size - MAX_OUTPUT))
    text = output.read().decode(errors="replace").replace("\r", "\n")
    return "".join(
        letter if letter.isprintable() or letter in "\n\t" else "\N{REPLACEMENT CHARACTER}" for letter in text
    )
