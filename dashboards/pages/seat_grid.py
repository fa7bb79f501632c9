"""The seats of a room as a table whose cells are edited in place, with the keyboard as in a spreadsheet."""

from collections.abc import Callable, Sequence
from typing import Any, Final

from nicegui import events, ui

from dashboards.pages.room_draft import SEAT_FIELDS, seat_values
from dashboards.rooms.rooms import RoomSeat

HEADINGS: Final = {
    "name": "Seat",
    "row": "Row",
    "column": "Column",
    "machine": "Machine",
    "hostname": "Host name",
    "mac_address": "Wake by MAC",
}
_WIDTHS: Final = {"name": 84, "row": 78, "column": 92, "machine": 150, "hostname": 130, "mac_address": 150}

MOST_GROWN: Final = 24
"""[seats] that are shown without scrolling in the table itself"""


class SeatGrid:
    """``on_edit`` is told the index of a seat, a field and what was typed; ``on_pick`` the indexes that are chosen."""

    def __init__(
        self, on_edit: Callable[[int, str, object], object], on_pick: Callable[[list[int]], object], *, can_edit: bool
    ) -> None:
        self._on_edit = on_edit
        self._on_pick = on_pick
        self.grid = ui.aggrid(
            {
                "columnDefs": [
                    {
                        "field": field,
                        "headerName": HEADINGS[field],
                        "editable": can_edit,
                        "minWidth": _WIDTHS[field],
                        "flex": _WIDTHS[field],
                        "cellDataType": False,
                        "sortable": True,
                    }
                    for field in SEAT_FIELDS
                ],
                "rowData": [],
                ":getRowId": "params => params.data.key",
                "rowSelection": {"mode": "multiRow", "headerCheckbox": True, "enableClickSelection": False},
                "stopEditingWhenCellsLoseFocus": True,
                "singleClickEdit": False,
                "enterNavigatesVerticallyAfterEdit": True,
                "ensureDomOrder": True,
                "suppressDragLeaveHidesColumns": True,
            },
            theme="quartz",
            auto_size_columns=False,
        ).classes("seat-grid")
        self.grid.props["aria-label"] = "Seats, to be edited"
        self.grid.on("cellValueChanged", self._edited, ["data", "colId", "newValue"])
        self.grid.on(
            "selectionChanged",
            lambda event: on_pick(_indexes(event.args)),
            js_handler="(event) => emit(event.api.getSelectedRows().map(row => row.key))",
        )

    def show(self, seats: Sequence[RoomSeat]) -> None:
        """Show the seats of another room, or as they are now."""
        rows = [{"key": str(index), **seat_values(seat)} for index, seat in enumerate(seats)]
        self.grid.style(f"height:{min(len(rows), MOST_GROWN) * 42 + 52 if rows else 120}px")
        self.grid.options["rowData"] = rows
        self.grid.update()

    def keep(self, index: int, seat: RoomSeat) -> None:
        """Remember what the browser shows already."""
        self.grid.options["rowData"][index].update(seat_values(seat))

    def _edited(self, event: events.GenericEventArguments) -> None:
        data: dict[str, Any] = event.args["data"]
        for index in _indexes([data.get("key")]):
            self._on_edit(index, str(event.args["colId"]), event.args["newValue"])


def _indexes(keys: Any) -> list[int]:
    """What the browser names; nothing of it is trusted."""
    return [int(key) for key in keys if isinstance(key, str) and key.isascii() and key.isdecimal() and len(key) < 6]
