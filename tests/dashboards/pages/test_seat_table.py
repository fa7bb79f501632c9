from typing import Any

import pytest
from nicegui import ui

from dashboards.fleet.views import SeatState, SeatView
from dashboards.pages.seat_table import ROWS_PER_PAGE, SeatTable, key_of
from tests.dashboards.pages.visitor import Visitor, visiting

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]


def seats(count: int) -> tuple[SeatView, ...]:
    return tuple(
        SeatView(
            f"{number:03}",
            f"m{number}",
            "r",
            SeatState.FAILED if number % 10 == 0 else SeatState.RECEIVING,
            reason="disk <b>error</b>" if number % 10 == 0 else "",
            progress=number / count,
        )
        for number in range(count)
    )


async def drawn(visitor: Visitor, count: int) -> tuple[SeatTable, ui.table, list[str]]:
    await visitor.open("/")
    picked: list[str] = []
    with visitor.browser:
        table = SeatTable(picked.append)
        table.show(seats(count))
    return table, table._table, picked


async def ask(visitor: Visitor, table: ui.table, **asked: Any) -> None:
    await visitor.fire(table, "request", {"pagination": asked})


async def test_only_the_page_that_is_looked_at_is_sent() -> None:
    async with visiting() as visitor:
        _, table, _ = await drawn(visitor, 1000)
        assert [row["name"] for row in table.rows] == [f"{number:03}" for number in range(ROWS_PER_PAGE)]
        assert table.pagination["rowsNumber"] == 1000
        await ask(visitor, table, sortBy="progress", descending=True, page=2, rowsPerPage=10)
        assert [row["name"] for row in table.rows] == [f"{number}" for number in range(989, 979, -1)]


async def test_nonsense_from_a_browser_does_no_harm() -> None:
    async with visiting() as visitor:
        _, table, _ = await drawn(visitor, 30)
        await ask(visitor, table, sortBy="__class__", descending="x", page=-7, rowsPerPage=10**9)
        assert table.pagination["sortBy"] == "name"
        assert len(table.rows) == ROWS_PER_PAGE
        await ask(visitor, table, sortBy=None, page=99, rowsPerPage=10)
        assert table.pagination["page"] == 3


async def test_filter_by_name_state_and_reason() -> None:
    async with visiting() as visitor:
        _, table, _ = await drawn(visitor, 100)
        (field,) = [field for field in visitor.all(ui.input) if "filter" in field.classes]
        for words, count in (("FAILED", 10), ("<b>error", 10), ("042", 1), ("m42", 1), ("nothing like it", 0)):
            field.value = words
            assert table.pagination["rowsNumber"] == count, words
        assert visitor.says("0 of 100 seats")
        field.value = None
        assert visitor.says("100 seats")


async def test_a_seat_is_picked_by_its_machine() -> None:
    async with visiting() as visitor:
        _, table, picked = await drawn(visitor, 3)
        await visitor.fire(table, "seat", "m1")
        assert picked == ["m1"]
    assert key_of(SeatView("1", "", "r", SeatState.IDLE)) == "r"
    assert key_of(SeatView("1", "", "", SeatState.IDLE)) == "1"


async def test_rows_are_sent_again_only_when_they_have_changed() -> None:
    async with visiting() as visitor:
        table, drawn_table, _ = await drawn(visitor, 5)
        outbox = visitor.browser._client.outbox
        outbox.updates.clear()
        table.show(seats(5))
        assert drawn_table.id not in outbox.updates


async def test_columns_that_tell_nothing_are_left_out() -> None:
    async with visiting() as visitor:
        table, drawn_table, _ = await drawn(visitor, 1)
        assert "loss" in drawn_table.props[":visible-columns"]
        table.hide(frozenset({"loss", "reason"}))
        narrow, _, wide = drawn_table.props[":visible-columns"].partition(" : ")
        assert "loss" not in wide
        assert "reason" not in narrow + wide
        assert "progress" in narrow
        table.hide(frozenset())
        assert "reason" in drawn_table.props[":visible-columns"]
