"""``make mutants``: shows that the simulator finds every planted bug, and which seed does."""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.mutants.catalogue import MUTANTS, Mutant
from tests.mutants.copies import make_copy

MOST_SEEDS = 1000

PROCESSES = 2

LONGEST_HUNT = 600.0
"""[s] for one mutant."""


@dataclass(frozen=True, slots=True)
class Catch:
    """What became of one mutant."""

    mutant: Mutant
    seed: int | None
    """that found it; None when it survived"""
    problem: str
    seconds: float

    def __str__(self) -> str:
        seed = "SURVIVED" if self.seed is None else str(self.seed)
        return f"{self.mutant.name:34} {seed:>8} {self.seconds:6.1f} s  {self.mutant.breaks}: {self.problem[:90]}"


def hunt(mutant: Mutant, seeds: int = MOST_SEEDS) -> Catch:
    """Play rooms with this bug until one of them shows it."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="slatecast-mutant-") as folder:
        make_copy(mutant, Path(folder))
        seed, problem = play(Path(folder), seeds, mutant.kernel)
    return Catch(mutant, seed, problem, time.monotonic() - began)


def play(folder: Path, seeds: int, kernel: str = "") -> tuple[int | None, str]:
    """The first seed that shows a problem in this copy, and the problem; None if there is none."""
    command = [sys.executable, "-m", "tests.mutants.play", "0", str(seeds), *([kernel] if kernel else [])]
    environment = os.environ | {"PYTHONPATH": str(folder)}
    played = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=LONGEST_HUNT, check=False
    )
    if played.returncode:
        raise RuntimeError(f"rooms cannot be played in this copy at all: {played.stderr.strip()[-2000:]}")
    seed, problem = json.loads(played.stdout.splitlines()[-1])
    return seed, problem or ""


def hunt_all(mutants: Sequence[Mutant], seeds: int = MOST_SEEDS) -> Iterator[Catch]:
    """Hunt for several at a time; gives them in the order of the catalogue."""
    with ThreadPoolExecutor(PROCESSES) as pool:
        yield from pool.map(partial(hunt, seeds=seeds), mutants)


def main() -> int:
    """Print the table; 1 when a mutant survived."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="mutants to hunt; all without")
    parser.add_argument("--seeds", type=int, default=MOST_SEEDS, help=f"rooms to play at most ({MOST_SEEDS})")
    arguments = parser.parse_args()
    mutants = [mutant for mutant in MUTANTS if not arguments.names or mutant.name in arguments.names]
    began = time.monotonic()
    catches = []
    for catch in hunt_all(mutants, arguments.seeds):
        catches.append(catch)
        print(catch, flush=True)
    found = sum(catch.seed is not None for catch in catches)
    print(f"{found} of {len(catches)} found, {time.monotonic() - began:.0f} s")
    return int(found < len(catches))


if __name__ == "__main__":
    sys.exit(main())
