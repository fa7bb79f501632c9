"""A school's network around the virtual machines: its own DHCP server, and the server on which slatecast runs.

Both are processes in the namespace of the lab's broadcaster, 10.77.0.1; machines get addresses from 10.77.100.1 on.
What slatecast keeps (keys, library, state) lies in the site's folder, so that two sites know nothing of each other.

    with Lab(0) as lab, Site(folder, lab) as site:
        site.run("image", "add", disk, "--name", "lab")
        cast = site.cast("lab", "--expect", 1)
        with site.machine("pc1", Hardware(Firmware.BIOS, [Disk(blank)], mac=MAC), environment) as machine:
            cast.admit(1)
            machine.until("slatecast: verified")

Invariant: after the ``with`` block nothing that was started here runs.
"""

import os
import re
import shutil
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeVar

import pexpect
import pytest
from pexpect.popen_spawn import PopenSpawn

from tests.lab import virtual_machine
from tests.lab.environment_folder import missing_for_environment
from tests.lab.network import Lab, LabError, missing_requirement
from tests.lab.virtual_machine import PATIENCE, SHOWN_AT_FAILURE, Hardware, VirtualMachine

_MISSING: Final = missing_requirement() or virtual_machine.missing_requirement() or missing_for_environment()

BOOTS_ENVIRONMENT: Final = [
    pytest.mark.system,
    pytest.mark.slow,
    pytest.mark.timeout(600),  # the start of an interpreted machine, beside other tests
    pytest.mark.skipif(_MISSING is not None, reason=f"{_MISSING}"),
]
"""Marks of tests that start the environment in a machine."""

ROOT: Final = Path(__file__).parents[2]
"""Where the packages lie."""

RATE: Final = "24M"
"""[bit/s] What an interpreted machine with one core takes beside its own work, when two others share this computer."""

_RANGE: Final = "10.77.100.1,10.77.100.250,255.255.0.0,1h"

LEAST_MEMORY: Final = 1536
"""[MiB] The environment unpacks into memory, and a receiver wants 256 MiB for its blocks."""


class Command:
    """One command of slatecast that runs on the server."""

    def __init__(self, name: str, argv: list[str], environment: dict[str, str]) -> None:
        self.name = name
        self._process: PopenSpawn[str] = PopenSpawn(argv, env=environment, encoding="utf-8", codec_errors="replace")
        self._said = ""

    def until(self, pattern: str, timeout: float = PATIENCE) -> re.Match[str]:
        """Wait until it says ``pattern``, after what was found last; LabError if it does not or ends before."""
        try:
            self._process.expect(pattern, timeout=timeout)
        except (pexpect.TIMEOUT, pexpect.EOF):
            said = (self._said + str(self._process.before))[-SHOWN_AT_FAILURE:]
            raise LabError(f"{self.name} did not say {pattern}, but: {said}") from None
        match = self._process.match
        assert isinstance(match, re.Match)
        self._said += f"{self._process.before}{match[0]}"
        return match

    def finish(self, timeout: float = PATIENCE) -> int:
        """Wait for its end; returns its exit code."""
        self._process.expect(pexpect.EOF, timeout=timeout)
        self._said += str(self._process.before)
        return self._process.proc.wait()

    def kill(self) -> None:
        """End it, whatever it does."""
        self._process.proc.kill()
        self._process.proc.wait()

    def type_line(self, text: str) -> None:
        """Answer it."""
        self._process.sendline(text)

    @property
    def said(self) -> str:
        """What it has said, up to where it was last listened to."""
        return self._said


class Cast(Command):
    """``slatecast cast``, with somebody who lets machines in."""

    def door(self) -> str:
        """Where machines enrol."""
        return self.until(r"enrolment at ([\d.:]+)")[1]

    def admit(self, count: int) -> None:
        """Wait until ``count`` machines ask, and let each in."""
        for _ in range(count):
            number = self.until(r"(\d+): seat [^\n]* asks to be let in")[1]
            self.type_line(number)


AnyCommand = TypeVar("AnyCommand", bound=Command)


class Site:
    """The server and the DHCP of a lab, alive inside the ``with`` block; ``folder`` holds what they keep."""

    def __init__(self, folder: Path, lab: Lab) -> None:
        self.folder = folder
        self.lab = lab
        self.trust = folder / "trust"
        """the public side of the server's keys"""
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("SLATECAST_")},
            "SLATECAST_KEYS": str(folder / "keys"),
            "SLATECAST_LIBRARY": str(folder / "library"),
            "XDG_STATE_HOME": str(folder / "state"),
            "XDG_DATA_HOME": str(folder / "data"),
            "PYTHONPATH": str(ROOT),
        }
        self._cleanup = ExitStack()

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        if not self.trust.exists():
            self.run("keys", "init")
            self.run("keys", "export-trust", self.trust)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._cleanup.close()

    def serve_addresses(self) -> None:
        """Start the site's own DHCP server, which knows nothing of booting."""
        log = self._cleanup.enter_context((self.folder / "dhcp.log").open("w"))
        self.lab.broadcaster.popen(
            [
                *("dnsmasq", "--keep-in-foreground", "--log-facility=-", "--conf-file=/dev/null", "--port=0"),
                *("--user=root", "--interface=eth0", "--bind-interfaces", "--dhcp-authoritative", "--no-ping"),
                *(f"--dhcp-range={_RANGE}", f"--dhcp-leasefile={self.folder / 'leases'}"),
            ],
            stdout=log,
            stderr=log,
        )

    def run(self, *argv: object) -> str:
        """``slatecast ARGV`` on the server, to its end; returns what it printed, raises LabError if it failed."""
        done = subprocess.run(
            self._command(argv), env=self._environment, capture_output=True, text=True, check=False, timeout=PATIENCE
        )
        if done.returncode:
            raise LabError(f"slatecast {' '.join(map(str, argv))}: {done.stderr.strip()}")
        return done.stdout

    def start(self, *argv: object) -> Command:
        """``slatecast ARGV`` on the server, until its end or the site's."""
        return self._started(Command(f"slatecast {argv[0]}", self._command(argv), self._environment))

    def cast(self, image: object, *options: object, rate: str = RATE) -> Cast:
        """``slatecast cast`` of an image, at a rate that machines of this kind can take."""
        argv = ("cast", image, "--interface", "eth0", "--rate", rate, *options)
        return self._started(Cast("slatecast cast", self._command(argv), self._environment))

    def machine(
        self, name: str, hardware: Hardware, environment: Path, door: str = "", *, arguments: str = ""
    ) -> VirtualMachine:
        """A machine that starts the environment in a folder, as if it came over the network: no loader, same kernel.

        Args:
            name: of its seat; its files lie in a folder of that name.
            hardware: gets the environment's kernel, and the memory that it needs.
            environment: folder of ``slatecast boot build``.
            door: host:port where it enrols; empty to let it look for itself.
            arguments: more words for the kernel.
        """
        words = f"quiet slatecast.seat={name} {arguments}" + (f" slatecast.server={door}" if door else "")
        complete = replace(
            hardware,
            memory=max(hardware.memory, LEAST_MEMORY),
            kernel=environment / "vmlinuz",
            initrd=self._trusting(environment / "initrd.img"),
            command_line=words,
        )
        return VirtualMachine(complete, self.folder / name, self.lab, name)

    def _trusting(self, initrd: Path) -> Path:
        """The initrd with this site's trust inside, as ``slatecast boot build --trust`` would have put it there."""
        own = self.folder / "initrd.img"
        if not own.exists():
            tree = self.folder / "overlay"
            (tree / "etc/slatecast").mkdir(parents=True)
            shutil.copyfile(self.trust, tree / "etc/slatecast/trust")
            names = "etc\netc/slatecast\netc/slatecast/trust\n"
            archive = subprocess.run(
                ["cpio", "--create", "--quiet", "--format=newc"],
                cwd=tree,
                input=names.encode(),
                capture_output=True,
                check=True,
            ).stdout
            content = initrd.read_bytes()
            # The kernel unpacks archives one after the other, each from a multiple of four bytes on.
            own.write_bytes(content + bytes(-len(content) % 4) + archive)
        return own

    def _command(self, argv: tuple[object, ...]) -> list[str]:
        return self.lab.broadcaster.command([sys.executable, "-m", "slatecast", *map(str, argv)])

    def _started(self, command: AnyCommand) -> AnyCommand:
        self._cleanup.callback(command.kill)
        return command
