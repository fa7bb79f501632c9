"""Plays rooms one after the other until one shows a problem; run in a copy: ``python -m tests.mutants.play 0 1000``.

Prints one line of JSON: the seed and the problem, or null for both.
"""

import json
import logging
import resource
import signal
import sys
from pathlib import Path
from types import FrameType

import protocol
from protocol.seal import use_kernel
from tests.simulator.scenario import run_seed

SECONDS_PER_ROOM = 60
"""A room takes a tenth of a second; a mutant may turn it into an endless loop."""

MEMORY_BYTES = 3 << 30
"""... or into one that eats all memory."""


def first_problem(first_seed: int, count: int) -> tuple[int, str] | None:
    """The first seed of ``count`` whose room shows a problem, and the problem in one line."""
    for seed in range(first_seed, first_seed + count):
        signal.alarm(SECONDS_PER_ROOM)
        try:
            problems = run_seed(seed).problems
        except Exception as error:  # a mutant may break anything in any way, and that finds it
            problems = [f"{type(error).__name__}: {error}"]
        if problems:
            return seed, problems[0]
    return None


def _give_up(_number: int, _frame: FrameType | None) -> None:
    raise TimeoutError(f"the room did not end within {SECONDS_PER_ROOM} s")


if __name__ == "__main__":
    if not Path(protocol.__file__).is_relative_to(Path.cwd()):
        raise SystemExit(f"this would play {Path(protocol.__file__).parent}, not the copy in {Path.cwd()}")
    logging.disable()
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES if most < 0 else min(MEMORY_BYTES, most), most))
    signal.signal(signal.SIGALRM, _give_up)
    if len(sys.argv) > 3:
        use_kernel(sys.argv[3])
    print(json.dumps(first_problem(int(sys.argv[1]), int(sys.argv[2])) or [None, None]))
