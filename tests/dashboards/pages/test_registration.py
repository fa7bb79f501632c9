import pytest

from dashboards.pages.registration import PAGES
from dashboards.pages.shell import MENU
from dashboards.user import Role
from tests.dashboards.pages.visitor import visiting
from tests.dashboards.played_desk import VIEWER

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]


async def test_nobody_sees_anything_without_a_login() -> None:
    async with visiting(user=None) as visitor:
        for path in ("/", "/sessions", "/rooms/Room%201"):
            answer = await visitor.browser.http_client.get(path)
            assert (answer.status_code, answer.headers["location"]) == (303, "/login")
            assert "Room 1" not in answer.text


async def test_the_looks_and_the_browser_side_are_served_from_here() -> None:
    async with visiting() as visitor:
        page = (await visitor.browser.http_client.get("/")).text
        for path in ("/console.css", "/console.js"):
            assert f'"{path}"' in page
            assert (await visitor.browser.http_client.get(path)).status_code == 200


async def test_a_page_says_which_role_it_needs() -> None:
    guarded = [page for page in PAGES if page.role > Role.VIEWER and "{" not in page.path]
    async with visiting(user=VIEWER) as visitor:
        for page in guarded:
            await visitor.open(page.path)
            assert visitor.says(f"{page.title} needs the role {page.role.name.lower()}.")


async def test_the_menu_leads_to_pages_and_needs_what_they_need() -> None:
    roles = {page.path: page.role for page in PAGES}
    for entry in MENU:
        if entry.path in roles:
            assert roles[entry.path] == entry.role, entry.path
    assert len({entry.key for entry in MENU}) == len(MENU)
