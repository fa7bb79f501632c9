"""What does reimaging cost when almost everything is on the disks already?

    python -m benches.bench_delta                                 512 MiB to 4 at 200 Mbit/s, 2 % of the chunks changed
    python -m benches.bench_delta --size 2G --changed 5           a larger image, more changes
    python -m benches.bench_delta --runs 3                        medians of three runs

Question: with version 1 on every disk, how much does a cast of version 2 send, and how much sooner is it done than a
cast that sends everything (``receive --full``)? What does a cast of an image send that is there already? And who waits
for whom when one disk among three prepared ones is blank? Metrics, medians of the runs: bytes to the group and of the
catch-up lane against the stored bytes of the changed chunks; session seconds and whole command; the time until the
prepared seats and the blank one are verified.
Corpus: incompressible bytes of a fixed seed on tmpfs; version 2 replaces whole chunks at seeded places. Every file is
compared with version 2 at the end. The scan reads tmpfs, so it costs hashing and no disk.
"""

import random
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import click
from rich.console import Console
from rich.table import Table

from benches.contest import Outcome, run
from benches.corpus import workspace, write_incompressible
from benches.figures import (
    TABLE_WIDTH,
    Figure,
    catch_up_bytes,
    conclude,
    median_of,
    ratio,
    seat_seconds,
    session_seconds,
    whole_seconds,
    why_short,
)
from benches.machine import describe_machine, print_machine
from benches.parameters import Size
from benches.slatecast_contender import PROGRAM, Slatecast
from benches.usage import BenchError
from protocol.manifest import CHUNK_SIZE
from slatecast.cli.parameters import Rate
from tests.lab import LabError, missing_requirement

RATE: Final = "200M"
RECEIVERS: Final = 4
BLANK: Final = f"receiver{RECEIVERS}"
"""The seat whose disk is blank in the mixed room."""
FULL: Final = "--full"
ASKED_WIRE: Final = 1.1
"""[ratio] Of the bytes sent to the stored bytes of the changed chunks."""
TIME_LIMIT: Final = 200.0

DELTA: Final = "version 1 on all disks"
UNCHANGED: Final = "version 2 on all disks"
MIXED: Final = "version 1 on three disks, one blank"
EVERYTHING: Final = "version 1 on all disks, --full"


@dataclass(slots=True)
class Reimaging(Slatecast):
    """slatecast in a room whose disks hold something."""

    disk: Path | None = None
    """what the disks hold"""
    blank: tuple[str, ...] = ()
    """hosts whose disks hold nothing"""

    def prepare(self, target: Path, source: Path) -> None:
        """Put ``disk`` there, unless this host's is to be blank."""
        if self.disk is None or target.parent.name in self.blank:
            Slatecast.prepare(self, target, source)
        else:
            self.forget_casts()
            shutil.copyfile(self.disk, target)


@dataclass(slots=True)
class Runs:
    """All runs of one case."""

    outcomes: list[Outcome] = field(default_factory=list)

    @property
    def session(self) -> float | None:
        """Seconds of the session."""
        return median_of(session_seconds(one) for one in self.outcomes)

    @property
    def whole(self) -> float | None:
        """Seconds of the whole command."""
        return median_of(whole_seconds(one) for one in self.outcomes)

    @property
    def wire(self) -> float | None:
        """Bytes to the group and from the catch-up lane."""
        return median_of(
            one.report["bytes_on_wire"] + catch_up_bytes(one) if one.verified else None for one in self.outcomes
        )

    @property
    def why_short(self) -> str:
        """What went wrong in the first run in which anything did."""
        return next((words for words in map(why_short, self.outcomes) if words), "")

    def seats(self, names: list[str]) -> float | None:
        """Seconds until the last of these seats is verified."""
        return median_of(seat_seconds(one, names) for one in self.outcomes)


def write_version_2(version_1: Path, path: Path, *, changed_ratio: float, seed: int = 4) -> int:
    """A copy with so many of its chunks replaced, at least one; returns how many."""
    source = random.Random(seed)
    shutil.copyfile(version_1, path)
    chunks = max(1, path.stat().st_size // CHUNK_SIZE)
    changed = source.sample(range(chunks), max(1, round(chunks * changed_ratio)))
    with path.open("r+b") as file:
        for chunk in changed:
            file.seek(chunk * CHUNK_SIZE)
            file.write(source.randbytes(min(CHUNK_SIZE, path.stat().st_size - chunk * CHUNK_SIZE)))
    return len(changed)


def bench(folder: Path, sources: tuple[Path, Path], *, rate: int, runs: int) -> tuple[dict[str, Runs], int]:
    """The runs by case, the cases in turns; and the stored bytes of the image."""
    version_1, version_2 = sources
    options = ("--rate", str(rate))
    library = folder / "library"
    Slatecast(library).add(version_1)
    Slatecast(library).add(version_2)
    contenders = {
        DELTA: Reimaging(library, options, disk=version_1),
        UNCHANGED: Reimaging(library, options, disk=version_2),
        MIXED: Reimaging(library, options, disk=version_1, blank=(BLANK,)),
        EVERYTHING: Reimaging(library, options, (FULL,) if _has_full() else (), disk=version_1),
    }
    cases = {case: Runs() for case in contenders}
    for _ in range(runs):
        for case, contender in contenders.items():
            outcome = run(contender, version_2, folder, receivers=RECEIVERS, time_limit=TIME_LIMIT)
            cases[case].outcomes.append(outcome)
    return cases, int(Slatecast(library).show()["stored_bytes"])


def _has_full() -> bool:
    """Whether this slatecast scans at all: before it did, every cast was a full one and there was no option."""
    asked = subprocess.run([*PROGRAM, "receive", "--help"], capture_output=True, text=True, check=False)
    return FULL in asked.stdout.split()


def cases_table(cases: dict[str, Runs]) -> Table:
    """A row for each case."""
    table = Table("disks before", "sent", "session", "whole", "prepared seats done", "blank seat done", "verified")
    prepared = [f"receiver{number}" for number in range(1, RECEIVERS)]
    for case, runs in cases.items():
        is_mixed = case == MIXED
        table.add_row(
            case,
            _or_dash(ratio(runs.wire, 2**20), "{:.2f} MiB"),
            _or_dash(runs.session, "{:.2f} s"),
            _or_dash(runs.whole, "{:.2f} s"),
            _or_dash(runs.seats(prepared if is_mixed else [*prepared, BLANK]), "{:.2f} s"),
            _or_dash(runs.seats([BLANK]) if is_mixed else None, "{:.2f} s"),
            "yes" if all(one.verified for one in runs.outcomes) else f"NO: {runs.why_short}",
        )
    return table


def figures_of(cases: dict[str, Runs], changed_bytes: float) -> list[Figure]:
    """What was measured against what was asked, or against each other where nothing was."""
    delta, mixed, full = cases[DELTA], cases[MIXED], cases[EVERYTHING]
    prepared = mixed.seats([f"receiver{number}" for number in range(1, RECEIVERS)])
    stored = f"{changed_bytes / 2**20:.2f} MiB of chunks changed"
    return [
        Figure("bytes sent, to the stored bytes changed", "x", ratio(delta.wire, changed_bytes), ASKED_WIRE, stored),
        Figure("bytes sent for an unchanged image", "MiB", ratio(cases[UNCHANGED].wire, 2**20), None),
        Figure("session, to that with --full", "x", ratio(delta.session, full.session), None, full.why_short),
        Figure("whole command, to that with --full", "x", ratio(delta.whole, full.whole), None, full.why_short),
        Figure("prepared seats' time with a blank one, to without", "x", ratio(prepared, delta.session), None),
        Figure("blank seat's time, to a whole cast's", "x", ratio(mixed.seats([BLANK]), full.session), None),
    ]


def _or_dash(value: float | None, form: str) -> str:
    return "-" if value is None else form.format(value)


@click.command()
@click.option("--size", type=Size(), default="512M", show_default=True, help="Of the incompressible file.")
@click.option("--changed", type=click.FloatRange(0, 100), default=2.0, show_default=True, help="Percent of the chunks.")
@click.option("--rate", type=Rate(), default=RATE, show_default=True, help="Bits per second.")
@click.option("--runs", type=click.IntRange(1), default=1, show_default=True)
@click.option("--json", "json_path", type=click.Path(path_type=Path, dir_okay=False), help="Write all figures here.")
def main(*, size: int, changed: float, rate: int, runs: int, json_path: Path | None) -> None:
    """Reimage disks that hold almost the same, and print what was sent."""
    if missing := missing_requirement():
        raise click.ClickException(missing)
    console = Console(highlight=False, soft_wrap=True, width=TABLE_WIDTH)
    machine = describe_machine()
    print_machine(console, machine)
    with workspace() as folder:
        version_1 = write_incompressible(folder / "version-1", size)
        version_2 = folder / "version-2"
        changed_count = write_version_2(version_1, version_2, changed_ratio=changed / 100)
        try:
            cases, stored_bytes = bench(folder, (version_1, version_2), rate=rate, runs=runs)
        except (BenchError, LabError) as error:
            raise click.ClickException(str(error)) from error
    table = cases_table(cases)
    table.title = f"{size / 2**20:.0f} MiB to {RECEIVERS} receivers at {rate / 1e6:.0f} Mbit/s, {runs} runs"
    console.print(table)
    # No chunk of this corpus is zero or can be packed, so all are stored alike.
    changed_bytes = stored_bytes * min(1.0, changed_count * CHUNK_SIZE / size)
    outcomes = {case: one.outcomes for case, one in cases.items()}
    conclude(console, machine, figures_of(cases, changed_bytes), outcomes, json_path)


if __name__ == "__main__":
    main()
