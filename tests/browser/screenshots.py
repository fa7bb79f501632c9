"""Pictures of every view of the console: python -m tests.browser.screenshots [FOLDER], into docs/images.

All are of a played fleet that stands still, so that they differ only where a page has changed; the login is of a real
service, since the played one has none.
"""

import io
import json
import socket
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from broadcaster.broker import LOOPBACK
from tests.browser.launch import launched
from tests.browser.operator import DESKTOP, PHONE
from tests.browser.served import ServedConsole
from tests.end_to_end.room import ROOT, Room, free_port, wait_until

FOLDER: Final = ROOT / "docs" / "images"
COLOURS: Final = 192
"""that are kept: text and surfaces need no more, and a picture has a third of the bytes"""

MOST_BYTES: Final = 150_000
"""of one picture: a repository keeps each of them for ever"""

ZONE: Final = "Europe/Berlin"
LANGUAGE: Final = "en-GB"


@dataclass(frozen=True)
class View:
    """One picture."""

    name: str
    path: str
    size: tuple[int, int] = DESKTOP
    is_dark: bool = False


VIEWS: Final = (
    View("rooms", "/"),
    View("room", "/rooms/Room%201"),
    View("room-dark", "/rooms/Room%201", is_dark=True),
    View("room-phone", "/rooms/Room%201", PHONE),
    View("session", "{session}"),
    View("session-dark", "{session}", is_dark=True),
    View("start", "/start?room=Room%204"),
    View("plan", "{plan}"),
    View("library", "/library"),
    View("captures", "/captures"),
    View("history", "/history"),
    View("audit", "/audit"),
    View("health", "/health-page"),
    View("edit-rooms", "/edit-rooms"),
    View("accounts", "/accounts"),
)


def main(folder: Path) -> None:
    """Make all of them."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as playwright, launched(playwright) as browser:
        with Room(Path(scratch)) as room:
            port = free_port()
            staged = room.start_python("-m", "tests.browser.staged_console", port)
            paths = json.loads(staged.output.until("^{.*}$")[0])
            wait_until(lambda: is_listening(port), "the staged console")
            for view in VIEWS:
                save(take(browser, view, f"http://{LOOPBACK}:{port}{view.path.format(**paths)}"), view.name, folder)
        with ServedConsole(Path(scratch)) as console:
            console.serve()
            save(take(browser, View("login", "/"), console.url), "login", folder)


def is_listening(port: int) -> bool:
    """Whether somebody answers there."""
    with socket.socket() as caller:
        return caller.connect_ex((LOOPBACK, port)) == 0


def take(browser: Browser, view: View, url: str) -> bytes:
    """One picture, as the browser makes it."""
    width, height = view.size
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if view.is_dark else "light",
        reduced_motion="reduce",
        ignore_https_errors=True,
        timezone_id=ZONE,
        locale=LANGUAGE,
    )
    page = context.new_page()
    page.goto(url)
    settle(page)
    picture = page.screenshot(animations="disabled", caret="hide", scale="css")
    context.close()
    return picture


def settle(page: Page) -> None:
    """Wait until all is there: the fonts of the icons, and two looks of the page at the fleet."""
    page.get_by_role("heading", level=1).wait_for()
    page.evaluate("document.fonts.ready.then(() => true)")
    page.wait_for_load_state("networkidle")
    page.evaluate("new Promise(resolve => setTimeout(resolve, 2500))")  # charts are drawn in steps


def save(picture: bytes, name: str, folder: Path) -> None:
    """Keep a picture, with few colours."""
    path = folder / f"console-{name}.png"
    with Image.open(io.BytesIO(picture)) as image:
        image.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)
    assert path.stat().st_size <= MOST_BYTES, f"{path} has {path.stat().st_size} bytes"
    print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
