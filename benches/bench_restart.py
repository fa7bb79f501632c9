"""What does the death of a receiver, of the broadcaster or of the broker cost, when it is started again?

    python -m benches.bench_restart                               512 MiB to 4 at 200 Mbit/s: all three
    python -m benches.bench_restart --only broadcaster --runs 5   one of them, at five random moments
    python -m benches.bench_restart --seed 7                      other random moments

Question: kill -9 and the same command again; how much is sent and fetched a second time, and how long is the room held
up? A receiver dies at 70 %: what its successor receives and fetches against what was not on the disk yet. The
broadcaster dies at a seeded random moment: the pause of the multicast at another host, and what left the broadcaster's
interface beyond a clean run. An external Mosquitto dies and comes back empty: seconds beyond a clean run with it. The
figure of each is the worst of the runs, not the median: a restart has to work every time.
Corpus: incompressible bytes of a fixed seed on tmpfs; every file is compared at the end. What is on a disk is what the
file system has allocated for it; one megabyte of it is written last.
"""

import random
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import click
from rich.console import Console
from rich.table import Table

from benches.contest import POLL_SECONDS, SENDER, Command, Live, Outcome, run
from benches.corpus import workspace, write_incompressible
from benches.figures import TABLE_WIDTH, Figure, conclude, seat_reports, whole_seconds, why_short
from benches.machine import describe_machine, print_machine
from benches.multicast_flow import MulticastFlow
from benches.parameters import Size
from benches.slatecast_contender import Slatecast
from benches.usage import BenchError
from protocol.disk.system_tools import find_tool
from slatecast.cli.parameters import Rate
from tests.lab import Host, Lab, LabError, missing_requirement

RATE: Final = "200M"
RECEIVERS: Final = 4
RECEIVER_DIES_AT: Final = 0.7
"""[ratio] Of the image written."""
BROADCASTER_DIES_BETWEEN: Final = (0.1, 0.9)
BROKER_DIES_AT: Final = 0.3
MOSQUITTO: Final = find_tool("mosquitto")
MOSQUITTO_PORT: Final = 18_831

ASKED_REFETCHED: Final = 64 << 20
"""[bytes] Beyond what was not on the disk."""
ASKED_PAUSE: Final = 5.0
"""[s] Of the multicast, from the broadcaster's last datagram to its successor's first."""
ASKED_RESENT: Final = 2.0
"""[percent] Of the image."""
ASKED_BROKER: Final = 10.0
"""[s] That the loss of the broker costs."""
TIME_LIMIT: Final = 150.0

DEATHS: Final = ("receiver", "broadcaster", "broker")


@dataclass(slots=True)
class WithMosquitto(Slatecast):
    """slatecast with a broker of its own, which keeps nothing on disk and starts when the receivers wait for it."""

    broker_port: int = MOSQUITTO_PORT
    is_broker_embedded: bool = False
    mosquitto: subprocess.Popen[str] | None = None

    def sending(self, lab: Lab, source: Path, folder: Path) -> Command:
        """Start the broker; then as usual."""
        self.start_broker(lab.broadcaster, folder)
        return Slatecast.sending(self, lab, source, folder)

    def start_broker(self, host: Host, folder: Path) -> None:
        """Returns when it listens."""
        settings = folder / "mosquitto.conf"
        lines = ("allow_anonymous true", "persistence false", "user root", f"listener {self.broker_port} {host.ipv4}")
        settings.write_text("\n".join(lines) + "\n")
        self.mosquitto = host.popen([MOSQUITTO or "mosquitto", "-c", settings], stderr=subprocess.DEVNULL)
        while not host.run(["ss", "-Htln", f"sport = {self.broker_port}"]).stdout.strip():
            if self.mosquitto.poll() is not None:
                raise BenchError(f"Mosquitto ended with exit code {self.mosquitto.returncode}")
            time.sleep(POLL_SECONDS)

    def kill_broker(self) -> None:
        """With all that it knows."""
        if self.mosquitto is not None:
            self.mosquitto.kill()
            self.mosquitto.wait()


@dataclass(slots=True)
class Runs:
    """All runs of one death, and what was seen in each."""

    outcomes: list[Outcome] = field(default_factory=list)
    measured: list[dict[str, float | None]] = field(default_factory=list)

    def worst(self, name: str) -> float | None:
        """The largest of the runs, or None when one has none."""
        values = [one.get(name) for one in self.measured]
        present = [value for value in values if value is not None]
        return max(present) if values and len(present) == len(values) else None

    @property
    def why_short(self) -> str:
        """What went wrong in the first run in which anything did."""
        return next((words for words in map(why_short, self.outcomes) if words), "")


class Bench:
    """One image in one folder, and the ways to die."""

    def __init__(self, folder: Path, source: Path, rate: int, seed: int, outage: float) -> None:
        self._folder = folder
        self._source = source
        self._random = random.Random(seed)
        self._outage = outage
        options = ("--rate", str(rate))
        self.slatecast = Slatecast(folder / "library", options)
        self._with_mosquitto = WithMosquitto(folder / "library", options)

    def clean(self, runs: Runs, *, has_mosquitto: bool = False) -> None:
        """Nobody dies."""
        outcome = self._run(self._with_mosquitto if has_mosquitto else self.slatecast)
        runs.outcomes.append(outcome)
        runs.measured.append({"seconds": whole_seconds(outcome), "sent": float(outcome.sent_bytes)})

    def receiver_dies(self, runs: Runs) -> None:
        """At 70 %, and is started again at once."""
        unwritten = 0.0

        def die(live: Live) -> None:
            nonlocal unwritten
            name = live.lab.receivers[-1].name
            live.wait_until_written(name, RECEIVER_DIES_AT)
            live.kill(name)
            unwritten = float(self._source.stat().st_size - live.written(name))
            live.start_again(name)

        outcome = self._run(self.slatecast, die)
        (seat,) = seat_reports(outcome, f"receiver{RECEIVERS}")[-1:] or ({},)
        is_done = f"receiver{RECEIVERS}" in outcome.intact and seat.get("verified", False)
        fetched = float(seat.get("bytes_received", 0) + seat.get("catch_up_bytes", 0))
        runs.outcomes.append(outcome)
        runs.measured.append({"unwritten": unwritten, "fetched": fetched if is_done else None})

    def broadcaster_dies(self, runs: Runs, clean_sent: float | None) -> None:
        """At a random moment, and is started again at once."""
        moment = self._random.uniform(*BROADCASTER_DIES_BETWEEN)
        pause: float | None = None

        def die(live: Live) -> None:
            nonlocal pause
            name = live.lab.receivers[0].name
            with MulticastFlow(live.processes[name].pid) as flow:
                live.wait_until_written(name, moment)
                live.kill(SENDER)
                died_at = time.monotonic()
                live.start_again(SENDER)
                while flow.pause_after(died_at) is None and not live.has_ended.wait(POLL_SECONDS):
                    pass
                pause = flow.pause_after(died_at)

        outcome = self._run(self.slatecast, die)
        resent = None
        if clean_sent is not None and outcome.verified:
            resent = (outcome.sent_bytes - clean_sent) / outcome.source_bytes * 100
        runs.outcomes.append(outcome)
        runs.measured.append({"died at": moment, "pause": pause, "resent": resent})

    def broker_dies(self, runs: Runs, clean_seconds: float | None) -> None:
        """In the middle, and comes back empty after the outage."""

        def die(live: Live) -> None:
            live.wait_until_written(live.lab.receivers[0].name, BROKER_DIES_AT)
            self._with_mosquitto.kill_broker()
            live.has_ended.wait(self._outage)
            if not live.has_ended.is_set():
                self._with_mosquitto.start_broker(live.lab.broadcaster, self._folder)

        outcome = self._run(self._with_mosquitto, die)
        seconds = whole_seconds(outcome)
        cost = None if seconds is None or clean_seconds is None else seconds - clean_seconds
        runs.outcomes.append(outcome)
        runs.measured.append({"cost": cost})

    def _run(self, contender: Slatecast, meanwhile: Callable[[Live], None] | None = None) -> Outcome:
        return run(
            contender, self._source, self._folder, receivers=RECEIVERS, meanwhile=meanwhile, time_limit=TIME_LIMIT
        )


def figures_of(cases: dict[str, Runs]) -> list[Figure]:
    """The worst of each against what was asked."""
    figures = []
    if runs := cases.get("receiver"):
        for one in runs.measured:
            fetched, unwritten = one["fetched"], one["unwritten"] or 0.0
            figures.append(
                Figure(
                    f"receiver killed at {RECEIVER_DIES_AT:.0%}: re-fetched",
                    "MiB",
                    None if fetched is None else fetched / 2**20,
                    (unwritten + ASKED_REFETCHED) / 2**20,
                    runs.why_short or f"{unwritten / 2**20:.0f} MiB were not on the disk",
                )
            )
    if runs := cases.get("broadcaster"):
        moments = ", ".join(f"{one['died at']:.0%}" for one in runs.measured)
        why = runs.why_short or f"at {moments} of the image"
        figures.append(Figure("broadcaster killed: multicast pauses", "s", runs.worst("pause"), ASKED_PAUSE, why))
        figures.append(
            Figure("broadcaster killed: re-sent, of the image", "%", runs.worst("resent"), ASKED_RESENT, why)
        )
    if runs := cases.get("broker"):
        why = runs.why_short
        figures.append(Figure("broker killed and back empty: costs", "s", runs.worst("cost"), ASKED_BROKER, why))
    return figures


def cases_table(cases: dict[str, Runs]) -> Table:
    """A row for each run."""
    table = Table("who died", "whole", "repair", "measured", "verified")
    for case, runs in cases.items():
        for outcome, measured in zip(runs.outcomes, runs.measured, strict=True):
            values = (f"{name} {'none' if value is None else f'{value:,.2f}'}" for name, value in measured.items())
            table.add_row(
                case,
                f"{outcome.seconds:.2f} s",
                f"{outcome.report.get('repair_datagrams', 0):,}",
                ", ".join(values),
                "yes" if outcome.verified else f"NO: {why_short(outcome)}",
            )
    return table


@click.command()
@click.option("--size", type=Size(), default="512M", show_default=True, help="Of the incompressible file.")
@click.option("--rate", type=Rate(), default=RATE, show_default=True, help="Bits per second.")
@click.option("--only", type=click.Choice(DEATHS), multiple=True, help="Only this one.  [default: all]")
@click.option("--seed", default=3, show_default=True, help="Of the moments at which the broadcaster dies.")
@click.option("--outage", default=10.0, show_default=True, help="Seconds that the broker is away.")
@click.option("--runs", type=click.IntRange(1), default=1, show_default=True)
@click.option("--json", "json_path", type=click.Path(path_type=Path, dir_okay=False), help="Write all figures here.")
def main(
    *, size: int, rate: int, only: tuple[str, ...], seed: int, outage: float, runs: int, json_path: Path | None
) -> None:
    """Kill and start again, and print what it cost."""
    deaths = only or DEATHS
    if missing := missing_requirement():
        raise click.ClickException(missing)
    if "broker" in deaths and MOSQUITTO is None:
        raise click.ClickException("needs Mosquitto: apt-get install mosquitto")
    console = Console(highlight=False, soft_wrap=True, width=TABLE_WIDTH)
    machine = describe_machine()
    print_machine(console, machine)
    cases: dict[str, Runs] = {}
    with workspace() as folder:
        bench = Bench(folder, write_incompressible(folder / "source", size), rate, seed, outage)
        try:
            bench.slatecast.add(folder / "source")
            _bench(bench, deaths, runs, cases)
        except (BenchError, LabError) as error:
            raise click.ClickException(str(error)) from error
    table = cases_table(cases)
    table.title = (
        f"{size / 2**20:.0f} MiB to {RECEIVERS} receivers at {rate / 1e6:.0f} Mbit/s, {runs} runs, seed {seed}"
    )
    console.print(table)
    conclude(console, machine, figures_of(cases), {case: mine.outcomes for case, mine in cases.items()}, json_path)


def _bench(bench: Bench, deaths: Sequence[str], runs: int, cases: dict[str, Runs]) -> None:
    for _ in range(runs):
        if "receiver" in deaths:
            bench.receiver_dies(cases.setdefault("receiver", Runs()))
        if "broadcaster" in deaths:
            clean = cases.setdefault("nobody", Runs())
            bench.clean(clean)
            bench.broadcaster_dies(cases.setdefault("broadcaster", Runs()), clean.measured[-1]["sent"])
        if "broker" in deaths:
            clean = cases.setdefault("nobody, with Mosquitto", Runs())
            bench.clean(clean, has_mosquitto=True)
            bench.broker_dies(cases.setdefault("broker", Runs()), clean.measured[-1]["seconds"])


if __name__ == "__main__":
    main()
