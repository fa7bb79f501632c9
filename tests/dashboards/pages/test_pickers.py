import pytest
from nicegui import ElementFilter, ui

from dashboards.pages.paths import room_path, session_path
from tests.dashboards.pages.visitor import Visitor, visiting

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]


def links(visitor: Visitor) -> list[str]:
    with visitor.browser:
        return [item.props["href"] for item in ElementFilter(kind=ui.item) if "menu-item" not in item.classes]


async def test_names_where_it_is_and_lists_where_one_can_go() -> None:
    async with visiting() as visitor:
        tsi = visitor.desk.played.plan("Room 1")
        visitor.desk.advance(1)
        await visitor.open(room_path("Room 1"))
        (button,) = visitor.all(ui.button, classes="picker")
        assert button.text == "Room 1"
        assert links(visitor) == [room_path("Room 1"), session_path(tsi)]
        visitor.desk.played.stop(tsi)
        await visitor.after(1)
        assert links(visitor) == [room_path("Room 1")]
