import pytest
from nicegui import ui

from tests.dashboards.pages.visitor import visiting
from tests.dashboards.played_desk import PlayedDesk
from tests.dashboards.played_fleet import HOSTILE_ROOM, PlayedFleet

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]


async def test_every_room_has_its_card() -> None:
    desk = PlayedDesk(PlayedFleet(rooms=2, hostile=True))
    desk.played.start(desk.played.plan("Room 1"))
    desk.advance(60)
    async with visiting(desk) as visitor:
        await visitor.open("/")
        cards = visitor.all(ui.link, classes="glance")
        assert [card.props["href"] for card in cards][:2] == ["/rooms/Room%201", "/rooms/Room%202"]
        assert HOSTILE_ROOM in visitor.texts()
        assert visitor.says("need a look")
        assert visitor.says("running")
        await visitor.after(200)
        assert visitor.says("8 verified")


async def test_no_room_yet() -> None:
    desk = PlayedDesk(PlayedFleet(rooms=0))
    async with visiting(desk) as visitor:
        await visitor.open("/")
        assert visitor.says("There is no room yet")
