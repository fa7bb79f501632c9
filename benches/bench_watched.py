"""Is a cast slower because operators watch it?

    python -m benches.bench_watched                          256 MiB to 4 at 200 Mbit/s; nobody, and five browsers watch
    python -m benches.bench_watched --runs 5 --browsers 1

Question: the same session of a resident service, once with no page open, once with the page of the session open in so
many browsers that read every change. Metric: seconds of the session, as its signed report says, median of the runs,
which take turns; CPU seconds of the console for each second.
Corpus: two disks of incompressible bytes on tmpfs, cast by turns, so that every block is new to every seat. Browsers
run on the same cores with the lowest priority, since an operator's are elsewhere.
"""

import json
import random
import ssl
import statistics
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final
from urllib.request import Request, urlopen

import click
import psutil
from playwright.sync_api import sync_playwright
from rich.console import Console

from benches.figures import Figure, conclude
from benches.machine import describe_machine, print_machine
from tests.browser.launch import launched
from tests.browser.operator import Operator
from tests.browser.served import ServedConsole
from tests.end_to_end.room import wait_until

MIB: Final = 1 << 20
ROOM: Final = "Lab"
SEATS: Final = ("pc-01", "pc-02", "pc-03", "pc-04")
ASKED: Final = 2.0
"""[percent] Of the session, that watching may cost."""
LIMIT: Final = 120.0
"""[s] For one session."""


@contextmanager
def watching(service: ServedConsole, browsers: int, word: str) -> Iterator[list[Operator]]:
    """So many browsers with a page of the room; none when nobody watches."""
    with ExitStack() as stack:
        operators: list[Operator] = []
        if browsers:
            playwright = stack.enter_context(sync_playwright())
            for _ in range(browsers):
                browser = stack.enter_context(launched(playwright))
                operator = stack.enter_context(
                    Operator(browser, service.url, operators[0].login if operators else None)
                )
                if operators:
                    operator.page.goto("/")
                elif (service.state / "first-login").exists():
                    operator.make_admin(word)
                else:
                    operator.page.goto("/")
                    operator.log_in()
                operator.open(f"/rooms/{ROOM}", ROOM)
                operators.append(operator)
            for process in psutil.Process().children(recursive=True):
                if "chrom" in process.name():
                    process.nice(19)
        yield operators


def receiver_count(service: ServedConsole) -> int:
    """How many receivers the broadcaster knows, as the console tells terminals of this machine."""
    handle = json.loads((service.state / "console.json").read_bytes())
    request = Request(f"{service.url}/api/v1/health", headers={"authorization": f"Bearer {handle['token']}"})
    with urlopen(request, context=ssl.create_default_context(cadata=handle["certificate"])) as answer:
        return int((json.load(answer)["host"] or {}).get("receiver_count", 0))


def cast(service: ServedConsole, image: str, rate: str) -> tuple[float, float]:
    """Seconds of one session to all seats, and the share of a core that the console took meanwhile."""
    console = psutil.Process(service.pid_of("console"))
    before = sum(console.cpu_times()[:2])
    argv = ("start", image, "--room", ROOM, "--expect", len(SEATS), "--rate", rate, "--yes", "--watch")
    started = service.start("session", *argv, "--state", service.state)
    if started.finish(LIMIT) != 0:
        raise click.ClickException(started.output.text + started.errors.text)
    spent = sum(console.cpu_times()[:2]) - before
    reports = sorted((service.library / "reports").glob("*.json"), key=lambda path: path.stat().st_mtime)
    seconds = float(json.loads(reports[-1].read_bytes())["seconds"])
    return seconds, 100 * spent / seconds


@click.command()
@click.option("--size", type=int, default=256, show_default=True, help="MiB of each disk.")
@click.option("--rate", default="200M", show_default=True)
@click.option("--browsers", type=int, default=5, show_default=True)
@click.option("--runs", type=int, default=3, show_default=True, help="Of each kind.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write the figures there, too.")
def main(size: int, rate: str, browsers: int, runs: int, json_file: Path | None) -> None:
    """Measure what watching costs."""
    terminal, machine = Console(), describe_machine()
    print_machine(terminal, machine)
    measured: dict[int, list[tuple[float, float]]] = {0: [], browsers: []}
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder, ServedConsole(Path(folder)) as service:
        for number in range(2):
            disk = service.folder / f"disk-{number}.img"
            disk.write_bytes(_noise(size * MIB, number))
            service.add(disk, f"lab-{number}")
        service.serve({ROOM: SEATS})
        word = service.first_word
        for seat in SEATS:
            service.switch_on(seat, size * MIB)
        wait_until(lambda: receiver_count(service) == len(SEATS), "the receivers")
        for turn in range(2 * runs):
            watchers = browsers if turn % 4 in (1, 2) else 0
            with watching(service, watchers, word):
                measured[watchers].append(cast(service, f"lab-{turn % 2}", rate))
                terminal.print(f"{watchers} browsers: {measured[watchers][-1][0]:.2f} s")
        service.stop()
    alone, watched = (statistics.median(seconds for seconds, _ in measured[count]) for count in (0, browsers))
    shares = statistics.median(share for _, share in measured[browsers])
    figures = [
        Figure("session that nobody watches", "s", alone, None),
        Figure(f"session that {browsers} browsers watch", "s", watched, None),
        Figure("slower by", "%", 100 * (watched / alone - 1), ASKED),
        Figure(f"console while {browsers} browsers watch, of a core", "%", shares, None),
    ]
    conclude(terminal, machine, figures, {}, json_file)


def _noise(length: int, seed: int) -> bytes:
    source = random.Random(seed)
    return b"".join(source.randbytes(MIB) for _ in range(length // MIB))


if __name__ == "__main__":
    main()
