import pytest
from nicegui import ui

from dashboards.pages.paths import start_path
from tests.dashboards.pages.visitor import visiting
from tests.dashboards.played_desk import OPERATOR, VIEWER

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]


async def test_begins_with_a_new_plan_or_with_the_one_that_the_address_names() -> None:
    async with visiting(user=OPERATOR) as visitor:
        await visitor.open(start_path())
        assert visitor.says("A new plan")
        tsi = visitor.desk.played.plan("Room 1")
        await visitor.after(5)
        await visitor.open(start_path(tsi=tsi))
        assert visitor.says("lab-ubuntu version 2 for Room 1")
        assert not visitor.says("A new plan")


async def test_who_may_only_look_starts_nothing() -> None:
    async with visiting(user=VIEWER) as visitor:
        await visitor.open(start_path())
        assert visitor.says("Start a session needs the role operator.")
        assert not visitor.all(ui.select)
