"""Does one slow, stalled or dead PC hold up the others?

    python -m benches.bench_stragglers                            768 MiB to 8 at 200 Mbit/s: five casts, udpcast beside
    python -m benches.bench_stragglers --no-peers --only stalled  one case, beside the clean run
    python -m benches.bench_stragglers --runs 3                   medians of three runs

Question: when one of eight receivers sits at a port of a quarter of the rate, stops for 30 s (SIGSTOP, as a disk that
stalls) or is killed for good, when are the other seven done, relative to a clean run, and does the slow one still
finish? The slow port is measured twice: at a switch that floods multicast, where nothing that the seat does takes the
stream off its port, and at one that snoops. udpcast beside it in the clean case and with the slow port, with a time
limit. Metrics, medians of the runs: seconds from the start of sending until the last of the others is verified (of
udpcast: until its command ended), and until the straggler is; and what the report says of it, in words.
Corpus: incompressible bytes of a fixed seed on tmpfs; every file is compared at the end.
"""

import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click
from rich.console import Console
from rich.table import Table

from benches.contest import Contender, Live, Outcome, run
from benches.corpus import workspace, write_incompressible
from benches.figures import TABLE_WIDTH, Figure, conclude, median_of, ratio, seat_reports, seat_seconds
from benches.machine import describe_machine, print_machine
from benches.parameters import Size
from benches.peers import UDPCAST_SENDING, Udpcast, missing_peers
from benches.slatecast_contender import NAME, Slatecast
from benches.usage import BenchError
from slatecast.cli.parameters import Rate
from tests.lab import Lab, LabError, missing_requirement

RATE: Final = "200M"
SLOW_SHARE: Final = 4
"""The slow port passes one part in so many of the rate."""
STALL_SECONDS: Final = 30.0
STALL_AT: Final = 0.1
"""[ratio] Of the image written when the stall begins: early, so that a session of half a minute sees its end."""
KILL_AT: Final = 0.3
"""[ratio] Of the image written when the receiver is killed."""
ASKED_TIME: Final = 1.05
"""[ratio] Of the others' time to the clean run's."""
TIME_LIMIT: Final = 280.0
"""[s] For a run of slatecast: 768 MiB through 50 Mbit/s take 130 s, and may come late."""
PEER_TIME_LIMIT: Final = 150.0

CLEAN: Final = "clean"
SLOW_PORT: Final = "slow port"
SLOW_PORT_SNOOPING: Final = "slow port, snooping switch"
STALLED: Final = "stalled"
KILLED: Final = "killed"


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens to the last receiver of the lab."""

    name: str
    may_finish: bool
    prepare: Callable[[Lab], None] = lambda _: None
    meanwhile: Callable[[Live], None] = lambda _: None
    snooping: bool = False


@dataclass(frozen=True, slots=True)
class Case:
    """All runs of one contender with one fault."""

    contender: str
    fault: Fault
    runs: list[Outcome]

    @property
    def name(self) -> str:
        """Contender and fault."""
        return f"{self.contender}, {self.fault.name}"

    @property
    def others(self) -> float | None:
        """Seconds until the last of the others is done."""
        return median_of(_seconds(one, list(one.ended)[:-1]) for one in self.runs)

    @property
    def straggler(self) -> float | None:
        """Seconds until the straggler is done."""
        return median_of(_seconds(one, list(one.ended)[-1:]) for one in self.runs)

    @property
    def reason(self) -> str:
        """What the contender says of the straggler, in its own words."""
        seat = next(iter(seat_reports(self.runs[0], list(self.runs[0].ended)[-1])[-1:]), None)
        if seat is None:
            return "still running at the time limit" if self.runs[0].is_late else ""
        fetched = seat.get("catch_up_bytes", 0)
        words = [f"{seat['outcome']}, loss {seat['loss_ratio']:.1%}"]
        words += [f"fetched {fetched / 2**20:.0f} MiB"] if fetched else []
        words += [seat["reason"]] if seat["reason"] else []
        return "; ".join(words)


def _seconds(outcome: Outcome, names: list[str]) -> float | None:
    """Until all of these are done, or None when one is not; a peer has no report, so its command's end counts."""
    if any(name not in outcome.intact for name in names):
        return None
    if outcome.contender == NAME:
        return seat_seconds(outcome, names)
    if any(outcome.exit_codes[name] for name in names):
        return None
    return max(outcome.ended[name] for name in names)


def faults(rate: int) -> list[Fault]:
    """What is tried, the clean run first."""

    def shape(lab: Lab) -> None:
        lab.receivers[-1].shape_receiving(f"{rate // SLOW_SHARE}bit")

    def stall(live: Live) -> None:
        name = live.lab.receivers[-1].name
        live.wait_until_written(name, STALL_AT)
        live.signal(name, signal.SIGSTOP)
        live.has_ended.wait(STALL_SECONDS)
        # A session that did not wait for it may be over by now.
        if live.processes[name].returncode is None:
            live.signal(name, signal.SIGCONT)

    def kill(live: Live) -> None:
        name = live.lab.receivers[-1].name
        live.wait_until_written(name, KILL_AT)
        live.kill(name)

    return [
        Fault(CLEAN, may_finish=True),
        Fault(SLOW_PORT, may_finish=True, prepare=shape),
        Fault(SLOW_PORT_SNOOPING, may_finish=True, prepare=shape, snooping=True),
        Fault(STALLED, may_finish=True, meanwhile=stall),
        Fault(KILLED, may_finish=False, meanwhile=kill),
    ]


def bench(
    cases: list[Case], contenders: list[Contender], source: Path, folder: Path, *, receivers: int, runs: int
) -> None:
    """All runs, the cases in turns, so that what else the machine does meets all of them."""
    for _ in range(runs):
        for case in cases:
            contender = next(one for one in contenders if one.name == case.contender)
            case.runs.append(
                run(
                    contender,
                    source,
                    folder,
                    receivers=receivers,
                    prepare_lab=case.fault.prepare,
                    meanwhile=case.fault.meanwhile,
                    snooping=case.fault.snooping,
                    time_limit=TIME_LIMIT if contender.name == NAME else PEER_TIME_LIMIT,
                )
            )


def cases_table(cases: list[Case]) -> Table:
    """A row for each case."""
    table = Table("contender", "fault", "others done", "to clean", "straggler done", "what became of the straggler")
    for case in cases:
        table.add_row(
            case.contender,
            case.fault.name,
            _or_dash(case.others, "{:.2f} s"),
            _or_dash(ratio(case.others, _clean(cases, case.contender)), "{:.3f} x"),
            _or_dash(case.straggler, "{:.2f} s"),
            case.reason,
        )
    return table


def figures_of(cases: list[Case]) -> list[Figure]:
    """Ours against what was asked."""
    figures = []
    for case in cases:
        if case.contender == NAME and case.fault.name != CLEAN:
            times = ratio(case.others, _clean(cases, NAME))
            figures.append(Figure(f"{case.fault.name}: the others' time, to clean", "x", times, ASKED_TIME))
            if case.fault.may_finish:
                missing = sum(_seconds(one, list(one.ended)[-1:]) is None for one in case.runs)
                what = f"{case.fault.name}: runs in which it did not finish"
                figures.append(Figure(what, "runs", missing, 0, case.reason))
    return figures


def _clean(cases: list[Case], contender: str) -> float | None:
    return next((case.others for case in cases if (case.contender, case.fault.name) == (contender, CLEAN)), None)


def _or_dash(value: float | None, form: str) -> str:
    return "-" if value is None else form.format(value)


@click.command()
@click.option("--size", type=Size(), default="768M", show_default=True, help="Of the incompressible file.")
@click.option("--receivers", type=click.IntRange(2), default=8, show_default=True)
@click.option("--rate", type=Rate(), default=RATE, show_default=True, help="Bits per second.")
@click.option(
    "--only",
    type=click.Choice([SLOW_PORT, SLOW_PORT_SNOOPING, STALLED, KILLED]),
    multiple=True,
    help="Only this case beside the clean one.  [default: all]",
)
@click.option("--peers/--no-peers", default=True, show_default=True)
@click.option("--runs", type=click.IntRange(1), default=1, show_default=True)
@click.option("--json", "json_path", type=click.Path(path_type=Path, dir_okay=False), help="Write all figures here.")
def main(
    *, size: int, receivers: int, rate: int, only: tuple[str, ...], peers: bool, runs: int, json_path: Path | None
) -> None:
    """Cast to a room with one bad seat, and print what it cost the others."""
    if missing := missing_requirement() or (missing_peers() if peers else None):
        raise click.ClickException(missing)
    console = Console(highlight=False, soft_wrap=True, width=TABLE_WIDTH)
    machine = describe_machine()
    print_machine(console, machine)
    tried = [fault for fault in faults(rate) if not only or fault.name in (CLEAN, *only)]
    cases = [Case(NAME, fault, []) for fault in tried]
    with workspace() as folder:
        source = write_incompressible(folder / "source", size)
        slatecast = Slatecast(folder / "library", ("--rate", str(rate)))
        udpcast = Udpcast((*UDPCAST_SENDING, "--max-bitrate", str(rate)))
        if peers:
            cases += [Case(udpcast.name, fault, []) for fault in tried if fault.name in (CLEAN, SLOW_PORT)]
        try:
            slatecast.add(source)
            bench(cases, [slatecast, udpcast], source, folder, receivers=receivers, runs=runs)
        except (BenchError, LabError) as error:
            raise click.ClickException(str(error)) from error
    table = cases_table(cases)
    table.title = f"{size / 2**20:.0f} MiB to {receivers} receivers at {rate / 1e6:.0f} Mbit/s, {runs} runs"
    console.print(table)
    conclude(console, machine, figures_of(cases), {case.name: case.runs for case in cases}, json_path)


if __name__ == "__main__":
    main()
