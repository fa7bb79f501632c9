from typing import Any

import pytest

from dashboards.pages.seat_grid import MOST_GROWN, SeatGrid
from dashboards.rooms.layout import laid_out
from tests.dashboards.pages.visitor import visiting

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]


async def test_cells_are_told_by_seat_and_column() -> None:
    async with visiting() as visitor:
        await visitor.open("/sessions")
        told: list[Any] = []
        with visitor.browser._client:
            grid = SeatGrid(lambda *what: told.append(what), told.append, can_edit=True)
        seats = laid_out("A", 2, 2).seats
        grid.show(seats)
        assert [row["name"] for row in grid.grid.options["rowData"]] == ["01", "02", "03", "04"]
        assert all(column["editable"] for column in grid.grid.options["columnDefs"])
        edit = {"data": {"key": "2"}, "colId": "hostname", "newValue": "pc-3"}
        await visitor.fire(grid.grid, "cellValueChanged", edit)
        await visitor.fire(grid.grid, "cellValueChanged", {**edit, "data": {"key": "-1"}})
        await visitor.fire(grid.grid, "cellValueChanged", {**edit, "data": {}})
        await visitor.fire(grid.grid, "selectionChanged", ["0", "3", "x", None])
        assert told == [(2, "hostname", "pc-3"), [0, 3]]
        grid.keep(2, seats[0])
        assert grid.grid.options["rowData"][2]["name"] == "01"


async def test_a_big_room_scrolls_in_its_table() -> None:
    async with visiting() as visitor:
        await visitor.open("/sessions")
        with visitor.browser._client:
            grid = SeatGrid(lambda *_: None, lambda _: None, can_edit=False)
        heights = []
        for rows in (1, 30, 100):
            grid.show(laid_out("A", rows, 1).seats)
            heights.append(grid.grid._style["height"])
        assert heights[0] != heights[1] == heights[2] == f"{MOST_GROWN * 42 + 52}px"
