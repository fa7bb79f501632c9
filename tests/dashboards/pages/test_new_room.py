import pytest
from nicegui import ui

from tests.dashboards.pages.test_plan_review import type_in
from tests.dashboards.pages.visitor import Visitor, visiting
from tests.dashboards.played_desk import OPERATOR

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]


def number(visitor: Visitor, label: str, value: float | None) -> None:
    (field,) = [field for field in visitor.all(ui.number) if field.props.get("label") == label]
    field.value = value


async def test_a_room_is_made_of_rows_and_columns() -> None:
    async with visiting(user=OPERATOR) as visitor:
        await visitor.open("/edit-rooms")
        await visitor.press("Add a room")
        assert visitor.says("24 seats: 01 at the front left, to 24")
        number(visitor, "Rows", 2)
        number(visitor, "Columns", 3)
        type_in(visitor, "Before each number", "PC-")
        number(visitor, "First number", 10)
        assert visitor.says("6 seats: PC-10 at the front left, to PC-15")
        number(visitor, "Rows", None)
        assert visitor.says("a room has 1 to 100 rows and columns")
        number(visitor, "Rows", 2)
        await visitor.press("Add")
        assert visitor.says("a name is a text of 1 to 64 characters")
        type_in(visitor, "Name", "room 1")
        await visitor.press("Add")
        assert visitor.says("there is a room 'room 1' already: choose another name")
        type_in(visitor, "Name", "Lab")
        await visitor.press("Add")
        await visitor.press("Save")
        room = visitor.desk.rooms().rooms[1]
        assert (room.name, [seat.name for seat in room.seats][::5]) == ("Lab", ["PC-10", "PC-15"])


async def test_a_room_is_renamed() -> None:
    async with visiting(user=OPERATOR) as visitor:
        await visitor.open("/edit-rooms")
        await visitor.press("Rename")
        type_in(visitor, "Name", "")
        (_, agree) = visitor.all_buttons("Rename")
        await visitor.fire(agree, "click")
        assert visitor.says("a name is a text")
        type_in(visitor, "Name", "Lab")
        await visitor.fire(agree, "click")
        await visitor.press("Save")
        assert visitor.desk.rooms().rooms[0].name == "Lab"
