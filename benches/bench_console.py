"""What does the console cost, and how soon does a page show what happens?

    python -m benches.bench_console                       60 and 1,000 seats, a page in one browser and in five
    python -m benches.bench_console --seats 60 --pages 5

Question: a broadcaster tells of a running session with so many seats, a full picture each second; what does the console
need of a core, with how many pages of the room open? Metrics: CPU seconds of the console's process for each second
(median of the runs); from the moment at which a picture is published to the first change in a page of a real browser
(Chromium), worst of ten; seconds until the seats of the room's page are there, median of seven loads in a new window;
the JavaScript heap of a page.
Corpus: the played fleet of the console's tests, whose seats change at every step. Browsers run on the same cores with
the lowest priority, and are not counted.
"""

import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import click
import psutil
from argon2 import PasswordHasher
from playwright.async_api import Browser, Page, async_playwright
from rich.console import Console

from benches.figures import Figure, conclude
from benches.machine import describe_machine, print_machine
from broadcaster.broker import EmbeddedBroker
from dashboards.access.access import Access
from dashboards.access.policy import AccessPolicy
from dashboards.rooms.book import RoomBook
from dashboards.user import Role
from protocol.link.mqtt import MqttLink
from protocol.signing import SigningKey
from tests.dashboards.console_process import CONSOLE_SEED, DIRECTOR, HOST
from tests.dashboards.played_fleet import PlayedFleet
from tests.dashboards.speaking_fleet import SpeakingFleet
from tests.end_to_end.room import free_port

CHROMIUM: Final = "/usr/bin/chromium"
NAME, PASSWORD = "bench", "correct horse battery"
ROOM: Final = "Room 1"
SECONDS: Final = 12
"""Of each measurement of CPU: a dozen pictures."""
RUNS: Final = 3
LOADS: Final = 7
LOOKS: Final = 10
CAST_SECONDS: Final = 1200.0
"""[s] that the played session takes, so that every seat changes every few seconds and none ends meanwhile."""

ASKED_SHARE: Final = {60: 15.0, 1000: 60.0}
"""[percent] Of one core, by seats."""
ASKED_FRESH: Final = 1.0
"""[s]"""
ASKED_LOAD: Final = 1.5
"""[s]"""
ASKED_HEAP: Final = 50.0
"""[MiB]"""

CHANGED: Final = """() => new Promise(done => {
    const watched = document.querySelector('[role=group][aria-label^=Seats]');
    new MutationObserver((_, observer) => { observer.disconnect(); done(Date.now() / 1000); })
        .observe(watched, {subtree: true, childList: true, attributes: true, characterData: true});
})"""
HEAP: Final = "() => performance.memory.usedJSHeapSize"


class Stage:
    """A console with its broker and its played broadcaster."""

    def __init__(self, speaking: SpeakingFleet, process: psutil.Process, port: int) -> None:
        self.speaking = speaking
        self.url = f"https://{HOST}:{port}"
        self._process = process

    async def cpu_share(self, seconds: int) -> float:
        """Percent of a core that the console takes while the broadcaster goes on telling."""
        before, begun = sum(self._process.cpu_times()[:2]), time.monotonic()
        await self.play(seconds)
        return 100 * (sum(self._process.cpu_times()[:2]) - before) / (time.monotonic() - begun)

    async def play(self, seconds: int) -> None:
        """One picture a second."""
        due = time.monotonic()
        for _ in range(seconds):
            self.speaking.tell()
            due += 1.0
            await asyncio.sleep(max(0.0, due - time.monotonic()))


@asynccontextmanager
async def stage(seats: int, folder: Path) -> AsyncIterator[Stage]:
    """Everything but browsers, for as long as it is entered."""
    played = PlayedFleet(rooms=1, seats=seats, cast_seconds=CAST_SECONDS)
    RoomBook(folder).save(played.rooms, "bench")
    access = Access(
        folder, AccessPolicy(hosts=frozenset({HOST})), hasher=PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    )
    await access.add_account(NAME, PASSWORD, Role.VIEWER)
    port, broker_port = free_port(), free_port()
    async with (
        EmbeddedBroker(HOST, broker_port) as broker,
        MqttLink(broker.address, "played-broadcaster") as link,
    ):
        speaking = SpeakingFleet(link, played, DIRECTOR, SigningKey(CONSOLE_SEED).public)
        played.start(played.plan(ROOM))
        argv = (sys.executable, "-m", "tests.dashboards.console_process", folder, str(port), str(broker_port))
        process = await asyncio.create_subprocess_exec(*argv, stdout=subprocess.PIPE)
        try:
            assert process.stdout is not None
            await process.stdout.readline()
            standing = Stage(speaking, psutil.Process(process.pid), port)
            await standing.play(5)
            yield standing
        finally:
            process.terminate()
            await process.wait()


async def open_page(browser: Browser, url: str) -> Page:
    """The room's page in a window of its own, logged in."""
    window = await browser.new_context(ignore_https_errors=True, viewport={"width": 1280, "height": 800})
    page = await window.new_page()
    await page.goto(f"{url}/login")
    await page.fill("input[name=name]", NAME)
    await page.fill("input[name=password]", PASSWORD)
    await page.click("form button")
    await load(page, url)
    return page


async def load(page: Page, url: str) -> float:
    """Seconds until the seats are there."""
    begun = time.monotonic()
    await page.goto(f"{url}/rooms/{ROOM.replace(' ', '%20')}")
    await page.wait_for_selector("[data-seat]")
    return time.monotonic() - begun


async def measure(seats: int, page_counts: tuple[int, ...]) -> list[Figure]:
    """All figures of a fleet of so many seats."""
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory() as folder:
        async with stage(seats, Path(folder)) as standing, async_playwright() as playwright:
            browser = await playwright.chromium.launch(
                executable_path=CHROMIUM, args=["--no-sandbox", "--enable-precise-memory-info"]
            )
            for process in psutil.Process().children(recursive=True):
                if "chrom" in process.name():
                    process.nice(19)
            pages: list[Page] = []
            for count in page_counts:
                while len(pages) < count:
                    playing = asyncio.create_task(standing.play(60))
                    pages.append(await open_page(browser, standing.url))
                    playing.cancel()
                shares = [await standing.cpu_share(SECONDS) for _ in range(RUNS)]
                what = f"console with {seats} seats, {count} page{'s' if count > 1 else ''} open, of a core"
                figures.append(Figure(what, "%", statistics.median(shares), ASKED_SHARE.get(seats)))
            page = pages[0]
            figures.append(
                Figure(f"page behind, {seats} seats, worst", "s", await worst_delay(page, standing), ASKED_FRESH)
            )
            heap = await page.evaluate(HEAP) / (1 << 20)
            figures.append(Figure(f"heap of a page, {seats} seats", "MiB", heap, ASKED_HEAP if seats == 60 else None))
            loads = []
            for _ in range(LOADS):
                playing = asyncio.create_task(standing.play(60))
                loads.append(await load(page, standing.url))
                playing.cancel()
            figures.append(
                Figure(
                    f"page loaded, {seats} seats", "s", statistics.median(loads), ASKED_LOAD if seats == 60 else None
                )
            )
            await browser.close()
    return figures


async def worst_delay(page: Page, standing: Stage) -> float:
    """Seconds from a picture that is published to the first change that the page shows."""
    delays: list[float] = []
    for _ in range(LOOKS):
        await asyncio.sleep(1.5)  # what was told before has long been shown
        changed = asyncio.ensure_future(page.evaluate(CHANGED))
        await asyncio.sleep(0.2)
        told = time.time()
        standing.speaking.tell(20.0)  # enough for every seat to have moved
        async with asyncio.timeout(10):
            delays.append(await changed - told)
    return max(delays)


@click.command()
@click.option("--seats", type=int, multiple=True, default=(60, 1000), show_default=True)
@click.option("--pages", type=int, multiple=True, default=(1, 5), show_default=True)
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write the figures there, too.")
def main(seats: tuple[int, ...], pages: tuple[int, ...], json_file: Path | None) -> None:
    """Measure the console."""
    machine = describe_machine()
    console = Console()
    print_machine(console, machine)
    figures = [figure for count in seats for figure in asyncio.run(measure(count, tuple(sorted(pages))))]
    conclude(console, machine, figures, {}, json_file)


if __name__ == "__main__":
    main()
