"""A whole cast beside udpcast and uftp: same file, same lab, in one run, in turns.

    python -m benches.bench_cast                                   1 GiB to 4 receivers, unshaped
    python -m benches.bench_cast --shape 1gbit --receivers 2       what of a shaped link is used
    python -m benches.bench_cast --sparse --no-peers               an 8 GiB disk with 1.5 GiB of files

Question: whole command against whole command, how much sooner is the room done, and at what cost? Metrics: seconds
from the start of the sender, with the receivers waiting, to the end of the last receiver (median of the runs), CPU
seconds per GiB, peak memory. slatecast's time includes sealing, checking each chunk, writing, fsync and reading back;
the peers' includes writing. Adding the image to the library is timed on its own: it happens once per image.
Corpus: incompressible bytes of a fixed seed; for ``--sparse`` the sample disk of ``slatecast demo``. All on tmpfs.
"""

import json
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any, Final

import click
from rich.console import Console
from rich.table import Table

from benches.blaster import DATAGRAM_LENGTH, Blast, blast
from benches.contest import Contender, Outcome, run
from benches.corpus import workspace, write_incompressible
from benches.machine import describe_machine, print_machine
from benches.parameters import Size
from benches.peers import Udpcast, Uftp, missing_peers
from benches.slatecast_contender import Slatecast
from benches.usage import BenchError
from protocol.wire import ENCODING_SYMBOL_LENGTH
from slatecast.sample_disk import build_sample_disk
from tests.lab import Lab, LabError, missing_requirement

SPARSE_DISK_SIZE: Final = 8 << 30
SPARSE_USED_BYTES: Final = 3 << 29

BLAST_SECONDS: Final = 3.0

TABLE_WIDTH: Final = 120
"""[columns] Of the printed tables, also in a log without a terminal."""


def bench(
    contenders: list[Contender], source: Path, folder: Path, *, receivers: int, shape: str | None, runs: int
) -> list[Outcome]:
    """All runs, the contenders in turns, so that what else the machine does meets all of them."""

    def prepare(lab: Lab) -> None:
        if shape:
            lab.broadcaster.shape_sending(shape)

    return [
        run(contender, source, folder, receivers=receivers, prepare_lab=prepare)
        for _ in range(runs)
        for contender in contenders
    ]


def results_table(outcomes: list[Outcome], base: str) -> Table:
    """One row per contender; ``base`` is the contender that the others are divided by."""
    table = Table(
        *("contender", "seconds (range)", "goodput", "CPU/GiB\nsender", "CPU/GiB\nreceiver"),
        *("memory\nsender", "memory\nreceiver", f"{base}\nis faster", "verified"),
    )
    for name in dict.fromkeys(outcome.contender for outcome in outcomes):
        mine = [outcome for outcome in outcomes if outcome.contender == name]
        seconds = _median_seconds(outcomes, name)
        table.add_row(
            name,
            f"{seconds:.2f} ({min(one.seconds for one in mine):.2f}-{max(one.seconds for one in mine):.2f})",
            f"{mine[0].source_bytes / seconds / 1e6:.1f} MB/s",
            f"{median(one.sender_cpu_per_gib for one in mine):.2f} s",
            f"{median(one.receiver_cpu_per_gib for one in mine):.2f} s",
            f"{max(one.sender.peak_bytes for one in mine) / 2**20:.0f} MiB",
            f"{max(usage.peak_bytes for one in mine for usage in one.receivers) / 2**20:.0f} MiB",
            f"{seconds / _median_seconds(outcomes, base):.2f} x",
            "yes" if all(one.verified for one in mine) else "NO",
        )
    return table


def _median_seconds(outcomes: list[Outcome], name: str) -> float:
    return median(outcome.seconds for outcome in outcomes if outcome.contender == name)


def _print_reports(console: Console, outcomes: list[Outcome], admitted: Blast | None) -> None:
    """What slatecast says of itself, and what it took of what the shaper admits."""
    for outcome in outcomes:
        report = outcome.report
        if not report:
            continue
        overhead = report["bytes_on_wire"] / report["stored_bytes"] - 1
        worst = min(seat["bytes_received"] for seat in report["seats"]) / report["bytes_on_wire"]
        console.print(
            f"{outcome.contender}: session {report['seconds']:.2f} s of {outcome.seconds:.2f} s, "
            f"{report['bytes_on_wire']:,} bytes on the wire for {report['stored_bytes']:,} stored ({overhead:+.2%}), "
            f"{report['repair_datagrams']} repair datagrams; the worst seat received {worst:.2%} of what was sent"
        )
        if admitted:
            admits = min(admitted.delivered_rates)
            best = admits * ENCODING_SYMBOL_LENGTH / DATAGRAM_LENGTH
            in_session = report["stored_bytes"] / report["seconds"]
            console.print(
                f"  the shaper admits {admits / 1e6:.1f} MB/s of datagrams, {best / 1e6:.1f} MB/s of symbols: "
                f"the session had {in_session / best:.1%} of it, the whole command {outcome.goodput / best:.1%}"
            )


def _as_json(outcome: Outcome) -> dict[str, Any]:
    return asdict(outcome) | {
        "goodput": outcome.goodput,
        "sender_cpu_per_gib": outcome.sender_cpu_per_gib,
        "receiver_cpu_per_gib": outcome.receiver_cpu_per_gib,
    }


@click.command()
@click.option("--size", type=Size(), default="1G", show_default=True, help="Of the incompressible file.")
@click.option("--receivers", type=click.IntRange(1), default=4, show_default=True)
@click.option("--shape", metavar="RATE", help="Shape the sender with tbf, such as 1gbit.")
@click.option("--rate", metavar="RATE", help="Give this --rate to slatecast.  [default: its own]")
@click.option("--sparse", is_flag=True, help="Cast an 8 GiB disk with 1.5 GiB of files instead.")
@click.option("--peers/--no-peers", default=True, show_default=True)
@click.option("--slatecast/--no-slatecast", "ours", default=True, show_default=True)
@click.option("--runs", type=click.IntRange(1), default=1, show_default=True)
@click.option("--json", "json_path", type=click.Path(path_type=Path, dir_okay=False), help="Write all figures here.")
def main(
    *,
    size: int,
    receivers: int,
    shape: str | None,
    rate: str | None,
    sparse: bool,
    peers: bool,
    ours: bool,
    runs: int,
    json_path: Path | None,
) -> None:
    """Cast the same file with slatecast, udpcast and uftp, and print what each came to."""
    if missing := missing_requirement() or (missing_peers() if peers else None):
        raise click.ClickException(missing)
    console = Console(highlight=False, soft_wrap=True, width=TABLE_WIDTH)
    machine = describe_machine()
    print_machine(console, machine)
    with workspace() as folder:
        source = folder / "source"
        if sparse:
            build_sample_disk(source, disk_size=SPARSE_DISK_SIZE, used_bytes=SPARSE_USED_BYTES)
        else:
            write_incompressible(source, size)
        contenders: list[Contender] = []
        if ours:
            slatecast = Slatecast(folder / "library", ("--rate", rate) if rate else ())
            usage, seconds = slatecast.add(source)
            console.print(
                f"slatecast image add: {seconds:.2f} s, {usage.cpu_seconds:.2f} CPU s, "
                f"{usage.peak_bytes / 2**20:.0f} MiB; stored {slatecast.show()['stored_bytes']:,} bytes"
            )
            contenders.append(slatecast)
        if peers:
            contenders += [Udpcast(), Uftp()]
        try:
            admitted = _blast_shaped(shape, receivers) if shape else None
            outcomes = bench(contenders, source, folder, receivers=receivers, shape=shape, runs=runs)
        except (BenchError, LabError) as error:
            raise click.ClickException(str(error)) from error
    _print_reports(console, outcomes, admitted)
    if outcomes:
        title = f"{source.name}: {outcomes[0].source_bytes / 2**20:.0f} MiB to {receivers} receivers"
        table = results_table(outcomes, contenders[0].name)
        table.title = f"{title}, {f'shaped to {shape}' if shape else 'unshaped'}, {runs} runs"
        console.print(table)
    if json_path is not None:
        figures = {
            "machine": machine,
            "admitted": asdict(admitted) if admitted else None,
            "outcomes": [_as_json(outcome) for outcome in outcomes],
        }
        json_path.write_text(json.dumps(figures, indent=2))
    if not all(outcome.verified for outcome in outcomes):
        raise click.ClickException("not every file arrived whole")


def _blast_shaped(shape: str, receivers: int) -> Blast:
    with Lab(receivers) as lab:
        lab.broadcaster.shape_sending(shape)
        return blast(lab, seconds=BLAST_SECONDS)


if __name__ == "__main__":
    main()
