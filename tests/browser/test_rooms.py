"""Rooms are made in the page, and machines are placed on their seats."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.operator import Operator
from tests.browser.served import ServedConsole

pytestmark = [pytest.mark.system, pytest.mark.slow]

SIZE = 8 << 20

CSV = """room,seat,row,column,machine
Attic,attic-1,1,1,pc-01
Attic,attic-2,1,2,
"""


def test_a_room_is_made_and_machines_are_placed_by_menu_and_by_dragging(
    operator: Operator, console: ServedConsole
) -> None:
    page = operator.page
    for machine in ("pc-01", "pc-02"):
        console.switch_on(machine, SIZE)
    operator.open("/edit-rooms", "Edit rooms")
    operator.button("Add a room").click()
    question = operator.dialog("Add a room")
    question.get_by_label("Name").fill("Lab")
    question.get_by_label("Rows").fill("2")
    question.get_by_label("Columns").fill("2")
    question.get_by_label("Before each number").fill("seat-")
    expect(question.get_by_text("4 seats: ")).to_be_visible()
    operator.button("Add").click()
    expect(page.get_by_text("not saved yet")).to_be_visible()
    operator.button("Save").click()
    expect(page.get_by_text(re.compile(r"^Revision \d+, 1 room$"))).to_be_visible()

    operator.open("/rooms/Lab", "Lab")
    seats = page.locator("[data-seat]")
    expect(seats).to_have_count(4)
    first, second = (seats.nth(index).get_attribute("data-seat") or "" for index in range(2))
    operator.sees_seat(first, "no machine")

    operator.button("Place pc-01").click()
    question = operator.dialog("Choose a seat")
    question.get_by_role("combobox", name="Seat").click()
    page.get_by_role("option", name=f"{first} (empty)").click()
    question.get_by_role("button", name="Place").click()
    operator.sees_seat(first, "idle")

    page.locator("[data-machine=pc-02]").drag_to(operator.seat_card(second))
    operator.sees_seat(second, "idle")
    expect(page.get_by_text("Not placed yet")).to_be_hidden()
    assert "pc-02" in (console.state / "rooms.toml").read_text()


def test_rooms_are_read_from_a_csv_file(operator: Operator, console: ServedConsole, tmp_path: Path) -> None:
    page = operator.page
    file = tmp_path / "rooms.csv"
    operator.open("/edit-rooms", "Edit rooms")
    chooser = page.locator("input[type=file]")

    file.write_text(CSV.replace("attic-2", "attic-1"))
    chooser.set_input_files(file)
    expect(page.get_by_text("attic-1", exact=False).first).to_be_visible()
    expect(page.get_by_role("alert").filter(has_text="attic-1").first).to_be_visible()

    file.write_text(CSV)
    chooser.set_input_files(file)
    operator.is_told("1 room with 2 seats read from rooms.csv")
    expect(page.get_by_role("gridcell", name="attic-2")).to_be_visible()
    operator.button("Save").click()
    expect(page.get_by_text("not saved yet")).to_be_hidden()
    operator.open("/rooms/Attic", "Attic")
    expect(page.locator("[data-seat]")).to_have_count(2)
    operator.sees_seat("attic-2", "no machine")
