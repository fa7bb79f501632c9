"""From a machine that has booted the environment to an image in the library, with the page and the keyboard alone."""

import filecmp
import re

import pytest
from playwright.sync_api import expect

from tests.browser.operator import Operator
from tests.browser.served import ServedConsole
from tests.browser.test_keyboard import tab_to
from tests.end_to_end.terminal_seat import OnTerminal

pytestmark = [pytest.mark.system, pytest.mark.slow]

LAYOUT = {"Lab": ("pc-01",)}
SIZE = 16 << 20


def test_a_machine_is_captured_with_the_page_alone(operator: Operator, console: ServedConsole) -> None:
    page, press = operator.page, operator.page.keyboard.press
    disk = console.source(size=SIZE)
    told = f"slatecast.server={console.door} slatecast.seat=reference slatecast.target={disk}"
    seat = OnTerminal(console, f"{told}\n")
    try:
        words = seat.until(r"words (\w+ \w+ \w+ \w+)")[1]
        seat.type("y")  # somebody has compared them
        operator.open("/rooms/Lab", "Lab")
        expect(page.get_by_text(words)).to_be_visible()
        operator.button("Admit reference").click()
        seat.until("enrolled")

        operator.open("/captures", "Captures")
        expect(page.get_by_text("No disk is on its way into the library.")).to_be_visible()
        tab_to(page, "Capture a machine")
        press("Enter")
        dialog = operator.dialog("Capture a machine")
        tab_to(page, "Machine")
        page.keyboard.type("refer")
        expect(page.get_by_role("option", name="reference")).to_be_visible()
        press("ArrowDown")
        press("Enter")
        tab_to(page, "Name of the image")
        page.keyboard.type("lab")
        expect(dialog).to_contain_text("It becomes the first version of lab.")
        press("Enter")
        expect(dialog).to_be_hidden()

        row = page.get_by_role("listitem").filter(has_text="reference into lab")
        expect(row).to_contain_text("in the library")
        expect(row).to_contain_text("It is version 1 of lab.")
        expect(row).to_contain_text("ordered by ada")
        seat.until("capture done")
    finally:
        seat.kill()
    operator.open("/library", "Library")
    expect(page.get_by_role("row", name=re.compile("^lab 1 .*signed"))).to_be_visible()
    copy = console.folder / "copy"
    exported = console.start("image", "export", "lab", copy, "--library", console.library)
    assert exported.finish() == 0, exported.errors.text
    assert filecmp.cmp(disk, copy, shallow=False)
