import pytest
from nicegui import ui

from dashboards.user import Role
from tests.dashboards.pages.test_library_page import named
from tests.dashboards.pages.test_plan_review import type_in
from tests.dashboards.pages.visitor import visiting
from tests.dashboards.played_desk import ADMIN, OPERATOR

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]


async def test_a_token_is_shown_once() -> None:
    async with visiting(user=OPERATOR) as visitor:
        await visitor.open("/accounts")
        type_in(visitor, "Name of a new token", "backup job")
        await visitor.press("Make the token")
        assert visitor.says("a name has 1 to 31 of a-z")
        type_in(visitor, "Name of a new token", "Backup")
        await visitor.press("Make the token")
        (token,) = visitor.access.tokens.of("otto")
        (secret,) = [text for text in visitor.texts() if text.startswith("slatecast_")]
        user = visitor.access.tokens.user_of(secret)
        assert user is not None
        assert (user.name, user.role, token.name) == ("otto/backup", Role.VIEWER, "backup")
        assert token.expires_at is not None
        await visitor.press("I have it")
        assert secret not in visitor.texts()
        await visitor.open("/accounts")
        assert not visitor.says("slatecast_")


async def test_nobody_makes_a_token_beyond_their_role() -> None:
    async with visiting(user=OPERATOR) as visitor:
        await visitor.open("/accounts")
        (role,) = [each for each in visitor.all(ui.select) if each.props.get("label") == "Role"]
        assert set(role.options) == {Role.VIEWER, Role.OPERATOR}


async def test_everybody_revokes_their_own_and_an_admin_those_of_all() -> None:
    async with visiting() as visitor:
        for user in (ADMIN, OPERATOR):
            visitor.access.tokens.make(user, "job", Role.VIEWER)
        await visitor.open("/accounts")
        await visitor.fire(named(visitor, "Revoke token job of otto"), "click")
        (agree,) = [button for button in visitor.all_buttons("Revoke") if "aria-label" not in button.props]
        await visitor.fire(agree, "click")
        assert [token.account for token in visitor.access.tokens.of()] == ["ada"]
        visitor.user = OPERATOR
        await visitor.fire(named(visitor, "Revoke token job of ada"), "click")
        (agree,) = [button for button in visitor.all_buttons("Revoke") if "aria-label" not in button.props]
        await visitor.fire(agree, "click")
        assert visitor.browser.notify.contains("you have no such token")
        assert visitor.access.tokens.of("ada")
        await visitor.open("/accounts")
        assert not visitor.says("job")
