"""Does a room of 32 take as long as a single PC, and can 60 come at once?

    python -m benches.bench_room_size                         1, 8 and 32 at 100 Mbit/s; 60 at 50 Mbit/s with 2 % loss
    python -m benches.bench_room_size --no-crowd --runs 3     only the first question, medians of three runs

Question: how does the time grow with the number of receivers, and do 60 receivers that join in the same second all
finish and verify? Metrics, medians of the runs: session seconds and whole command relative to one receiver; of the
crowd the time from its first connection to the broker to its last, session seconds, repair, CPU seconds and memory.
All receivers are processes of one machine, so each of them takes from the same cores what in a room is its own: a
figure above what was asked is the machine's when the CPU line says that its cores were busy all the time.
Corpus: incompressible bytes of a fixed seed on tmpfs; every file is compared at the end.
"""

import os
import socket
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import click
from rich.console import Console
from rich.table import Table

from benches.contest import SENDER, Live, Outcome, run
from benches.corpus import workspace, write_incompressible
from benches.figures import (
    TABLE_WIDTH,
    Figure,
    conclude,
    median_of,
    ratio,
    repair_ratio,
    session_seconds,
    whole_seconds,
    why_short,
)
from benches.machine import describe_machine, print_machine
from benches.parameters import Size
from benches.slatecast_contender import BROKER_PORT, Slatecast
from benches.usage import BenchError
from slatecast.cli.parameters import Rate
from tests.lab import Lab, LabError, missing_requirement

ROOM_SIZES: Final = (1, 8, 32)
ROOM_RATE: Final = "100M"
ASKED_TIME: Final = 1.05
"""[ratio] Of the largest room's time to one receiver's."""

CROWD: Final = 60
CROWD_RATE: Final = "50M"
CROWD_LOSS: Final = 0.02
ASKED_JOIN: Final = 1.0
"""[s] "In the same second": the broker has to take all of them in so much time."""

TIME_LIMIT: Final = 240.0
"""[s] For each run; then everything is killed and has no figure."""

POLL_SECONDS: Final = 0.02
"""[s] Between two looks at the broker's connections."""

_ESTABLISHED: Final = "01"
"""The kernel's word for it in /proc/net/tcp."""


class Connections:
    """When the first and the last receiver connected to the broker."""

    def __init__(self, expected: int) -> None:
        self.seconds: float | None = None
        """[s] between the two; None when they were never all there"""
        self._expected = expected

    def watch(self, live: Live) -> None:
        """Look until all are there."""
        first_at: float | None = None
        while self.seconds is None and not live.has_ended.wait(POLL_SECONDS):
            count = _count_connections(live)
            now = time.monotonic()
            if count and first_at is None:
                first_at = now
            if count >= self._expected and first_at is not None:
                self.seconds = now - first_at


def _count_connections(live: Live) -> int:
    """Receivers that are connected, by the broadcaster host's own table."""
    (address,) = struct.unpack("=I", socket.inet_aton(live.lab.broadcaster.ipv4))
    local = f"{address:08X}:{BROKER_PORT:04X}"
    try:
        lines = Path(f"/proc/{live.processes[SENDER].pid}/net/tcp").read_text().splitlines()[1:]
    except OSError:
        return 0
    remotes = {
        fields[2].partition(":")[0]
        for fields in (line.split() for line in lines)
        if fields[1] == local and fields[3] == _ESTABLISHED
    }
    return len(remotes - {f"{address:08X}"})


def bench_rooms(slatecast: Slatecast, source: Path, folder: Path, *, runs: int) -> dict[int, list[Outcome]]:
    """The runs by room size, the sizes in turns."""
    outcomes: dict[int, list[Outcome]] = {receivers: [] for receivers in ROOM_SIZES}
    for _ in range(runs):
        for receivers, mine in outcomes.items():
            mine.append(run(slatecast, source, folder, receivers=receivers, time_limit=TIME_LIMIT))
    return outcomes


def bench_crowd(
    slatecast: Slatecast, source: Path, folder: Path, *, receivers: int, loss: float, runs: int
) -> tuple[list[Outcome], list[float | None]]:
    """The runs, and how many seconds the joining took in each."""

    def prepare(lab: Lab) -> None:
        for host in lab.receivers:
            host.set_loss(loss)

    outcomes, joins = [], []
    for _ in range(runs):
        connections = Connections(receivers)
        watch: Callable[[Live], None] = connections.watch
        outcomes.append(
            run(
                slatecast,
                source,
                folder,
                receivers=receivers,
                prepare_lab=prepare,
                meanwhile=watch,
                time_limit=TIME_LIMIT,
            )
        )
        joins.append(connections.seconds)
    return outcomes, joins


def rooms_table(cases: dict[str, list[Outcome]]) -> Table:
    """A row for each case, with what it took of the machine."""
    table = Table(
        "room", "session", "whole", "repair", "CPU sender", "CPU a receiver", "cores busy", "memory a receiver"
    )
    for case, outcomes in cases.items():
        session = median_of(session_seconds(one) for one in outcomes)
        whole = median_of(one.seconds for one in outcomes) or 0.0
        sender = median_of(one.sender.cpu_seconds for one in outcomes) or 0.0
        receivers = median_of(sum(usage.cpu_seconds for usage in one.receivers) for one in outcomes) or 0.0
        repair = median_of(repair_ratio(one) for one in outcomes)
        table.add_row(
            case,
            "-" if session is None else f"{session:.2f} s",
            f"{whole:.2f} s",
            "-" if repair is None else f"{repair:.2%}",
            f"{sender:.1f} s",
            f"{receivers / len(outcomes[0].receivers):.1f} s",
            f"{(sender + receivers) / whole / (os.cpu_count() or 1):.0%}",
            f"{max(usage.peak_bytes for one in outcomes for usage in one.receivers) / 2**20:.0f} MiB",
        )
    return table


def room_figures(rooms: dict[int, list[Outcome]]) -> list[Figure]:
    """Each larger room against the smallest."""
    smallest = min(rooms)
    figures = []
    for measure, name in ((session_seconds, "session"), (whole_seconds, "whole command")):
        base = median_of(measure(one) for one in rooms[smallest])
        for receivers in sorted(rooms)[1:]:
            times = ratio(median_of(measure(one) for one in rooms[receivers]), base)
            why = next((words for words in map(why_short, rooms[receivers]) if words), "")
            asked = ASKED_TIME if receivers == max(rooms) else None
            figures.append(Figure(f"{name} of {receivers}, to {smallest}", "x", times, asked, why))
    return figures


def crowd_figures(outcomes: list[Outcome], joins: list[float | None], receivers: int) -> list[Figure]:
    """What became of the crowd."""
    why = next((words for words in map(why_short, outcomes) if words), "")
    unverified = max(receivers - sum(one.exit_codes.get(name) == 0 for name in one.intact) for one in outcomes)
    return [
        Figure(f"{receivers} at once: not verified", "seats", unverified, 0, why),
        Figure(f"{receivers} at once: all joined within", "s", median_of(joins), ASKED_JOIN),
    ]


@click.command()
@click.option("--size", type=Size(), default="128M", show_default=True, help="Of the file for rooms of 1, 8 and 32.")
@click.option("--crowd-size", type=Size(), default="64M", show_default=True, help="Of the file for the crowd.")
@click.option("--crowd-receivers", type=click.IntRange(1), default=CROWD, show_default=True)
@click.option("--rate", type=Rate(), default=ROOM_RATE, show_default=True, help="For rooms of 1, 8 and 32.")
@click.option("--crowd-rate", type=Rate(), default=CROWD_RATE, show_default=True)
@click.option("--rooms/--no-rooms", default=True, show_default=True)
@click.option("--crowd/--no-crowd", default=True, show_default=True)
@click.option("--runs", type=click.IntRange(1), default=1, show_default=True)
@click.option("--json", "json_path", type=click.Path(path_type=Path, dir_okay=False), help="Write all figures here.")
def main(
    *,
    size: int,
    crowd_size: int,
    crowd_receivers: int,
    rate: int,
    crowd_rate: int,
    rooms: bool,
    crowd: bool,
    runs: int,
    json_path: Path | None,
) -> None:
    """Cast to rooms of several sizes, and to a crowd that comes at once."""
    if missing := missing_requirement():
        raise click.ClickException(missing)
    console = Console(highlight=False, soft_wrap=True, width=TABLE_WIDTH)
    machine = describe_machine()
    print_machine(console, machine)
    cases: dict[str, list[Outcome]] = {}
    figures: list[Figure] = []
    try:
        if rooms:
            with workspace() as folder:
                source = write_incompressible(folder / "source", size)
                slatecast = Slatecast(folder / "library", ("--rate", str(rate)))
                slatecast.add(source)
                sizes = bench_rooms(slatecast, source, folder, runs=runs)
            cases |= {f"{receivers} at {rate / 1e6:.0f} Mbit/s": mine for receivers, mine in sizes.items()}
            figures += room_figures(sizes)
        if crowd:
            with workspace() as folder:
                source = write_incompressible(folder / "source", crowd_size)
                slatecast = Slatecast(folder / "library", ("--rate", str(crowd_rate)))
                slatecast.add(source)
                outcomes, joins = bench_crowd(
                    slatecast, source, folder, receivers=crowd_receivers, loss=CROWD_LOSS, runs=runs
                )
            cases[f"{crowd_receivers} at {crowd_rate / 1e6:.0f} Mbit/s, {CROWD_LOSS:.0%} loss"] = outcomes
            figures += crowd_figures(outcomes, joins, crowd_receivers)
    except (BenchError, LabError) as error:
        raise click.ClickException(str(error)) from error
    console.print(rooms_table(cases))
    conclude(console, machine, figures, cases, json_path)


if __name__ == "__main__":
    main()
