from collections.abc import Callable

import pytest
from nicegui import ui

from dashboards.user import Role
from tests.dashboards.access.console import PASSWORD
from tests.dashboards.pages.test_library_page import named
from tests.dashboards.pages.test_new_plan import opened
from tests.dashboards.pages.test_plan_review import type_in
from tests.dashboards.pages.visitor import visiting
from tests.dashboards.played_desk import OPERATOR, VIEWER

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]

NEW = "another horse battery"


@pytest.fixture(autouse=True)
def hashed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Passwords are hashed in a thread, which a test would have to wait for."""

    async def at_once(work: Callable[[], object]) -> object:
        return work()

    monkeypatch.setattr("dashboards.access.access.asyncio.to_thread", at_once)


async def test_everybody_changes_their_own_password() -> None:
    async with visiting(user=VIEWER) as visitor:
        await visitor.open("/accounts")
        assert not visitor.says("All accounts")
        paths = opened(visitor)
        type_in(visitor, "Present password", "wrong wrong wrong")
        type_in(visitor, "New password", NEW)
        type_in(visitor, "New password again", "something else")
        await visitor.press("Change the password")
        assert visitor.says("typed in two ways")
        type_in(visitor, "New password again", NEW)
        await visitor.press("Change the password")
        assert visitor.says("name or password is wrong")
        assert not paths
        type_in(visitor, "Present password", PASSWORD)
        await visitor.press("Change the password")
        assert paths == ["/login"]
        assert visitor.access.accounts.check("vera", NEW)


async def test_an_admin_makes_changes_and_removes_accounts() -> None:
    async with visiting() as visitor:
        await visitor.open("/accounts")
        type_in(visitor, "Name", "Nina")
        type_in(visitor, "First password", "short")
        await visitor.press("Make the account")
        assert visitor.says("a password has 10 to 256 characters")
        type_in(visitor, "First password", NEW)
        await visitor.press("Make the account")
        assert visitor.says("nina")
        account = visitor.access.accounts.get("nina")
        assert account is not None
        assert account.role is Role.OPERATOR
        await visitor.fire(named(visitor, "Role of nina"), "click")
        (choice,) = visitor.all(ui.radio)
        choice.value = Role.VIEWER
        await visitor.press("Set the role")
        changed = visitor.access.accounts.get("nina")
        assert changed is not None
        assert changed.role is Role.VIEWER
        await visitor.fire(named(visitor, "Remove nina"), "click")
        type_in(visitor, "Confirmation", "nina")
        (agree,) = [button for button in visitor.all_buttons("Remove") if "aria-label" not in button.props]
        await visitor.fire(agree, "click")
        assert visitor.access.accounts.get("nina") is None


async def test_an_admin_gives_somebody_a_new_password() -> None:
    async with visiting() as visitor:
        await visitor.open("/accounts")
        await visitor.fire(named(visitor, "Password of otto"), "click")
        (*_, field) = [field for field in visitor.all(ui.input) if field.props.get("label") == "New password"]
        field.value = "otto otto otto"
        await visitor.press("Set the password")
        assert visitor.says("too easy to guess")
        field.value = NEW
        await visitor.press("Set the password")
        assert visitor.browser.notify.contains("otto has a new password.")
        assert visitor.access.accounts.check("otto", NEW)


async def test_the_last_admin_stays() -> None:
    async with visiting() as visitor:
        await visitor.open("/accounts")
        await visitor.fire(named(visitor, "Role of ada"), "click")
        (choice,) = visitor.all(ui.radio)
        choice.value = Role.VIEWER
        await visitor.press("Set the role")
        assert visitor.browser.notify.contains("is the last admin: make another admin first")


async def test_who_has_lost_the_role_manages_nobody() -> None:
    async with visiting() as visitor:
        await visitor.open("/accounts")
        visitor.user = OPERATOR
        type_in(visitor, "Name", "nina")
        type_in(visitor, "First password", NEW)
        await visitor.press("Make the account")
        assert visitor.says("otto may not make accounts")
        await visitor.fire(named(visitor, "Remove vera"), "click")
        type_in(visitor, "Confirmation", "vera")
        (agree,) = [button for button in visitor.all_buttons("Remove") if "aria-label" not in button.props]
        await visitor.fire(agree, "click")
        assert visitor.browser.notify.contains("otto may not remove accounts")
        assert visitor.access.accounts.get("vera") is not None
