"""One run of one contender in the network lab: the same conditions, clock and account for all of them.

The clock runs from the start of the sender, with the receivers already waiting, to the end of the last receiver's
command. Comparing the files comes after it, and happens for everybody.
"""

import filecmp
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean
from typing import Any, Final, Protocol

from benches.usage import BenchError, Usage, watch
from tests.lab import Host, Lab

PATIENCE: Final = 300.0
"""[s] For one run; the slowest seen at 1 GiB is about 45 s."""

POLL_SECONDS: Final = 0.05
"""[s] Between two looks whether a receiver waits; before the clock starts."""

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


def run(
    contender: Contender,
    source: Path,
    folder: Path,
    *,
    receivers: int,
    prepare_lab: Callable[[Lab], None] | None = None,
) -> Outcome:
    """Bring ``source`` to ``receivers`` receivers once, in a lab of its own; targets live in ``folder`` meanwhile.

    Raises:
        BenchError: a program did not get ready or did not end; the text says where its log is repeated.
    """
    with Lab(receivers) as lab, _targets(lab, folder, source.name) as targets:
        if prepare_lab is not None:
            prepare_lab(lab)
        for target in targets.values():
            contender.prepare(target, source)
        try:
            return _run(contender, lab, source, folder, targets)
        except BenchError as error:
            logs = "\n".join(f"{path.name}: {path.read_text()[-2000:]}" for path in sorted(folder.glob("*.log")))
            raise BenchError(f"{contender.name}: {error}\n{logs}") from error


def _run(contender: Contender, lab: Lab, source: Path, folder: Path, targets: dict[str, Path]) -> Outcome:
    waiting = {
        host.name: _start(host, contender.receiving(lab, host, targets[host.name]), folder) for host in lab.receivers
    }
    for host in lab.receivers:
        _wait_until_waiting(contender, host, waiting[host.name], _log(folder, host))
    started_at = time.monotonic()
    sender = _start(lab.broadcaster, contender.sending(lab, source, folder), folder)
    if contender.receivers_exit:
        usages = watch({"sender": sender, **waiting}, timeout=PATIENCE)
        ended = list(usages.values())
    else:
        usages = watch({"sender": sender}, timeout=PATIENCE)
        ended = list(usages.values())
        for process in waiting.values():
            process.terminate()
        usages |= watch(waiting, timeout=10)
    is_same = all(path.exists() and filecmp.cmp(source, path, shallow=False) for path in targets.values())
    return Outcome(
        contender=contender.name,
        seconds=max(usage.ended_at for usage in ended) - started_at,
        source_bytes=source.stat().st_size,
        sender=usages.pop("sender"),
        receivers=list(usages.values()),
        sent_bytes=lab.broadcaster.counters().sent_bytes,
        buffer_errors=sum(host.counters().buffer_errors for host in lab.receivers),
        verified=is_same and all(usage.exit_code == 0 for usage in ended),
        report=contender.report(folder),
    )


def _start(host: Host, command: Command, folder: Path) -> subprocess.Popen[str]:
    with _log(folder, host).open("w") as log:
        return host.popen(command, stdout=log, stderr=log)


def _log(folder: Path, host: Host) -> Path:
    return folder / f"{host.name}.log"


def _wait_until_waiting(
    contender: Contender, host: Host, process: subprocess.Popen[str], log: Path, *, timeout: float = 30
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
