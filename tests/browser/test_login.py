"""The way in and out, as a new operator finds it."""

import re

import pytest
from playwright.sync_api import Browser, expect

from dashboards.pages.paths import ACCOUNTS, AUDIT, EDIT_ROOMS, HEALTH, HISTORY, LIBRARY, ROOMS, SESSIONS, START
from tests.browser.operator import ADMIN, PASSWORD, Operator
from tests.browser.served import ServedConsole

pytestmark = [pytest.mark.system, pytest.mark.slow]

PAGES = (ROOMS, SESSIONS, START, LIBRARY, HISTORY, AUDIT, HEALTH, EDIT_ROOMS, ACCOUNTS, "/rooms/Lab", "/docs")

UNAUTHORIZED = r"status of 401"


def test_the_printed_word_makes_the_admin_who_gets_out_and_in_again(browser: Browser, console: ServedConsole) -> None:
    with Operator(browser, console.url) as operator:
        page = operator.page
        operator.witness.forgive(UNAUTHORIZED)
        page.goto(ROOMS)
        expect(page).to_have_title(re.compile("First login"))
        operator.make_admin("not-the-right-word")
        expect(page.get_by_role("alert")).to_contain_text("this is not the first-login word")
        operator.make_admin(console.first_word)
        operator.sees_page("Rooms")

        page.get_by_role("button", name=f"User {ADMIN}").click()
        operator.button("Log out").click()
        expect(page).to_have_title(re.compile("Log in"))
        page.go_back()  # what a browser keeps of a page is not a login
        expect(page).to_have_title(re.compile("Log in"))

        operator.log_in(password=f"{PASSWORD}!")
        expect(page.get_by_role("alert")).to_contain_text("wrong")
        operator.log_in()
        operator.sees_page("Rooms")


def test_without_a_login_there_is_the_login_page_only(browser: Browser, console: ServedConsole) -> None:
    with Operator(browser, console.url) as stranger:
        for path in PAGES:
            stranger.page.goto(path)
            expect(stranger.page).to_have_title(re.compile("[Ll]og ?in"))
            expect(stranger.page.locator("body")).not_to_contain_text("slatecast serve is")
        answer = stranger.page.request.get("/api/v1/rooms")
        assert answer.status == 401
        assert stranger.page.request.get("/health").ok


def test_one_comes_where_one_wanted_to_be(browser: Browser, console: ServedConsole) -> None:
    with Operator(browser, console.url) as operator:
        operator.page.goto(SESSIONS)
        operator.log_in()
        operator.sees_page("Sessions")
