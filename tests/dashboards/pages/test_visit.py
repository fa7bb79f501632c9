import sys

import pytest

from dashboards.pages.paths import LOGIN
from dashboards.pages.visit import Place, Visit
from dashboards.user import Role, User
from protocol.errors import RefusedError
from tests.dashboards.pages.visitor import Visitor, visiting
from tests.dashboards.played_desk import OPERATOR, VIEWER

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]


async def visit_of(visitor: Visitor) -> Visit:
    await visitor.open("/?image=a%26b")
    client = visitor.browser._client
    with client:
        place = Place(visitor.desk, visitor.access, visitor.work, lambda _: visitor.user)
        return Visit(place, visitor.ticker, client.request, OPERATOR)


async def test_acts_as_who_the_user_is_now() -> None:
    async with visiting(user=OPERATOR) as visitor:
        visit = await visit_of(visitor)
        acted: list[User] = []

        async def note(user: User) -> int:
            acted.append(user)
            return 7

        assert await visit.act(note, "Done.") == 7
        assert visitor.browser.notify.contains("Done.")
        visitor.user = VIEWER
        await visit.act(acted.append)
        assert acted == [OPERATOR, VIEWER]


async def test_who_has_logged_out_acts_no_more() -> None:
    async with visiting(user=OPERATOR) as visitor:
        visit = await visit_of(visitor)
        visitor.user = None
        opened: list[str] = []
        visitor.browser.navigate.to = opened.append  # type: ignore[assignment,method-assign]
        assert await visit.act(lambda user: user.name) is None
        assert opened == [LOGIN]


async def test_a_refusal_is_told_as_text() -> None:
    async with visiting(user=OPERATOR) as visitor:
        visit = await visit_of(visitor)

        def refuse(_: User) -> int:
            raise RefusedError("no <b>seat</b>\u202e: take another")

        assert await visit.act(refuse, "Done.") is None
        assert visitor.browser.notify.messages == ["no <b>seat</b>: take another"]


async def test_a_refusal_is_shown_where_it_arises() -> None:
    async with visiting(user=OPERATOR) as visitor:
        visit = await visit_of(visitor)
        shown: list[str] = []

        def refuse(_: User) -> int:
            raise RefusedError("no seat: take another")

        assert await visit.act(refuse, refused=shown.append) is None
        assert shown == ["no seat: take another"]
        assert not visitor.browser.notify.messages


async def test_knows_its_address_and_what_to_offer() -> None:
    async with visiting(user=OPERATOR) as visitor:
        visit = await visit_of(visitor)
        assert visit.query("image") == "a&b"
        assert visit.query("other") == ""
        assert (visit.may(Role.VIEWER), visit.may(Role.OPERATOR), visit.may(Role.ADMIN)) == (True, True, False)


async def test_a_visit_leaves_the_modules_as_they_were() -> None:
    before = sys.modules["dashboards"]
    async with visiting() as visitor:
        await visitor.open("/")
    assert sys.modules["dashboards"] is before
