"""From an image on the disk to a room that is verified, with the page alone."""

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.operator import Operator
from tests.browser.served import ServedConsole

pytestmark = [pytest.mark.system, pytest.mark.slow]

SEATS = ("pc-01", "pc-02", "pc-03")
LAYOUT = {"Lab": SEATS}
SIZE = 16 << 20


def test_a_room_is_reimaged_with_the_page_alone(operator: Operator, console: ServedConsole, tmp_path: Path) -> None:
    page = operator.page
    source = console.source(size=SIZE)
    disks = {seat: console.switch_on(seat, SIZE) for seat in SEATS}

    import_image(operator, source)
    operator.open("/rooms/Lab", "Lab")
    for seat in SEATS:
        operator.sees_seat(seat, "idle")
    operator.button("Start a session").click()
    operator.sees_page("Start a session")
    operator.choose("Image", "lab")
    operator.button("Make the plan").click()
    for seat in SEATS:
        row = page.get_by_role("row", name=re.compile(seat))
        expect(row).to_contain_text("planned")
        expect(row).to_contain_text("is overwritten")
        expect(row).to_contain_text(str(disks[seat]))
    expect(page.get_by_text("To confirm, type Lab and 3")).to_be_visible()

    a_wrong_confirmation_is_refused(operator, disks)
    page.get_by_label("Name of the room").fill("Lab")
    operator.button("Start and overwrite").click()
    operator.sees_page("lab version 1")
    for seat in SEATS:
        expect(page.get_by_role("row", name=re.compile(seat))).to_contain_text("verified")
    expect(page.get_by_text("3 seats verified", exact=True)).to_be_visible()
    assert all(disk.read_bytes() == source.read_bytes() for disk in disks.values())

    the_report_is_downloaded_and_proved(operator, console, tmp_path / "report.json")
    room_and_history_tell_of_it(operator)


def import_image(operator: Operator, source: Path) -> None:
    page = operator.page
    operator.open("/library", "Library")
    page.get_by_label("Path").fill(str(source))
    page.get_by_label("Name of the image").fill("lab")
    operator.button("Import").click()
    expect(page.get_by_text("Import of lab: done")).to_be_visible()
    expect(page.get_by_role("row", name=re.compile("^lab 1 .*signed"))).to_be_visible()


def a_wrong_confirmation_is_refused(operator: Operator, disks: dict[str, Path]) -> None:
    page = operator.page
    untouched = {seat: disk.read_bytes() for seat, disk in disks.items()}
    for room, count, refusal in [("", "", "Type the name"), ("Lab", "2", "3"), ("lab", "3", "Lab")]:
        page.get_by_label("Name of the room").fill(room)
        page.get_by_label("Number of machines").fill(count)
        operator.button("Start and overwrite").click()
        expect(page.locator(".danger-panel").get_by_role("alert")).to_contain_text(refusal)
    assert {seat: disk.read_bytes() for seat, disk in disks.items()} == untouched


def the_report_is_downloaded_and_proved(operator: Operator, console: ServedConsole, report: Path) -> None:
    page = operator.page
    with page.expect_download() as download:
        page.get_by_role("link", name="Download (JSON)").click()
    download.value.save_as(report)
    assert {seat["seat"] for seat in json.loads(report.read_text())["seats"]} == set(SEATS)
    judged = console.start("report", "verify", report)
    assert judged.finish() == 0, judged.output.text
    assert "3 of 3 seats are proved to be verified" in judged.output.text

    with page.context.expect_page() as opened:
        page.get_by_role("link", name="Print").click()
    for seat in SEATS:
        expect(opened.value.locator("body")).to_contain_text(seat)
    opened.value.close()


def room_and_history_tell_of_it(operator: Operator) -> None:
    page = operator.page
    operator.open("/rooms/Lab", "Lab")
    for seat in SEATS:
        operator.sees_seat(seat, "verified")
    operator.open("/history", "History")
    row = page.get_by_role("row", name=re.compile("Lab.*lab version 1"))
    expect(row).to_contain_text("3 of 3 verified")
    row.get_by_role("link", name="Details").click()
    operator.sees_page("lab version 1")
    for seat in SEATS:
        expect(page.get_by_role("row", name=re.compile(seat))).to_contain_text("verified")
