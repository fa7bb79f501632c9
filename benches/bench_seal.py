"""What does sealing cost? The same cast with and without a cipher, in turns.

    python -m benches.bench_seal                                  1 GiB to 2 receivers, unshaped, three runs each
    python -m benches.bench_seal --size 256M --runs 1             a short look

Question: how much goodput and CPU goes into AES-256-GCM of every datagram? Metrics, medians of the runs: goodput of the
session and of the whole command, CPU seconds per GiB of both roles. The other side is ``benches.unsealed``: slatecast
with its own C kernel over a libcrypto that copies, so that calls, batches and lengths on the wire are the same. Keys,
enrolment, TLS, signed messages and tickets are in both, since they cost by the seat and not by the byte; what they take
is in the whole command less the session.
Corpus: incompressible bytes of a fixed seed on tmpfs; every file is compared.
"""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click
from rich.console import Console

from benches.contest import Command, Outcome, run
from benches.corpus import workspace, write_incompressible
from benches.figures import (
    TABLE_WIDTH,
    Figure,
    conclude,
    median_of,
    ratio,
    session_seconds,
    whole_seconds,
    why_short,
)
from benches.machine import describe_machine, print_machine
from benches.parameters import Size
from benches.slatecast_contender import PROGRAM, Slatecast
from benches.unsealed import build_kernel
from benches.usage import BenchError
from protocol.seal import kernel_name
from slatecast.cli.parameters import Rate
from tests.lab import Host, Lab, LabError, missing_requirement

ASKED_COST: Final = 20.0
"""[%] of the goodput of a cast without sealing, at most"""

TIME_LIMIT: Final = 300.0

SEALED: Final = "sealed"
COPIED: Final = "copied"
TOKEN: Final = "bench of the seal"


@dataclass(slots=True)
class Sealed(Slatecast):
    """As it is installed; receivers are let in by a token and write at once."""

    name: str = SEALED

    def is_waiting(self, host: Host, log: str) -> bool:
        """It says so, in either of two ways."""
        return "waiting for the broad" in log or "waiting for the broker" in log


@dataclass(slots=True)
class Copied(Sealed):
    """The same commands, started by ``benches.unsealed``."""

    kernel: Path = Path()
    name: str = COPIED

    def receiving(self, lab: Lab, host: Host, target: Path) -> Command:
        """One receiver."""
        return self._unsealed(Sealed.receiving(self, lab, host, target))

    def sending(self, lab: Lab, source: Path, folder: Path) -> Command:
        """The broadcaster."""
        return self._unsealed(Sealed.sending(self, lab, source, folder))

    def _unsealed(self, command: Command) -> Command:
        begin = len(self.program) - len(PROGRAM)
        assert tuple(command[begin : len(self.program)]) == PROGRAM
        unsealed: Command = [sys.executable, "-m", "benches.unsealed", self.kernel]
        return [*command[:begin], *unsealed, *command[len(self.program) :]]


def figures_of(runs: dict[str, list[Outcome]]) -> list[Figure]:
    """What sealing costs, against the same without."""

    def cost(of: Callable[[Outcome], float | None]) -> float | None:
        """Percent of the goodput that is lost: goodput goes with one over the seconds."""
        share = ratio(*(median_of(map(of, runs[name])) for name in (COPIED, SEALED)))
        return None if share is None else (1 - share) * 100

    remark = "; ".join(filter(None, (why_short(outcome) for name in runs for outcome in runs[name])))
    figures = [
        Figure("goodput of the session that sealing costs", "%", cost(session_seconds), ASKED_COST, remark),
        Figure("goodput of the whole command that sealing costs", "%", cost(whole_seconds), ASKED_COST, remark),
    ]
    for name, mine in runs.items():
        mib, seconds = mine[0].source_bytes / 2**20, median_of(map(session_seconds, mine))
        broadcaster = median_of(outcome.sender_cpu_per_gib for outcome in mine)
        receiver = median_of(outcome.receiver_cpu_per_gib for outcome in mine)
        figures += [
            Figure(f"session, {name}", "s", seconds, None, f"{mib / seconds:.0f} MiB/s" if seconds else ""),
            Figure(f"whole command, {name}", "s", median_of(map(whole_seconds, mine)), None),
            Figure(f"CPU per GiB of the broadcaster, {name}", "s", broadcaster, None),
            Figure(f"CPU per GiB of a receiver, {name}", "s", receiver, None),
        ]
    return figures


@click.command()
@click.option("--size", type=Size(), default="1G", show_default=True, help="Of the incompressible file.")
@click.option("--receivers", type=click.IntRange(1), default=2, show_default=True)
@click.option("--runs", type=click.IntRange(1), default=3, show_default=True)
@click.option("--rate", type=Rate(), help="Give this --rate to both.  [default: slatecast's own]")
@click.option("--json", "json_path", type=click.Path(path_type=Path, dir_okay=False), help="Write all figures here.")
def main(*, size: int, receivers: int, runs: int, rate: int | None, json_path: Path | None) -> None:
    """Cast the same file with and without sealing, and print what the difference came to."""
    if missing := missing_requirement():
        raise click.ClickException(missing)
    console = Console(highlight=False, soft_wrap=True, width=TABLE_WIDTH)
    machine = describe_machine()
    print_machine(console, machine)
    console.print(f"seal kernel: {kernel_name()}")
    outcomes: dict[str, list[Outcome]] = {SEALED: [], COPIED: []}
    with workspace() as folder:
        os.environ |= {"SLATECAST_KEYS": str(folder / "keys"), "XDG_STATE_HOME": str(folder / "state")}
        source = folder / "source"
        write_incompressible(source, size)
        options = ("--token", TOKEN, *(("--rate", str(rate)) if rate else ()))
        receive_options = ("--token", TOKEN, "--countdown", "0")
        try:
            contenders: list[Sealed] = [
                Sealed(folder / "library", options, receive_options),
                Copied(folder / "library", options, receive_options, kernel=build_kernel(folder)),
            ]
            contenders[0].add(source)
            for _ in range(runs):
                for contender in contenders:
                    outcome = run(contender, source, folder, receivers=receivers, time_limit=TIME_LIMIT)
                    outcomes[contender.name].append(outcome)
        except (BenchError, LabError) as error:
            raise click.ClickException(str(error)) from error
    conclude(console, machine, figures_of(outcomes), outcomes, json_path)


if __name__ == "__main__":
    main()
