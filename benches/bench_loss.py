"""How much time and traffic does loss cost, when each receiver loses datagrams of its own?

    python -m benches.bench_loss                              192 MiB to 8 at 200 Mbit/s, 0 to 30 % loss, peers beside
    python -m benches.bench_loss --no-peers --losses 0,1      only slatecast, only these losses
    python -m benches.bench_loss --runs 3 --json loss.json    medians of three runs

Question: what is the price of independent loss at every receiver, in time, extra datagrams and in the end game, and
what do udpcast and uftp pay in the same lab at the same rate? Metrics, medians of the runs: session seconds and whole
command relative to no loss; repair datagrams for each datagram of the first pass; the end game, which is the time from
the first verified seat to the last. Loss is a throw of the dice for each datagram that arrives at a host, control
included; batches are taken apart for it, so receivers read single datagrams, also with 0.1 %.
Corpus: incompressible bytes of a fixed seed on tmpfs; every file is compared at the end. A peer that has not finished
after the time limit is killed and has no figure.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click
from rich.console import Console
from rich.table import Table

from benches.contest import Contender, Outcome, run
from benches.corpus import workspace, write_incompressible
from benches.figures import (
    TABLE_WIDTH,
    Figure,
    catch_up_bytes,
    conclude,
    median_of,
    ratio,
    repair_ratio,
    session_seconds,
    whole_seconds,
    why_short,
)
from benches.machine import describe_machine, print_machine
from benches.parameters import Percentages, Size
from benches.peers import UDPCAST_SENDING, Udpcast, Uftp, missing_peers
from benches.slatecast_contender import NAME, Slatecast
from benches.usage import BenchError
from slatecast.cli.parameters import Rate
from tests.lab import Lab, LabError, missing_requirement

RATE: Final = "200M"
LOSSES: Final = "0,0.1,1,5,10,30"
TIME_LIMIT: Final = 150.0
"""[s] For each run: at 10 % loss udpcast does not come to an end."""

ASKED_TIME: Final = {0.001: 1.02, 0.01: 1.04, 0.05: 1.12, 0.1: 1.20, 0.3: 1.75}
"""[ratio] To the time without loss, by loss."""
ASKED_EXTRA: Final = {0.01: 4.0}
"""[percent] Of repair datagrams, by loss."""
IDEAL_EXTRA: Final = {0.001: 0.5, 0.01: 2.2, 0.05: 7.9, 0.1: 14.9, 0.3: 51.6}
"""[percent] Simulated: repair by count in rounds, K=186, 8 receivers."""
ASKED_END_GAME: Final = {0.01: (0.03, 2.0)}
"""Share of the session and seconds, of which the larger one counts, by loss."""


@dataclass(frozen=True, slots=True)
class Case:
    """All runs of one contender at one loss."""

    contender: str
    loss: float
    runs: list[Outcome]

    @property
    def name(self) -> str:
        """Contender and loss."""
        return f"{self.contender} at {self.loss:.1%}"

    @property
    def session(self) -> float | None:
        """Seconds of the session."""
        return median_of(session_seconds(one) for one in self.runs)

    @property
    def whole(self) -> float | None:
        """Seconds of the whole command."""
        return median_of(whole_seconds(one) for one in self.runs)

    @property
    def extra(self) -> float | None:
        """Repair datagrams, percent."""
        share = median_of(repair_ratio(one) for one in self.runs)
        return None if share is None else share * 100

    @property
    def end_game(self) -> float | None:
        """Seconds from the first verified seat to the last."""
        return median_of(_end_game(one) for one in self.runs)

    @property
    def why_short(self) -> str:
        """What went wrong in the first run in which anything did."""
        return next((words for words in map(why_short, self.runs) if words), "")


def bench(
    contenders: list[Contender], source: Path, folder: Path, *, receivers: int, losses: tuple[float, ...], runs: int
) -> list[Case]:
    """All runs, the contenders in turns at each loss, so that what else the machine does meets all of them."""
    cases = [Case(contender.name, loss, []) for loss in losses for contender in contenders]
    for _ in range(runs):
        for case in cases:
            contender = next(one for one in contenders if one.name == case.contender)

            def prepare(lab: Lab, loss: float = case.loss) -> None:
                for host in lab.receivers:
                    host.set_loss(loss)

            case.runs.append(
                run(contender, source, folder, receivers=receivers, prepare_lab=prepare, time_limit=TIME_LIMIT)
            )
    return cases


def cases_table(cases: list[Case]) -> Table:
    """A row for each case, against the same contender without loss."""
    table = Table("contender", "loss", "session", "whole", "to no loss", "repair", "catch-up", "end game", "verified")
    for case in cases:
        base = _without_loss(cases, case.contender)
        table.add_row(
            case.contender,
            f"{case.loss:.1%}",
            _or_dash(case.session, "{:.2f} s"),
            _or_dash(case.whole, "{:.2f} s"),
            _or_dash(ratio(case.session or case.whole, base.session or base.whole), "{:.3f} x"),
            _or_dash(case.extra, "{:.2f} %"),
            _or_dash(median_of(catch_up_bytes(one) / 2**20 for one in case.runs if one.report), "{:.1f} MiB"),
            _or_dash(case.end_game, "{:.2f} s"),
            "yes" if all(one.verified for one in case.runs) else f"NO: {case.why_short}",
        )
    return table


def figures_of(cases: list[Case]) -> list[Figure]:
    """Ours against what was asked."""
    ours = [case for case in cases if case.contender == NAME]
    base = _without_loss(cases, NAME)
    figures = []
    for case in ours:
        if case.loss:
            words, why = f"at {case.loss:.1%} loss", case.why_short
            asked = ASKED_TIME.get(case.loss)
            figures += [
                Figure(f"session {words}, to no loss", "x", ratio(case.session, base.session), asked, why),
                Figure(f"whole command {words}, to no loss", "x", ratio(case.whole, base.whole), asked, why),
                Figure(f"extra datagrams {words}", "%", case.extra, ASKED_EXTRA.get(case.loss), _ideal(case.loss)),
            ]
            share, seconds = ASKED_END_GAME.get(case.loss, (None, None))
            limit = max(share * case.session, seconds) if share and seconds and case.session else seconds
            figures.append(Figure(f"end game {words}", "s", case.end_game, limit, why))
    return figures


def _ideal(loss: float) -> str:
    return f"simulated ideal {IDEAL_EXTRA[loss]} %" if loss in IDEAL_EXTRA else ""


def _without_loss(cases: list[Case], contender: str) -> Case:
    """The base; without one in the list, a case without runs, which has no figures."""
    found = (case for case in cases if case.contender == contender and not case.loss)
    return next(found, Case(contender, 0.0, []))


def _end_game(outcome: Outcome) -> float | None:
    seconds = [seat["seconds"] for seat in outcome.report.get("seats", []) if seat["verified"]]
    return max(seconds) - min(seconds) if seconds and outcome.verified else None


def _or_dash(value: float | None, form: str) -> str:
    return "-" if value is None else form.format(value)


@click.command()
@click.option("--size", type=Size(), default="192M", show_default=True, help="Of the incompressible file.")
@click.option("--receivers", type=click.IntRange(1), default=8, show_default=True)
@click.option("--rate", type=Rate(), default=RATE, show_default=True, help="Of all contenders, bits per second.")
@click.option("--losses", type=Percentages(), default=LOSSES, show_default=True, help="Percentages; 0 is the base.")
@click.option("--peers/--no-peers", default=True, show_default=True)
@click.option("--runs", type=click.IntRange(1), default=1, show_default=True)
@click.option("--json", "json_path", type=click.Path(path_type=Path, dir_okay=False), help="Write all figures here.")
def main(
    *, size: int, receivers: int, rate: int, losses: tuple[float, ...], peers: bool, runs: int, json_path: Path | None
) -> None:
    """Cast through loss, and print what it cost."""
    if missing := missing_requirement() or (missing_peers() if peers else None):
        raise click.ClickException(missing)
    console = Console(highlight=False, soft_wrap=True, width=TABLE_WIDTH)
    machine = describe_machine()
    print_machine(console, machine)
    with workspace() as folder:
        source = write_incompressible(folder / "source", size)
        slatecast = Slatecast(folder / "library", ("--rate", str(rate)))
        contenders: list[Contender] = [slatecast]
        if peers:
            contenders.append(Udpcast((*UDPCAST_SENDING, "--max-bitrate", str(rate))))
            contenders.append(Uftp(("-R", str(rate // 1000))))
        try:
            slatecast.add(source)
            cases = bench(contenders, source, folder, receivers=receivers, losses=losses, runs=runs)
        except (BenchError, LabError) as error:
            raise click.ClickException(str(error)) from error
    table = cases_table(cases)
    table.title = f"{size / 2**20:.0f} MiB to {receivers} receivers at {rate / 1e6:.0f} Mbit/s, {runs} runs"
    console.print(table)
    conclude(console, machine, figures_of(cases), {case.name: case.runs for case in cases}, json_path)


if __name__ == "__main__":
    main()
