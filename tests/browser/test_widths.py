"""Every page has room on a phone, and none scrolls sideways."""

import pytest
from playwright.sync_api import Browser, StorageState, expect

from tests.browser.operator import PHONE, Operator
from tests.browser.served import ServedConsole

pytestmark = [pytest.mark.system, pytest.mark.slow]

LAYOUT = {"Lab with a name that is rather long": tuple(f"pc-{number:02}" for number in range(1, 31))}
TABLET = (820, 1180)

PAGES = (
    *("/", "/rooms/Lab%20with%20a%20name%20that%20is%20rather%20long", "/sessions", "/start", "/library"),
    *("/captures", "/history", "/audit", "/health-page", "/edit-rooms", "/accounts"),
)


@pytest.mark.parametrize("size", [PHONE, TABLET], ids=["phone", "tablet"])
def test_no_page_is_wider_than_the_screen(
    size: tuple[int, int], browser: Browser, console: ServedConsole, login: StorageState
) -> None:
    width, _ = size
    with Operator(browser, console.url, login, size) as operator:
        too_wide = {}
        for path in PAGES:
            operator.page.goto(path)
            expect(operator.page.get_by_role("heading", level=1)).to_be_visible()
            expect(operator.page.locator(".top-bar .chip")).to_have_accessible_name("Connection: live")
            taken = operator.width_taken()
            if taken > width:
                too_wide[path] = taken
        assert not too_wide
