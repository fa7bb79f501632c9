"""A session is started with the keyboard alone."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.operator import Operator
from tests.browser.served import ServedConsole

pytestmark = [pytest.mark.system, pytest.mark.slow]

LAYOUT = {"Lab": ("pc-01", "pc-02")}
SIZE = 8 << 20

MOST_TABS = 60
"""more than there are controls on a page"""


def test_a_session_is_started_without_a_mouse(operator: Operator, console: ServedConsole) -> None:
    page, press = operator.page, operator.page.keyboard.press
    console.add(console.source(), "lab")
    for seat in LAYOUT["Lab"]:
        console.switch_on(seat, SIZE)
    operator.open("/", "Rooms")
    press("?")
    operator.dialog("Shortcuts")
    press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()

    tab_to(page, "Lab")
    press("Enter")
    operator.sees_page("Lab")
    operator.sees_seat("pc-01", "idle")
    tab_to(page, "pc-01, idle")
    press("ArrowRight")
    expect(operator.seat_card("pc-02")).to_be_focused()
    press("Enter")
    expect(operator.dialog("Seat pc-02")).to_contain_text("idle")
    press("Escape")
    expect(operator.seat_card("pc-02")).to_be_focused()

    press("g")
    press("n")
    operator.sees_page("Start a session")
    for field, option in (("Room", "Lab"), ("Image", "lab")):
        tab_to(page, field)
        press("Enter")
        expect(page.get_by_role("option", name=option)).to_be_visible()
        press("ArrowDown")
        press("Enter")
        expect(page.get_by_role("option", name=option)).to_be_hidden()
    expect(operator.button("Make the plan")).to_be_enabled()
    tab_to(page, "Make the plan")
    press("Enter")
    expect(page.get_by_text("To confirm, type Lab and 2")).to_be_visible()
    tab_to(page, "Disk")
    press("Enter")
    tab_to(page, "pc-02")
    press("Enter")
    expect(operator.dialog("Seat pc-02")).to_contain_text("planned")
    press("Escape")
    expect(operator.button("pc-02")).to_be_focused()
    tab_to(page, "Name of the room")
    page.keyboard.type("Lab")
    press("Tab")
    page.keyboard.type("2")
    press("Enter")
    operator.sees_page("lab version 1")
    expect(page.get_by_text("2 seats verified", exact=True)).to_be_visible()


def tab_to(page: Page, name: str) -> None:
    """Press Tab until the control with this name has the focus, as somebody does who sees where it is."""
    passed = []
    for _ in range(MOST_TABS):
        page.keyboard.press("Tab")
        passed.append(
            page.evaluate(
                "(() => { const here = document.activeElement;"
                " return (here.ariaLabel || here.labels?.[0]?.innerText || here.innerText || '').trim(); })()"
            )
        )
        if name in passed[-1].splitlines():
            return
    raise AssertionError(f"{name!r} cannot be reached; on the way: {passed}")
