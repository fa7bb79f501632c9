"""A room of real slatecast processes: what they are called with, what they say, how they end.

Invariant: when the room is closed every process that it started is gone, whatever state the test left it in; nothing
that any of them said holds a traceback. A test waits for words, never for time.
"""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any, Final, Protocol, Self, TypeVar

from broadcaster.broker import LOOPBACK
from protocol.messages import Announcement, Presence, ReceiverReport, RepairRequest, SessionStatus, decode_message
from tests.broadcaster.library.disks import MIB, SECTOR, noise, partition_disk, sparse_file

ROOT: Final = Path(__file__).parents[2]
"""Where the packages lie: the processes run in the test's folder and still run this code."""

KEYS: Final = "keys"
"""The folder of the room's keys, in the folder of the test."""

TOKEN: Final = "room under test"

PATIENCE: Final = 30.0
"""[s] Far longer than anything here takes on a busy machine with two cores."""

OLD_BYTE: Final = 0xA5
"""What every target is full of before a cast: nothing of it may be left."""

INTERRUPTED: Final = 130
"""Exit code: 128 + SIGINT, as shells expect."""

BOOT_SIGNATURE: Final = b"\x55\xaa"


Found = TypeVar("Found")
Message = TypeVar("Message", Announcement, Presence, ReceiverReport, RepairRequest, SessionStatus)


class Place(Protocol):
    """Where a process runs: a host of a lab, a control group."""

    def command(self, argv: list[str]) -> list[str]:
        """The command line that runs ``argv`` there; the process keeps its pid through it."""
        ...


class Lines:
    """What a process says on one of its streams, as it says it."""

    def __init__(self, stream: IO[str]) -> None:
        self._lines: list[str] = []
        self._has_ended = False
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read, args=(stream,), daemon=True)
        self._reader.start()

    def until(self, pattern: str, *, timeout: float = PATIENCE) -> re.Match[str]:
        """The first line in which ``pattern`` is found; fails when the stream ends before, or after ``timeout``."""
        return self.first(re.compile(pattern).search, pattern, timeout=timeout)

    def first(self, look: Callable[[str], Found | None], what: str, *, timeout: float = PATIENCE) -> Found:
        """What ``look`` finds in the first line in which it finds anything; otherwise as ``until``."""
        deadline = time.monotonic() + timeout
        number = 0
        while self._has_line(number, deadline):
            if (found := look(self._lines[number])) is not None:
                return found
            number += 1
        raise AssertionError(f"{what} is not in: {self.text}")

    def _has_line(self, number: int, deadline: float) -> bool:
        with self._changed:
            left = deadline - time.monotonic()
            self._changed.wait_for(lambda: len(self._lines) > number or self._has_ended, left)
            return len(self._lines) > number

    @property
    def text(self) -> str:
        """All of it up to now."""
        return "".join(self._lines)

    def join(self) -> None:
        """Wait for the end of the stream."""
        self._reader.join(PATIENCE)

    def _read(self, stream: IO[str]) -> None:
        with stream:
            for line in stream:
                with self._changed:
                    self._lines.append(line)
                    self._changed.notify_all()
        with self._changed:
            self._has_ended = True
            self._changed.notify_all()


def _at_home(folder: Path) -> dict[str, str]:
    """What every process of the room is told: keys and state of its own, a token, and no waiting before a write."""
    return {
        "SLATECAST_KEYS": str(folder / KEYS),
        "SLATECAST_CAST_TOKEN": TOKEN,
        "SLATECAST_RECEIVE_TOKEN": TOKEN,
        "SLATECAST_RECEIVE_COUNTDOWN": "0",
        "XDG_STATE_HOME": str(folder / "state"),
    }


class Running:
    """One process of the room."""

    def __init__(self, argv: list[str], folder: Path, environment: Mapping[str, str]) -> None:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("SLATECAST_")}
        self._process = subprocess.Popen(
            argv,
            cwd=folder,
            env={**inherited, **_at_home(folder), "PYTHONPATH": str(ROOT), **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            process_group=0,  # a terminal's foreground group: Ctrl-C reaches all of it
        )
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self.output = Lines(self._process.stdout)
        self.errors = Lines(self._process.stderr)

    def finish(self, timeout: float = PATIENCE) -> int:
        """Wait for its end; returns the exit code."""
        try:
            code = self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {timeout} s: {self.output.text}{self.errors.text}") from None
        self.output.join()
        self.errors.join()
        assert "Traceback" not in self.output.text + self.errors.text, self.output.text + self.errors.text
        return code

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def has_ended(self) -> bool:
        """Whether it has come to its end, by itself or not."""
        return self._process.poll() is not None

    def door(self) -> str:
        """Where receivers enrol with this cast, as soon as it says so."""
        return self.errors.until(r"enrolment at (\S+); waiting for")[1]

    def broker(self) -> str:
        """The broker of this cast, as soon as it says so."""
        return self.errors.until(r"broker (mqtt\S+), enrolment at")[1]

    def interrupt(self) -> str:
        """Ctrl-C in its terminal; returns its last words."""
        os.killpg(self._process.pid, signal.SIGINT)
        return self.complaint(INTERRUPTED)

    def kill(self) -> None:
        """End it as a power cut does."""
        self._process.kill()
        self._process.wait()

    def complaint(self, code: int) -> str:
        """Its one line of complaint, the last of standard error, after it ended with ``code``."""
        ended = self.finish()
        lines = self.errors.text.splitlines()
        assert ended == code, f"exit code {ended}: {self.output.text}{self.errors.text}"
        said = [line for line in lines if line.startswith("slatecast: ")]
        assert len(said) == 1, self.errors.text
        assert lines[-1] == said[0], self.errors.text
        return said[0].removeprefix("slatecast: ")


class Room:
    """Starts slatecast's commands with one library, in one folder of the test's own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.library = folder / "library"
        self._processes: list[Running] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.kill()

    def start(self, *argv: object, host: Place | None = None, environment: Mapping[str, str] | None = None) -> Running:
        """``slatecast ARGV``, on a host of a lab or on this machine."""
        return self.start_python("-m", "slatecast", *argv, host=host, environment=environment)

    def start_python(
        self, *argv: object, host: Place | None = None, environment: Mapping[str, str] | None = None
    ) -> Running:
        """A Python process of the room."""
        command = [sys.executable, *map(str, argv)]
        process = Running(host.command(command) if host else command, self.folder, environment or {})
        self._processes.append(process)
        return process

    def cast(self, image: object, *options: object, interface: str = "lo", host: Place | None = None) -> Running:
        """``slatecast cast`` with the room's library."""
        return self.start("cast", image, "--library", self.library, "--interface", interface, *options, host=host)

    def receive(
        self,
        target: Path | str,
        door: str | None,
        *options: object,
        seat: str = "seat",
        interface: str | None = "lo",
        host: Place | None = None,
    ) -> Running:
        """``slatecast receive --once``; without ``door`` it has to find the broadcaster by itself."""
        argv: list[object] = ["receive", "--once", "--target", target, "--seat", seat, *options]
        argv += ["--server", door] if door else []
        argv += ["--interface", interface] if interface else []
        return self.start(*argv, host=host)

    def watch(self, broker: str, host: Place | None = None) -> "Watch":
        """An observer of all that is said over the broker, connected when this returns."""
        process = self.start_python("-m", "tests.end_to_end.watch", broker, self.folder / KEYS, host=host)
        process.errors.until("^watching$")
        return Watch(process)

    def source(self, name: str = "source", size: int = 8 * MIB, seed: int = 1) -> Path:
        """A disk with a partition table, incompressible bytes in its one partition, and a hole in the middle."""
        path = sparse_file(self.folder / f"{name}.img", size)
        partition_disk(path, "label: gpt\nstart=2048, type=linux\n")
        used = (size - 2 * MIB) // 3
        with path.open("r+b") as file:
            for offset in (MIB, size - MIB - used):
                file.seek(offset)
                file.write(noise(seed + offset, used))
        return path

    def target(self, name: str, size: int = 8 * MIB) -> Path:
        """A disk full of old bytes."""
        path = self.folder / f"{name}.disk"
        path.write_bytes(bytes([OLD_BYTE]) * size)
        return path

    def add(self, source: Path, name: str = "lab") -> str:
        """Add an image to the room's library; returns its name."""
        added = self.start("image", "add", source, "--name", name, "--library", self.library)
        assert added.finish() == 0, added.errors.text
        return name


class Watch:
    """The messages that travel over a broker, from the moment of its making on."""

    def __init__(self, process: Running) -> None:
        self._lines = process.output

    def until(self, kind: type[Message], is_wanted: Callable[[Any], bool] = lambda _: True) -> Message:
        """The first message of this kind that is wanted, whether it was before this call or comes after it."""

        def look(line: str) -> Message | None:
            message = _message(line)
            return message if isinstance(message, kind) and is_wanted(message) else None

        return self._lines.first(look, f"a {kind.__name__} as wanted")

    def heard(self, kind: type[Message]) -> list[Message]:
        """All messages of this kind up to now, in their order."""
        messages = map(_message, self._lines.text.splitlines())
        return [message for message in messages if isinstance(message, kind)]


def _message(line: str) -> object:
    topic, _, payload = line.partition(" ")
    return decode_message(topic, payload.encode())


def is_bootable(disk: Path | str) -> bool:
    """Whether firmware would try: the signature that every partition table and boot sector ends with."""
    with Path(disk).open("rb") as file:
        return file.read(SECTOR)[510:] == BOOT_SIGNATURE


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Look until ``condition`` holds, for what nobody says in words: a file, a port."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come"
        time.sleep(0.01)


def free_port() -> int:
    """A TCP port of this machine that nobody uses now."""
    with socket.create_server((LOOPBACK, 0)) as probe:
        port: int = probe.getsockname()[1]
        return port
