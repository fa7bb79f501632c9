"""``make fuzz``: atheris on each parser for a while; one line for each, and the input for what it found.

    python -m tests.fuzz.hunt                        every parser, 60 s each
    python -m tests.fuzz.hunt manifest --seconds 600

What is found stays in the folder ``--findings``; it becomes a seed in ``targets`` once it is repaired.
"""

import argparse
import importlib.util
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from tests.fuzz.judging import LONGEST, seconds_for
from tests.fuzz.targets import TARGETS, Target

SECONDS: Final = 60
"""[s] for each parser"""

PROCESSES: Final = 2

GRACE: Final = 120.0
"""[s] beyond its time after which a fuzzer that does not end is a finding: an input hangs."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one parser."""

    target: Target
    problem: str
    """empty if none"""
    runs: str
    slowest: float
    """[s] for the slowest input, without instruments"""

    def __str__(self) -> str:
        said = self.problem or "nothing found"
        return f"{self.target.name:20} {self.runs:>10} runs, slowest {self.slowest * 1000:6.2f} ms  {said}"


def hunt(target: Target, seconds: int, findings: Path) -> Verdict:
    """Fuzz one parser."""
    name = target.name.replace(" ", "-")
    with tempfile.TemporaryDirectory(prefix="slatecast-fuzz-") as folder:
        corpus = Path(folder) / "corpus"
        corpus.mkdir()
        for number, seed in enumerate(target.seeds()):
            (corpus / f"seed-{number}").write_bytes(seed)
        slowest = Path(folder) / "slowest"
        options = [f"-max_total_time={seconds}", f"-artifact_prefix={findings / name}-", "-timeout=5", str(corpus)]
        command = [sys.executable, "-m", "tests.fuzz.drive", target.name, str(slowest), "--", *options]
        try:
            ran = subprocess.run(command, capture_output=True, text=True, timeout=seconds + GRACE, check=False)
        except subprocess.TimeoutExpired:
            return Verdict(target, "an input hangs", "?", seconds)
        runs = re.findall(r"^#(\d+)", ran.stderr, re.M)
        problem = "" if ran.returncode == 0 else _complaint(ran.stdout + ran.stderr)
        took = seconds_for(target, slowest.read_bytes()) if not problem and slowest.exists() else 0.0
        if took >= LONGEST:
            (findings / f"{name}-slow").write_bytes(slowest.read_bytes())
            problem = f"an input takes {took * 1000:.0f} ms: {name}-slow"
    return Verdict(target, problem, runs[-1] if runs else "0", took)


def _complaint(output: str) -> str:
    """The exception and where libFuzzer wrote the input; the last line if there is neither."""
    telling = re.findall(r"^(?:\w+(?:\.\w+)*(?:Error|Exception|Interrupt).*|.*Test unit written to .*)$", output, re.M)
    return "; ".join(telling) or output.strip().splitlines()[-1]


def main() -> int:
    """Print the table; 1 when something was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*", help=f"of: {', '.join(TARGETS)}; all without")
    parser.add_argument("--seconds", type=int, default=SECONDS, help=f"for each parser ({SECONDS})")
    parser.add_argument("--findings", type=Path, default=Path("build/fuzz"), help="folder for inputs (build/fuzz)")
    arguments = parser.parse_args()
    if unknown := set(arguments.targets) - set(TARGETS):
        parser.error(f"no such parser: {', '.join(sorted(unknown))}")
    if importlib.util.find_spec("atheris") is None:
        print("atheris is not installed: pip install -c constraints.txt '.[fuzz]' (Linux, x86-64 has wheels)")
        return 2
    arguments.findings.mkdir(parents=True, exist_ok=True)
    chosen = [target for target in TARGETS.values() if not arguments.targets or target.name in arguments.targets]
    found = 0
    with ThreadPoolExecutor(PROCESSES) as pool:
        for verdict in pool.map(partial(hunt, seconds=arguments.seconds, findings=arguments.findings), chosen):
            print(verdict, flush=True)
            found += bool(verdict.problem)
    print(f"{len(chosen)} parsers, {found} with a finding")
    return int(found > 0)


if __name__ == "__main__":
    sys.exit(main())
