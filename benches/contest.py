"""One run of one contender in the network lab: the same conditions, clock and account for all of them.

The clock runs from the start of the sender, with the receivers already waiting, to the end of the last receiver's
command. Comparing the files comes after it, and happens for everybody. What a bench does to a run while it runs (stop,
kill, start again, look) it does through ``Live``, in a thread of its own.
"""

import filecmp
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean
from typing import Any, Final, Protocol

from benches.usage import BenchError, Successors, Usage, watch
from tests.lab import Host, Lab

PATIENCE: Final = 300.0
"""[s] For one run; the slowest seen at 1 GiB is about 45 s."""

START_PATIENCE: Final = 90.0
"""[s] For the receivers to wait for the sender; 60 of them need half a minute of two cores to start."""

POLL_SECONDS: Final = 0.05
"""[s] Between two looks whether a receiver waits, or how far it is."""

SENDER: Final = "sender"
"""Name of the sender's process; a receiver's is its host's."""

_BLOCK: Final = 512
"""[bytes] The unit of st_blocks."""

Command = Sequence[str | Path]


class Contender(Protocol):
    """A pair of programs that brings one file to all receivers of a lab."""

    name: str
    receivers_exit: bool
    """whether receivers end by themselves; else the sender's exit, which has their confirmations, is the end"""

    def prepare(self, target: Path, source: Path) -> None:
        """Make ``target`` what the receiver expects to find; not timed."""

    def receiving(self, lab: Lab, host: Host, target: Path) -> Command:
        """The receiver's command on ``host``."""

    def is_waiting(self, host: Host, log: str) -> bool:
        """Whether the receiver on ``host``, which has said ``log``, is ready for a sender."""

    def sending(self, lab: Lab, source: Path, folder: Path) -> Command:
        """The sender's command on the broadcaster."""

    def report(self, folder: Path) -> dict[str, Any]:
        """What the sender left in ``folder`` about its run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One run of one contender."""

    contender: str
    seconds: float
    """whole command: from the start of the sender to the end of the last receiver"""
    source_bytes: int
    sender: Usage
    receivers: list[Usage]
    sent_bytes: int
    """out of the sender's interface, link headers included"""
    buffer_errors: int
    """arrivals lost at full socket buffers, all receivers together; a whole batch of datagrams counts once"""
    verified: bool
    """every receiver's file is the source, byte by byte, and every program said that it succeeded"""
    ended: dict[str, float] = field(default_factory=dict)
    """[s] from the start of the sender to the end of each receiver's command, by host name"""
    exit_codes: dict[str, int] = field(default_factory=dict)
    """of each receiver's command, by host name"""
    intact: list[str] = field(default_factory=list)
    """hosts whose file is the source, byte by byte"""
    is_late: bool = False
    """whether programs had to be killed at the time limit"""
    report: dict[str, Any] = field(default_factory=dict)
    """what the contender says of itself"""

    @property
    def goodput(self) -> float:
        """Bytes of the source per second."""
        return self.source_bytes / self.seconds

    @property
    def sender_cpu_per_gib(self) -> float:
        """CPU seconds of the sender per GiB of the source."""
        return self.sender.cpu_seconds / (self.source_bytes / 2**30)

    @property
    def receiver_cpu_per_gib(self) -> float:
        """CPU seconds of the mean receiver per GiB of the source."""
        return mean(usage.cpu_seconds for usage in self.receivers) / (self.source_bytes / 2**30)

    @property
    def liars(self) -> list[str]:
        """Hosts whose command said that it succeeded, and whose file is not the source."""
        return [name for name, code in self.exit_codes.items() if code == 0 and name not in self.intact]


class Live:
    """A run that is under way, for what is done to it meanwhile."""

    def __init__(self, contender: Contender, lab: Lab, source: Path, folder: Path, targets: Mapping[str, Path]) -> None:
        self.lab = lab
        self.targets = targets
        self.processes: dict[str, subprocess.Popen[str]] = {}
        """the newest of each name"""
        self.has_ended = threading.Event()
        self.successors = Successors()
        self._contender = contender
        self._source = source
        self._source_bytes = source.stat().st_size
        self._folder = folder

    def start(self, name: str) -> subprocess.Popen[str]:
        """Start the sender, or the receiver on the host of this name, with the usual command."""
        if name == SENDER:
            host, command = self.lab.broadcaster, self._contender.sending(self.lab, self._source, self._folder)
        else:
            host = next(host for host in self.lab.receivers if host.name == name)
            command = self._contender.receiving(self.lab, host, self.targets[name])
        process = start(host, command, self._folder)
        self.processes[name] = process
        return process

    def start_again(self, name: str) -> None:
        """Start the same command again, after its process was killed."""
        self.successors.put((name, self.start(name)))

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send a signal to a process of the run; not through Popen, which would reap what ``watch`` waits for."""
        os.kill(self.processes[name].pid, number)

    def kill(self, name: str) -> None:
        """End a process as a power cut does; returns when it is gone, and leaves its account to ``watch``."""
        self.signal(name, signal.SIGKILL)
        with suppress(OSError):  # it is gone, and reaped already
            # What is left until then is a zombie, which has no command line.
            while Path("/proc", str(self.processes[name].pid), "cmdline").read_bytes():
                time.sleep(0.001)

    def written(self, name: str) -> int:
        """Bytes that the target on this host, empty before the run, holds by now."""
        return self.targets[name].stat().st_blocks * _BLOCK

    def wait_until_written(self, name: str, ratio: float) -> None:
        """Until this host's target holds ``ratio`` of the source.

        Raises:
            BenchError: the run ended before.
        """
        while self.written(name) < ratio * self._source_bytes:
            self.sleep(POLL_SECONDS)

    def sleep(self, seconds: float) -> None:
        """Wait, but not longer than the run.

        Raises:
            BenchError: the run ended before.
        """
        if self.has_ended.wait(seconds):
            raise BenchError("the run ended before everything was done to it; a larger --size makes it longer")


def run(
    contender: Contender,
    source: Path,
    folder: Path,
    *,
    receivers: int,
    prepare_lab: Callable[[Lab], None] | None = None,
    meanwhile: Callable[[Live], None] | None = None,
    snooping: bool = False,
    time_limit: float | None = None,
) -> Outcome:
    """Bring ``source`` to ``receivers`` receivers once, in a lab of its own; targets live in ``folder`` meanwhile.

    Args:
        contender: who does it.
        source: the file.
        folder: for targets and logs.
        receivers: how many.
        prepare_lab: called before any program starts.
        meanwhile: called in a thread of its own as soon as the sender has started.
        snooping: whether the switch follows IGMP and MLD.
        time_limit: seconds after which the programs are killed and the outcome is late; None raises instead.

    Raises:
        BenchError: a program did not get ready or did not end; the text says where its log is repeated.
    """
    with Lab(receivers, snooping=snooping) as lab, _targets(lab, folder, source.name) as targets:
        if prepare_lab is not None:
            prepare_lab(lab)
        for target in targets.values():
            contender.prepare(target, source)
        for old_log in folder.glob("*.log"):
            old_log.unlink()
        try:
            return _run(
                contender,
                Live(contender, lab, source, folder, targets),
                source,
                folder,
                meanwhile=meanwhile,
                time_limit=time_limit,
            )
        except BenchError as error:
            logs = "\n".join(f"{path.name}: {path.read_text()[-2000:]}" for path in sorted(folder.glob("*.log")))
            raise BenchError(f"{contender.name}: {error}\n{logs}") from error


def _run(
    contender: Contender,
    live: Live,
    source: Path,
    folder: Path,
    *,
    meanwhile: Callable[[Live], None] | None,
    time_limit: float | None,
) -> Outcome:
    lab = live.lab
    waiting = {host.name: live.start(host.name) for host in lab.receivers}
    for host in lab.receivers:
        _wait_until_waiting(contender, host, waiting[host.name], _log(folder, host))
    started_at = time.monotonic()
    first = {SENDER: live.start(SENDER)} | (waiting if contender.receivers_exit else {})
    with _disturbed(live, meanwhile):
        limit = PATIENCE if time_limit is None else time_limit
        usages = watch(first, timeout=limit, kills_late=time_limit is not None, successors=live.successors)
    ended = list(usages.values())
    if not contender.receivers_exit:
        for process in waiting.values():
            process.terminate()
        usages |= watch(waiting, timeout=10)
    targets = live.targets
    intact = [name for name, path in targets.items() if path.exists() and filecmp.cmp(source, path, shallow=False)]
    sender = usages[SENDER]
    usages = {name: usages[name] for name in targets}  # in the order of the hosts
    return Outcome(
        contender=contender.name,
        seconds=max(usage.ended_at for usage in ended) - started_at,
        source_bytes=source.stat().st_size,
        sender=sender,
        receivers=list(usages.values()),
        sent_bytes=lab.broadcaster.counters().sent_bytes,
        buffer_errors=sum(host.counters().buffer_errors for host in lab.receivers),
        verified=len(intact) == len(targets) and all(usage.exit_code == 0 for usage in ended),
        ended={name: usage.ended_at - started_at for name, usage in usages.items()},
        exit_codes={name: usage.exit_code for name, usage in usages.items()},
        intact=intact,
        is_late=any(usage.is_late for usage in ended),
        report=contender.report(folder),
    )


@contextmanager
def _disturbed(live: Live, meanwhile: Callable[[Live], None] | None) -> Iterator[None]:
    """Do ``meanwhile`` to the run inside the ``with`` block; what it raises is raised at the end of it."""
    errors: list[BenchError] = []

    def disturb() -> None:
        try:
            if meanwhile is not None:
                meanwhile(live)
        except BenchError as error:
            errors.append(error)

    thread = threading.Thread(target=disturb, daemon=True)
    thread.start()
    try:
        yield
    finally:
        live.has_ended.set()
        thread.join()
    if errors:
        raise errors[0]


def start(host: Host, command: Command, folder: Path) -> subprocess.Popen[str]:
    """Start a command on a host; what it says is added to the host's log in ``folder``."""
    with _log(folder, host).open("a") as log:
        return host.popen(command, stdout=log, stderr=log)


def _log(folder: Path, host: Host) -> Path:
    return folder / f"{host.name}.log"


def _wait_until_waiting(
    contender: Contender, host: Host, process: subprocess.Popen[str], log: Path, *, timeout: float = START_PATIENCE
) -> None:
    deadline = time.monotonic() + timeout
    while not contender.is_waiting(host, log.read_text()):
        if process.poll() is not None:
            raise BenchError(f"the receiver on {host.name} ended with exit code {process.returncode}")
        if time.monotonic() > deadline:
            raise BenchError(f"the receiver on {host.name} is not ready after {timeout:.0f} s")
        time.sleep(POLL_SECONDS)


@contextmanager
def _targets(lab: Lab, folder: Path, name: str) -> Iterator[dict[str, Path]]:
    folders = [folder / host.name for host in lab.receivers]
    try:
        for path in folders:
            path.mkdir()
        yield {path.name: path / name for path in folders}
    finally:
        for path in folders:
            shutil.rmtree(path, ignore_errors=True)
