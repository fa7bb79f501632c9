"""A part of the service is gone: the page says so, tells how old it is, and lives again by itself."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.operator import Operator
from tests.browser.served import ServedConsole

pytestmark = [pytest.mark.system, pytest.mark.slow]

LAYOUT = {"Lab": ("pc-01", "pc-02", "pc-03")}
SIZE = 8 << 20

UNREACHABLE = r"ERR_CONNECTION|ERR_CONTENT_LENGTH|ERR_EMPTY_RESPONSE|ERR_SOCKET|WebSocket|status of 401"
"""what a browser itself says of a console that is not there, and then of one that knows its login no more"""


def test_a_silent_broadcaster_is_shown_with_the_age_of_the_picture(operator: Operator, console: ServedConsole) -> None:
    page = operator.page
    console.switch_on("pc-01", SIZE)
    operator.open("/rooms/Lab", "Lab")
    operator.sees_seat("pc-01", "idle")
    page.evaluate("window.isStillThisPage = true")

    console.freeze("broadcaster")
    expect(page.locator(".chip-words")).to_have_text(re.compile(r"^\d+ s old$"))
    expect(page.locator(".banners")).to_contain_text(re.compile(r"The broadcaster is silent\. .* told \d+ s ago"))

    console.crash("broadcaster")
    console.process.errors.until(r"^slatecast: the broadcaster died \(signal 9\)")
    expect(page.locator(".chip-words")).to_have_text("live")
    expect(page.get_by_text("The broadcaster is silent.")).to_be_hidden()
    console.switch_on("pc-02", SIZE)
    for seat in ("pc-01", "pc-02"):
        operator.sees_seat(seat, "idle")
    assert page.evaluate("window.isStillThisPage"), "the page was loaded anew"


def test_a_console_that_is_gone_is_shown_and_comes_back(operator: Operator, console: ServedConsole) -> None:
    page = operator.page
    operator.witness.forgive(UNREACHABLE)
    operator.open("/rooms/Lab", "Lab")
    console.crash("console")
    expect(page.locator("#popup")).to_be_visible()
    expect(page.locator("#popup")).to_contain_text(re.compile(r"The console cannot be reached\. .* \d+ s ago"))
    expect(page).to_have_title(re.compile("Log in"))  # no login outlives the console
    operator.log_in()
    operator.sees_page("Lab")
    console.switch_on("pc-03", SIZE)
    operator.sees_seat("pc-03", "idle")
