import pytest
from nicegui import ui

from tests.dashboards.pages.test_library_page import named
from tests.dashboards.pages.visitor import Visitor, settled, visiting
from tests.dashboards.played_desk import OPERATOR

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]


def size(visitor: Visitor) -> ui.number:
    (field,) = [field for field in visitor.all(ui.number) if field.props.get("label") == "Fits on a disk of (GB)"]
    return field


async def test_an_image_is_made_smaller() -> None:
    async with visiting() as visitor:
        await visitor.open("/library")
        await visitor.fire(named(visitor, "Shrink lab-ubuntu version 2"), "click")
        assert visitor.says("Its disk has 16.8 GB. Empty: as small as it gets, about 4.2 GB.")
        size(visitor).value = 10
        await visitor.press("Make it smaller")
        await settled()
        await visitor.after(1)
        assert visitor.says("Version 3 of lab-ubuntu fits on a disk of 10.0 GB.")
        assert visitor.says("Shrinking of lab-ubuntu version 2: done")


async def test_a_size_that_makes_no_sense_is_refused_in_the_dialog() -> None:
    async with visiting() as visitor:
        await visitor.open("/library")
        await visitor.fire(named(visitor, "Shrink lab-ubuntu version 2"), "click")
        size(visitor).value = 1000
        await visitor.press("Make it smaller")
        assert visitor.says("it fits on that disk as it is")
        assert not visitor.work.all()
        size(visitor).value = None
        assert not visitor.says("it fits on that disk as it is")
        await visitor.press("Make it smaller")
        assert len(visitor.work.all()) == 1


async def test_it_is_for_admins() -> None:
    async with visiting(user=OPERATOR) as visitor:
        await visitor.open("/library")
        assert not visitor.all_buttons("Shrink")
