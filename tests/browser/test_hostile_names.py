"""Receivers whose names want to be more than names."""

import pytest
from playwright.sync_api import expect

from dashboards.pages.paths import AUDIT, HEALTH, HISTORY, LIBRARY, SESSIONS
from tests.browser.operator import Operator
from tests.browser.served import ServedConsole

pytestmark = [pytest.mark.system, pytest.mark.slow]

LAYOUT = {"Lab": ("pc-01",)}

NAMES = (
    "<img src=//evil.example/x onerror=document.title='had'>",
    "<script>document.title='had'</script>",
    "{{constructor.constructor(`document.title='had'`)()}}",
    '" onmouseover="document.title=1',
)


def test_names_of_receivers_are_shown_as_they_are_and_do_nothing(operator: Operator, console: ServedConsole) -> None:
    page = operator.page
    for number, name in enumerate(NAMES):
        console.switch_on(f"<b>{number}</b>", 8 << 20, name=name)
    operator.open("/rooms/Lab", "Lab")
    tray = page.get_by_role("list", name="Receivers without a seat")
    for name in NAMES:
        expect(tray.get_by_text(name, exact=True)).to_be_visible()
    page.get_by_role("button", name=f"Place {NAMES[0]}").click()
    question = page.get_by_role("dialog", name="Choose a seat")
    expect(question).to_contain_text(NAMES[0])
    question.get_by_role("button", name="Cancel").click()
    for path in (SESSIONS, LIBRARY, HISTORY, AUDIT, HEALTH, "/rooms/Lab"):
        page.goto(path)
        expect(page.locator(".chip-words")).to_have_text("live")
        assert page.title().endswith("slatecast")
    assert page.locator("img, script:not([src]):not([nonce]), b").count() == 0
