from typing import Any

import pytest
from nicegui import ui

from dashboards.rooms.layout import laid_out
from dashboards.rooms.rooms import Room, Rooms
from tests.dashboards.pages.test_plan_review import type_in
from tests.dashboards.pages.visitor import Visitor, visiting
from tests.dashboards.played_desk import ADMIN, OPERATOR, VIEWER, PlayedDesk
from tests.dashboards.played_fleet import HOSTILE_ROOM, PlayedFleet

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]


async def edit(visitor: Visitor, key: int, column: str, typed: Any) -> None:
    (grid,) = visitor.all(ui.aggrid)
    await visitor.fire(grid, "cellValueChanged", {"data": {"key": str(key)}, "colId": column, "newValue": typed})


def is_enabled(visitor: Visitor, text: str) -> bool:
    (button,) = visitor.all_buttons(text)
    return bool(button.enabled)


def seat(visitor: Visitor, index: int, room: int = 0) -> Any:
    return visitor.desk.rooms().rooms[room].seats[index]


async def test_a_cell_is_edited_and_saved() -> None:
    async with visiting(user=OPERATOR) as visitor:
        await visitor.open("/edit-rooms")
        assert not is_enabled(visitor, "Save")
        await edit(visitor, 3, "machine", "aa:bb:cc:dd:ee:ff")
        assert visitor.says("not saved yet")
        assert seat(visitor, 3).machine == ""
        await visitor.press("Save")
        assert seat(visitor, 3).machine == "aa:bb:cc:dd:ee:ff"
        assert visitor.says("Revision 1, 1 room")
        assert not is_enabled(visitor, "Save")


async def test_faults_are_told_while_they_are_made_and_nothing_of_them_is_saved() -> None:
    async with visiting(user=OPERATOR) as visitor:
        await visitor.open("/edit-rooms")
        await edit(visitor, 1, "column", "1")
        assert visitor.says("seat '02': row 1, column 1 is the place of seat '01': move one of them")
        await visitor.press("Save")
        assert seat(visitor, 1).column == 2
        assert visitor.desk.rooms().revision == 0
        await edit(visitor, 1, "column", "x")
        assert visitor.says("seat 02: column is a whole number from 1 to 100")
        await edit(visitor, 1, "column", "2")
        assert not visitor.says("move one of them")
        assert not is_enabled(visitor, "Save")


async def test_seats_are_added_and_removed() -> None:
    async with visiting(user=OPERATOR) as visitor:
        await visitor.open("/edit-rooms")
        await visitor.press("Add a seat")
        assert visitor.says("25 seats")
        (grid,) = visitor.all(ui.aggrid)
        assert not is_enabled(visitor, "Remove the chosen seats")
        await visitor.fire(grid, "selectionChanged", ["0", "24"])
        await visitor.press("Remove the chosen seats")
        await visitor.press("Save")
        assert [each.name for each in visitor.desk.rooms().rooms[0].seats] == [f"{n:02}" for n in range(2, 25)]


async def test_a_room_is_removed_after_a_question() -> None:
    async with visiting(PlayedDesk(PlayedFleet(rooms=2)), OPERATOR) as visitor:
        await visitor.open("/edit-rooms")
        await visitor.press("Remove")
        assert visitor.says("Remove room Room 1?")
        (_, agree) = visitor.all_buttons("Remove")
        await visitor.fire(agree, "click")
        assert len(visitor.desk.rooms().rooms) == 2
        await visitor.press("Save")
        assert [room.name for room in visitor.desk.rooms().rooms] == ["Room 2"]


async def test_what_another_editor_saved_is_put_together_with_mine() -> None:
    async with visiting(user=OPERATOR) as visitor:
        await visitor.open("/edit-rooms")
        await edit(visitor, 3, "hostname", "mine")
        desk = visitor.desk
        desk.place(ADMIN, "Room 1", "04", "guest-1")
        desk.place(ADMIN, "Room 1", "18", "guest-2")
        await visitor.after(1)
        assert visitor.says("The rooms were saved meanwhile by ada: revision 2 is in force, and you edit revision 0.")
        await visitor.press("Save")
        assert visitor.says("load them again and repeat the change")
        await visitor.press("Put my changes on top")
        assert visitor.says("Seat 04 of Room 1: both of you changed it, and yours is kept.")
        assert visitor.says("Revision 2, 1 room")
        await visitor.press("Save")
        assert (seat(visitor, 3).hostname, seat(visitor, 3).machine) == ("mine", "")
        assert seat(visitor, 17).machine == "guest-2"


async def test_mine_can_be_thrown_away() -> None:
    async with visiting(user=OPERATOR) as visitor:
        await visitor.open("/edit-rooms")
        await edit(visitor, 3, "hostname", "mine")
        visitor.desk.place(ADMIN, "Room 1", "04", "guest-1")
        await visitor.after(1)
        await visitor.press("Throw mine away")
        (grid,) = visitor.all(ui.aggrid)
        assert grid.options["rowData"][3]["machine"] == "guest-1"
        assert not visitor.all_buttons("Put my changes on top")
        assert not is_enabled(visitor, "Save")


async def test_without_changes_the_page_follows() -> None:
    async with visiting(user=OPERATOR) as visitor:
        await visitor.open("/edit-rooms")
        visitor.desk.save_rooms(ADMIN, Rooms(rooms=(laid_out("New", 1, 1),)))
        await visitor.after(1)
        assert visitor.says("Revision 1, 1 room")
        (grid,) = visitor.all(ui.aggrid)
        assert len(grid.options["rowData"]) == 1


async def test_a_file_that_was_read_is_not_saved_by_that() -> None:
    async with visiting(user=OPERATOR) as visitor:
        await visitor.open("/edit-rooms")
        await edit(visitor, 0, "hostname", "")
        visitor.desk.played.rooms = Rooms(revision=0, rooms=(Room(name="A"), *visitor.desk.rooms().rooms))
        await visitor.press("Throw away")
        (_, agree) = visitor.all_buttons("Throw away")
        await visitor.fire(agree, "click")
        assert visitor.says("Revision 0, 2 rooms")


async def test_who_may_only_look_edits_nothing() -> None:
    async with visiting(user=OPERATOR) as visitor:
        await visitor.open("/edit-rooms")
        await edit(visitor, 3, "machine", "m")
        visitor.user = VIEWER
        await visitor.press("Save")
        assert visitor.says("otto may not change rooms") or visitor.says("vera may not change rooms")
        assert visitor.desk.rooms().revision == 0


async def test_hostile_names_are_texts() -> None:
    async with visiting(PlayedDesk(PlayedFleet(hostile=True)), OPERATOR) as visitor:
        await visitor.open("/edit-rooms")
        (room,) = [each for each in visitor.all(ui.select) if each.props.get("label") == "Room"]
        room.value = 1
        (grid,) = visitor.all(ui.aggrid)
        assert grid.html_columns == []
        await visitor.press("Remove")
        assert visitor.says(f"Remove room {HOSTILE_ROOM}?"[:20])
        assert not visitor.all(ui.html)


async def test_no_room_at_all() -> None:
    desk = PlayedDesk()
    desk.save_rooms(ADMIN, Rooms())
    async with visiting(desk, OPERATOR) as visitor:
        await visitor.open("/edit-rooms")
        assert visitor.says("There is no room yet. Add one, or read a file.")
        await visitor.press("Add a room")
        type_in(visitor, "Name", "Lab")
        await visitor.press("Add")
        assert visitor.says("24 seats")
