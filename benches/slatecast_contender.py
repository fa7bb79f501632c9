"""slatecast as a contender: its two commands as an operator would type them, nothing else."""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benches.contest import PATIENCE, Command
from benches.usage import BenchError, Usage, watch
from broadcaster.saved_cast import CASTS_FOLDER
from protocol.link.front_door_address import DEFAULT_FRONT_DOOR_PORT
from protocol.link.mqtt import DEFAULT_TLS_PORT
from tests.lab import Host, Lab

PROGRAM: Final = (sys.executable, "-m", "slatecast")
BROKER_PORT: Final = DEFAULT_TLS_PORT
IMAGE: Final = "bench"
NAME: Final = "slatecast"
_REPORT: Final = "report.json"
KEYS: Final = "keys"
"""The folder of the broadcaster's keys, beside the library."""

_TOKEN: Final = "bench"


def at_home(folder: Path) -> tuple[str, ...]:
    """What ``env`` tells a slatecast whose keys are in ``folder``: a token, and no waiting before the first write."""
    return (
        "env",
        f"SLATECAST_KEYS={folder / KEYS}",
        f"SLATECAST_CAST_TOKEN={_TOKEN}",
        f"SLATECAST_RECEIVE_TOKEN={_TOKEN}",
        "SLATECAST_RECEIVE_COUNTDOWN=0",
        f"XDG_STATE_HOME={folder / 'state'}",
        *PROGRAM,
    )


@dataclass(slots=True)
class Slatecast:
    """``slatecast receive`` and ``slatecast cast``; receivers wait for the front door and exit after one session."""

    library: Path
    options: Sequence[str] = ()
    """of ``cast``"""
    receive_options: Sequence[str] = ()
    broker_port: int = BROKER_PORT
    """on the broadcaster's host; with TLS if the broker is embedded, without if it is another"""
    is_broker_embedded: bool = True
    name: str = NAME
    receivers_exit: bool = True

    @property
    def program(self) -> tuple[str, ...]:
        """The beginning of each command; the keys are beside the library."""
        return at_home(self.library.parent)

    def add(self, source: Path) -> tuple[Usage, float]:
        """Add ``source`` to the library; returns what it cost and its seconds.

        Raises:
            BenchError: it was not added; the text is the program's own.
        """
        log = self.library.parent / "add.log"
        command: list[str | Path] = [*self.program, "--library", self.library, "image", "add", source, "--name", IMAGE]
        started_at = time.monotonic()
        with log.open("w") as output:
            process = subprocess.Popen(command, stdout=output, stderr=output, text=True)
        usage = watch({"image add": process}, timeout=PATIENCE)["image add"]
        if usage.exit_code:
            raise BenchError(f"image add: {log.read_text().strip()}")
        return usage, usage.ended_at - started_at

    def show(self) -> dict[str, Any]:
        """What the library says of the image."""
        command: list[str | Path] = [*self.program, "--library", self.library, "image", "show", IMAGE, "--json"]
        facts: dict[str, Any] = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
        return facts

    def prepare(self, target: Path, source: Path) -> None:
        """A file of the disk's size without content: the disk."""
        self.forget_casts()
        with target.open("wb") as disk:
            disk.truncate(source.stat().st_size)

    def forget_casts(self) -> None:
        """Remove what a cast that was killed at the time limit left: the next run is no restart of it."""
        shutil.rmtree(self.library / CASTS_FOLDER, ignore_errors=True)

    def receiving(self, lab: Lab, host: Host, target: Path) -> Command:
        """One receiver."""
        server = f"{lab.broadcaster.ipv4}:{DEFAULT_FRONT_DOOR_PORT}"
        seat = ("--seat", host.name, "--interface", host.interface)
        return [
            *self.program,
            "receive",
            "--target",
            target,
            "--server",
            server,
            *seat,
            "--once",
            *self.receive_options,
        ]

    def is_waiting(self, host: Host, log: str) -> bool:
        """It says so."""
        return "waiting for the broadcaster" in log

    def sending(self, lab: Lab, source: Path, folder: Path) -> Command:
        """The broadcaster."""
        command: list[str | Path] = [
            *self.program,
            *("--library", self.library, "cast", IMAGE),
            *("--expect", str(len(lab.receivers)), "--port", str(DEFAULT_FRONT_DOOR_PORT)),
        ]
        command += ["--interface", lab.broadcaster.interface, "--report", folder / _REPORT, *self.options]
        if self.is_broker_embedded:
            return [*command, "--broker-port", str(self.broker_port)]
        return [*command, "--broker", f"mqtt://{lab.broadcaster.ipv4}:{self.broker_port}"]

    def report(self, folder: Path) -> dict[str, Any]:
        """The session's report."""
        path = folder / _REPORT
        if not path.exists():
            return {}
        report: dict[str, Any] = json.loads(path.read_bytes())
        return report
