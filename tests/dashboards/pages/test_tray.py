import pytest
from nicegui import ui

from dashboards.pages.paths import room_path
from tests.dashboards.pages.visitor import visiting
from tests.dashboards.played_desk import OPERATOR

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]


async def test_a_receiver_is_placed_with_the_keyboard_alone() -> None:
    async with visiting(user=OPERATOR) as visitor:
        await visitor.open(room_path("Room 1"))
        (item,) = visitor.all(ui.element, classes="tray-item")
        assert (item.props["data-machine"], item.props["draggable"]) == ("guest-1", "true")
        await visitor.press("Place")
        (select,) = visitor.all(ui.select)
        assert list(select.options)[:2] == ["04", "18"], "empty seats come first"
        place = [button for button in visitor.all(ui.button) if button.text == "Place"][-1]
        assert not place.enabled
        select.value = "18"
        assert place.enabled
        await visitor.fire(place, "click")
        assert visitor.desk.rooms().rooms[0].seats[17].machine == "guest-1"
        await visitor.ticker.tick()
        assert not visitor.all(ui.element, classes="tray-item")
        assert not visitor.says("Not placed yet")


async def test_cancelling_places_nothing() -> None:
    async with visiting(user=OPERATOR) as visitor:
        await visitor.open(room_path("Room 1"))
        await visitor.press("Place")
        await visitor.press("Cancel")
        assert visitor.desk.rooms().revision == 0
        assert visitor.says("Not placed yet")
