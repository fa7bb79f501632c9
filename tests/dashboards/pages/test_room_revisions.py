import pytest

from dashboards.rooms.rooms import Room, Rooms
from tests.dashboards.pages.test_library_page import named
from tests.dashboards.pages.visitor import visiting
from tests.dashboards.played_desk import ADMIN, OPERATOR, PlayedDesk

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]


def saved_thrice() -> PlayedDesk:
    desk = PlayedDesk()
    for name in ("X", "Y", "Z"):
        desk.save_rooms(ADMIN, Rooms(revision=desk.rooms().revision, rooms=(Room(name=name),)))
    return desk


async def test_tells_who_saved_and_goes_back() -> None:
    async with visiting(saved_thrice(), OPERATOR) as visitor:
        await visitor.open("/edit-rooms")
        assert visitor.says("Revision 3, in force")
        assert visitor.says("ada")
        await visitor.fire(named(visitor, "Go back to revision 1"), "click")
        assert not visitor.says("is lost")
        (agree,) = [button for button in visitor.all_buttons("Go back") if "aria-label" not in button.props]
        await visitor.fire(agree, "click")
        assert [room.name for room in visitor.desk.rooms().rooms] == ["X"]
        assert visitor.says("Revision 4, in force")
        assert visitor.says("otto")
