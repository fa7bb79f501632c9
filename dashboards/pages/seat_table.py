"""The seats of a session as a table, to be sorted and filtered.

The console sorts and filters, and sends the page that is looked at: a thousand seats cost no more than twenty-five.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from nicegui import events, ui

from dashboards.fleet.views import SeatView
from dashboards.pages.quantities import (
    NOTHING,
    bytes_in_words,
    count_in_words,
    duration_in_words,
    loss_in_words,
    rate_in_words,
    share_in_words,
)
from dashboards.pages.seat_card import WITH_RATE
from dashboards.pages.seat_words import seat_sign
from dashboards.pages.words import section_title, tone_class

ROWS_PER_PAGE: Final = 25
PAGE_SIZES: Final = [10, 25, 50, 100]


@dataclass(frozen=True, slots=True)
class Column:
    """One column: how it reads, and by what it is sorted."""

    name: str
    label: str
    words: Callable[[SeatView], str]
    order: Callable[[SeatView], Any]
    is_number: bool = True


COLUMNS: Final = (
    Column("name", "Seat", lambda seat: seat.name, lambda seat: seat.name, is_number=False),
    Column("state", "State", lambda seat: seat_sign(seat).word, lambda seat: seat_sign(seat).word, is_number=False),
    Column("progress", "Progress", lambda seat: share_in_words(seat.progress, 1), lambda seat: seat.progress),
    Column(
        "rate",
        "Rate",
        lambda seat: rate_in_words(seat.rate_bits_per_second) if seat.state in WITH_RATE else NOTHING,
        lambda seat: seat.rate_bits_per_second,
    ),
    Column(
        "eta",
        "Done in",
        lambda seat: NOTHING if seat.state.is_final else duration_in_words(seat.eta_seconds),
        lambda seat: float("inf") if seat.eta_seconds is None else seat.eta_seconds,
    ),
    Column("loss", "Loss", lambda seat: loss_in_words(seat.loss_ratio), lambda seat: seat.loss_ratio),
    Column("repaired", "Repaired", lambda seat: f"{seat.repaired_blocks:,}", lambda seat: seat.repaired_blocks),
    Column("received", "Received", lambda seat: bytes_in_words(seat.bytes_received), lambda seat: seat.bytes_received),
    Column("reason", "Reason", lambda seat: seat.reason, lambda seat: seat.reason, is_number=False),
)

ON_A_PHONE: Final = ["name", "state", "progress", "reason"]
"""columns for which a narrow page has room; the dialog of a seat has all of it"""

WITH_CONTROLS: Final = frozenset({"name", "state"})
"""columns whose cells are no plain text, and stay on one line"""


class CellTable(ui.table, component="seat_table.js"):
    """A table of NiceGUI with the cells of ``seat_table.js``, which tells of a press by the event "seat"."""


class SeatTable:
    """Shows seats; ``on_pick`` is told the key of one (``key_of``)."""

    def __init__(
        self,
        on_pick: Callable[[str], object],
        columns: Sequence[Column] = COLUMNS,
        on_a_phone: Sequence[str] = ON_A_PHONE,
    ) -> None:
        self._columns = columns
        self._on_a_phone = on_a_phone
        self._hidden: frozenset[str] = frozenset()
        self._seats: tuple[SeatView, ...] = ()
        self._filter = ""
        self._rows: list[dict[str, str]] = []
        with ui.element("section").classes("panel"):
            with ui.element("div").classes("chart-head"):
                section_title("Seats")
                self._count = ui.label().classes("muted small")
                field = ui.input(placeholder="Filter by seat, state or reason", on_change=self._set_filter)
                field.props('dense outlined clearable debounce=200 aria-label="Filter the seats"').classes("filter")
            self._table = CellTable(
                columns=[
                    {
                        "name": column.name,
                        "label": column.label,
                        "field": column.name,
                        "sortable": True,
                        "align": "right" if column.is_number else "left",
                        "classes": "" if column.is_number or column.name in WITH_CONTROLS else "wrap-cell",
                    }
                    for column in columns
                ],
                rows=[],
                row_key="key",
                pagination={"sortBy": "name", "descending": False, "page": 1, "rowsPerPage": ROWS_PER_PAGE},
            ).classes("seat-table")
        self._table.props["rows-per-page-options"] = PAGE_SIZES
        self._table.props("flat dense binary-state-sort wrap-cells")
        self._choose_columns()
        self._table.on("seat", lambda event: on_pick(str(event.args)))
        self._table.on("request", self._request, ["pagination"])

    def show(self, seats: tuple[SeatView, ...]) -> None:
        """Show how the seats are now."""
        self._seats = seats
        self._draw()

    def hide(self, names: frozenset[str]) -> None:
        """Leave out these columns, which have nothing to tell now."""
        if names != self._hidden:
            self._hidden = names
            self._choose_columns()

    def _choose_columns(self) -> None:
        wide = [column.name for column in self._columns if column.name not in self._hidden]
        narrow = [name for name in self._on_a_phone if name not in self._hidden]
        self._table.props[":visible-columns"] = f"Quasar.Screen.lt.md ? {narrow} : {wide}"

    def _set_filter(self, event: events.ValueChangeEventArguments[Any]) -> None:
        self._filter = (event.value or "").strip().casefold()
        self._table.pagination["page"] = 1
        self._draw()

    def _request(self, event: events.GenericEventArguments) -> None:
        """What the browser asks for when somebody sorts or turns the page; nothing of it is trusted."""
        asked = event.args["pagination"]
        names = [column.name for column in self._columns]
        per_page = asked.get("rowsPerPage")
        self._table.pagination = {
            "sortBy": asked.get("sortBy") if asked.get("sortBy") in names else "name",
            "descending": bool(asked.get("descending")),
            "page": max(1, int(asked.get("page") or 1)),
            "rowsPerPage": per_page if per_page in PAGE_SIZES else ROWS_PER_PAGE,
            "rowsNumber": 0,
        }
        self._draw()

    def _draw(self) -> None:
        pagination = dict(self._table.pagination)
        column = next(each for each in self._columns if each.name == pagination["sortBy"])
        found = [seat for seat in self._seats if self._is_found(seat)]
        found.sort(key=column.order, reverse=bool(pagination["descending"]))
        per_page = int(pagination["rowsPerPage"])
        page = min(int(pagination["page"]), max(1, -(-len(found) // per_page)))
        rows = [self._row(seat) for seat in found[(page - 1) * per_page : page * per_page]]
        wanted = {**pagination, "page": page, "rowsNumber": len(found)}
        if rows != self._rows:
            self._rows = rows
            self._table.rows = rows
        if wanted != pagination:
            self._table.pagination = wanted
        count = count_in_words(len(self._seats), "seat")
        self._count.text = f"{len(found)} of {count}" if self._filter else count

    def _row(self, seat: SeatView) -> dict[str, str]:
        sign = seat_sign(seat)
        return {
            "key": key_of(seat),
            "icon": sign.icon,
            "tone": tone_class(sign),
            **{column.name: column.words(seat) for column in self._columns},
        }

    def _is_found(self, seat: SeatView) -> bool:
        if not self._filter:
            return True
        text = f"{seat.name}\n{seat_sign(seat).word}\n{seat.reason}\n{seat.machine}\n{seat.hostname}"
        return self._filter in text.casefold()


def key_of(seat: SeatView) -> str:
    """What names a seat of a session: names of seats may come twice."""
    return seat.machine or seat.receiver_id or seat.name
