"""One browser for all of these tests, one service for each module, one fresh browser profile for each test."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, StorageState, expect, sync_playwright

from tests.browser.launch import launched, missing_browser
from tests.browser.operator import Operator
from tests.browser.served import ServedConsole
from tests.end_to_end.room import PATIENCE


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    # Not for the whole session: Playwright keeps a loop in this thread, beside which pytest-asyncio can run none.
    if why := missing_browser():
        pytest.skip(why)
    expect.set_options(timeout=PATIENCE * 1000)
    with sync_playwright() as playwright, launched(playwright) as browser:
        yield browser


@pytest.fixture(scope="module")
def console(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedConsole]:
    """With the rooms that the module names in LAYOUT."""
    with ServedConsole(tmp_path_factory.mktemp("served")) as console:
        console.serve(getattr(request.module, "LAYOUT", None))
        yield console
        console.stop()


@pytest.fixture(scope="module")
def login(browser: Browser, console: ServedConsole) -> StorageState:
    """Of the admin, who was made in a browser."""
    with Operator(browser, console.url) as operator:
        operator.make_admin(console.first_word)
        operator.sees_page("Rooms")
        return operator.login


@pytest.fixture
def operator(browser: Browser, console: ServedConsole, login: StorageState) -> Iterator[Operator]:
    with Operator(browser, console.url, login) as operator:
        yield operator
