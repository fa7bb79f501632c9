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


def test_a_seat_is_put_back_from_its_backup_with_the_page_alone(operator: Operator, console: ServedConsole) -> None:
    page, press = operator.page, operator.page.keyboard.press
    disk = console.source(size=SIZE)
    before = disk.read_bytes()
    told = f"slatecast.server={console.door} slatecast.seat=pc-01 slatecast.target={disk}"
    seat = OnTerminal(console, f"{told}\n", "--countdown", "0", name="pc-01")
    try:
        seat.until(r"words (\w+ \w+ \w+ \w+)")
        seat.type("y")  # somebody has compared them
        operator.open("/rooms/Lab", "Lab")
        operator.button("Admit pc-01").click()
        seat.until("enrolled")

        operator.sees_seat("pc-01", "idle")
        operator.seat_card("pc-01").press("Enter")
        dialog = operator.dialog("Seat pc-01")
        expect(dialog).to_contain_text("None yet.")
        operator.open("/captures", "Captures")
        operator.button("Back up seats").click()
        operator.button("Back up 1 seat").click()
        expect(page.get_by_role("listitem").filter(has_text="Backup of pc-01 in Lab")).to_contain_text("its backup")
        with disk.open("r+b") as written:
            written.write(b"a student's mischief" * 1000)

        operator.open("/rooms/Lab", "Lab")
        operator.seat_card("pc-01").press("Enter")
        tab_to(page, "Restore seat pc-01 from version 1")
        press("Enter")
        operator.dialog("Restore seat pc-01?")
        press("Enter")
        expect(page.get_by_role("heading", name="Backup of pc-01 in Lab, version 1")).to_be_visible()
        expect(page.get_by_text("To confirm, type Lab and 1")).to_be_visible()
        page.get_by_label("Name of the room").fill("Lab")
        page.get_by_label("Number of machines").fill("1")
        operator.button("Start and overwrite").click()
        seat.until("verified")
    finally:
        seat.kill()
    assert disk.read_bytes() == before
