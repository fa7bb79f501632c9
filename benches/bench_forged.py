"""What do forged datagrams cost a cast, when somebody without the key floods its group?

    python -m benches.bench_forged                             256 MiB to 4 at 400 Mbit/s, 100 Mbit/s of forgeries
    python -m benches.bench_forged --forged 300M --runs 5      three times as many

Question: a stranger on the switch hears the group and forges datagrams of eleven kinds (``tests.forgeries``), once
under the broadcaster's address, so that each has to be read and refused, once under its own, so that the kernel's
filter drops it. Metrics, medians of the runs against runs without it: seconds of the session, and CPU seconds of the
busiest receiver for each second of the session. Every file is compared at the end, so that a single byte believed is
seen.
Corpus: incompressible bytes of a fixed seed on tmpfs. The stranger needs the machine, too: 0.1 core for 100 Mbit/s, and
what the kernel does for the copies to every receiver.
"""

import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import click
import msgspec
from rich.console import Console
from rich.table import Table

from benches.contest import POLL_SECONDS, Live, Outcome, run, start
from benches.corpus import workspace, write_incompressible
from benches.figures import (
    TABLE_WIDTH,
    Figure,
    conclude,
    median_of,
    ratio,
    repair_ratio,
    session_seconds,
    why_short,
)
from benches.machine import describe_machine, print_machine
from benches.parameters import Size
from benches.slatecast_contender import Slatecast
from benches.usage import BenchError
from broadcaster.saved_cast import CASTS_FOLDER, SavedCast
from protocol.link.multicast import DATA_PORT
from slatecast.cli.parameters import Rate
from tests.lab import Lab, LabError, missing_requirement

RATE: Final = "400M"
FORGED: Final = "100M"
STRANGER: Final = "stranger"
TIME_LIMIT: Final = 150.0
"""[s] For each run."""

ASKED_GOODPUT: Final = 10.0
"""[percent] Of the goodput, that forgeries may cost."""
ASKED_CPU: Final = 25.0
"""[percent] Of one core, at the busiest receiver."""

NOBODY, BROADCASTER, ITSELF = AS_WHOM = ("nobody", "the broadcaster", "itself")
"""Under whose address the stranger forges."""


@dataclass(slots=True)
class Case:
    """All runs in which the stranger forges under one address, or not at all."""

    as_whom: str
    outcomes: list[Outcome] = field(default_factory=list)
    forged_rates: list[float] = field(default_factory=list)
    """[bit/s] that left the stranger, link headers included, by run"""

    @property
    def seconds(self) -> float | None:
        """Of the session."""
        return median_of(session_seconds(one) for one in self.outcomes)

    @property
    def cpu_share(self) -> float | None:
        """CPU seconds of the busiest receiver for each second of the session."""
        return median_of(
            ratio(max(usage.cpu_seconds for usage in one.receivers), session_seconds(one)) for one in self.outcomes
        )

    @property
    def why_short(self) -> str:
        """What went wrong in the first run in which anything did."""
        return next((words for words in map(why_short, self.outcomes) if words), "")


class Bench:
    """One image in one folder, cast again and again."""

    def __init__(self, slatecast: Slatecast, source: Path, folder: Path, *, receivers: int, forged: int) -> None:
        self._slatecast = slatecast
        self._source = source
        self._folder = folder
        self._receivers = receivers
        self._forged = forged

    def play(self, case: Case) -> None:
        """One run more."""

        def forge(live: Live) -> None:
            if case.as_whom != NOBODY:
                case.forged_rates.append(self._forge(live, case.as_whom))

        def prepare(lab: Lab) -> None:
            lab.plug_in(STRANGER)

        case.outcomes.append(
            run(
                self._slatecast,
                self._source,
                self._folder,
                receivers=self._receivers,
                prepare_lab=prepare,
                meanwhile=forge,
                time_limit=TIME_LIMIT,
            )
        )

    def _forge(self, live: Live, as_whom: str) -> float:
        """Forge from the moment in which the cast has a group to the end of the run; gives the bits a second."""
        (host,) = live.lab.strangers
        broadcaster = live.lab.broadcaster.ipv4
        source = broadcaster if as_whom == BROADCASTER else host.ipv4
        argv = ["forge", self._group(live), DATA_PORT, source, TIME_LIMIT, self._forged, broadcaster]
        process = start(host, [sys.executable, "-m", "tests.network_faults.injector", *map(str, argv)], self._folder)
        began, before = time.monotonic(), host.counters().sent_bytes
        live.has_ended.wait(TIME_LIMIT)
        rate = (host.counters().sent_bytes - before) * 8 / (time.monotonic() - began)
        if process.poll() is not None:
            raise BenchError("the stranger ended before the cast")
        return rate

    def _group(self, live: Live) -> str:
        """Anybody on the network sees it; here it is read where the cast keeps it."""
        while True:
            for path in (self._slatecast.library / CASTS_FOLDER).glob("*.cast"):
                _, _, text = path.read_bytes().partition(b"\n")
                if text:
                    return msgspec.json.decode(text, type=SavedCast).group
            live.sleep(POLL_SECONDS)


def cases_table(cases: list[Case]) -> Table:
    """A row for each case, against the cast that nobody disturbs."""
    base = cases[0]
    table = Table("forged as", "forged", "session", "to undisturbed", "repair", "receiver CPU", "verified")
    for case in cases:
        table.add_row(
            case.as_whom,
            _or_dash(median_of(rate / 1e6 for rate in case.forged_rates), "{:.0f} Mbit/s"),
            _or_dash(case.seconds, "{:.2f} s"),
            _or_dash(ratio(case.seconds, base.seconds), "{:.3f} x"),
            _or_dash(median_of(repair_ratio(one) for one in case.outcomes), "{:.2%}"),
            _or_dash(case.cpu_share, "{:.1%} of a core"),
            "yes" if all(one.verified for one in case.outcomes) else f"NO: {case.why_short}",
        )
    return table


def figures_of(cases: list[Case]) -> list[Figure]:
    """What forgeries cost against what they may cost."""
    base, *disturbed = cases
    figures = []
    for case in disturbed:
        words, slower = f"forged as {case.as_whom}", ratio(case.seconds, base.seconds)
        loss = None if slower is None else (1 - 1 / slower) * 100
        cpu = None if case.cpu_share is None or base.cpu_share is None else (case.cpu_share - base.cpu_share) * 100
        figures += [
            Figure(f"goodput lost, {words}", "%", loss, ASKED_GOODPUT, case.why_short),
            Figure(f"of a core at the busiest receiver, {words}", "%", cpu, ASKED_CPU, case.why_short),
        ]
    return figures


def _or_dash(value: float | None, form: str) -> str:
    return "-" if value is None else form.format(value)


@click.command()
@click.option("--size", type=Size(), default="256M", show_default=True, help="Of the incompressible file.")
@click.option("--receivers", type=click.IntRange(1), default=4, show_default=True)
@click.option("--rate", type=Rate(), default=RATE, show_default=True, help="Of the cast, bits per second.")
@click.option("--forged", type=Rate(), default=FORGED, show_default=True, help="Forgeries, bits per second.")
@click.option("--runs", type=click.IntRange(1), default=1, show_default=True)
@click.option("--json", "json_path", type=click.Path(path_type=Path, dir_okay=False), help="Write all figures here.")
def main(*, size: int, receivers: int, rate: int, forged: int, runs: int, json_path: Path | None) -> None:
    """Cast while somebody forges, and print what that cost."""
    if missing := missing_requirement():
        raise click.ClickException(missing)
    console = Console(highlight=False, soft_wrap=True, width=TABLE_WIDTH)
    machine = describe_machine()
    print_machine(console, machine)
    cases = [Case(as_whom) for as_whom in AS_WHOM]
    with workspace() as folder:
        source = write_incompressible(folder / "source", size)
        slatecast = Slatecast(folder / "library", ("--rate", str(rate)))
        bench = Bench(slatecast, source, folder, receivers=receivers, forged=forged)
        try:
            slatecast.add(source)
            for _ in range(runs):
                for case in cases:
                    bench.play(case)
        except (BenchError, LabError) as error:
            raise click.ClickException(str(error)) from error
    table = cases_table(cases)
    table.title = (
        f"{size / 2**20:.0f} MiB to {receivers} receivers at {rate / 1e6:.0f} Mbit/s, "
        f"{forged / 1e6:.0f} Mbit/s forged, {runs} runs"
    )
    console.print(table)
    conclude(console, machine, figures_of(cases), {case.as_whom: case.outcomes for case in cases}, json_path)


if __name__ == "__main__":
    main()
