import dataclasses

import pytest
from nicegui import ui

from dashboards.fleet.views import SeatState
from dashboards.history.records import PastSeat
from dashboards.pages.past_session_page import NO_REPORT, UNKNOWN, seat_of
from dashboards.pages.paths import past_session_path, report_path
from tests.dashboards.pages.test_history_page import ended
from tests.dashboards.pages.visitor import settled, visiting
from tests.dashboards.played_fleet import HOSTILE_TEXT

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]


async def test_shows_seats_happenings_and_the_report() -> None:
    desk = ended()
    tsi = desk.past[0].tsi
    async with visiting(desk) as visitor:
        await visitor.open(past_session_path(tsi))
        await settled()
        assert visitor.says("lab-ubuntu version 2")
        assert visitor.says(NO_REPORT)
        (table,) = [table for table in visitor.all(ui.table) if table.rows]
        assert {row["name"] for row in table.rows} >= {"01", "07"}
        assert visitor.all(ui.echart)
        links = {str(button.props.get("href", "")) for button in visitor.all(ui.button)}
        assert {report_path(tsi, "json"), report_path(tsi, "html")} <= links


async def test_the_history_of_one_pc_is_a_click_away() -> None:
    desk = ended(3)
    async with visiting(desk) as visitor:
        await visitor.open(past_session_path(desk.past[0].tsi))
        await settled()
        seat = desk.past[0].seats[0]
        (table,) = [table for table in visitor.all(ui.table) if table.rows]
        await visitor.fire(table, "seat", seat.machine)
        assert visitor.says(f"Sessions of PC {seat.machine}")
        assert len([each for each in visitor.all(ui.element) if each.tag == "tr" and each.parent_slot]) == 1 + 3


async def test_a_session_that_nobody_knows() -> None:
    async with visiting() as visitor:
        await visitor.open(past_session_path("0" * 16))
        await settled()
        assert visitor.says(UNKNOWN)


async def test_hostile_texts_are_texts() -> None:
    desk = ended()
    seats = tuple(dataclasses.replace(seat, reason=HOSTILE_TEXT[:400]) for seat in desk.past[0].seats)
    desk.past[0] = dataclasses.replace(
        desk.past[0], seats=seats, end_reason=HOSTILE_TEXT[:400], image=HOSTILE_TEXT[:64]
    )
    async with visiting(desk) as visitor:
        await visitor.open(past_session_path(desk.past[0].tsi))
        await settled()
        assert visitor.says("version 2")
        assert not visitor.all(ui.html)


async def test_an_outcome_of_another_version_is_no_success() -> None:
    assert seat_of(PastSeat("01", "m", "r", "sublime")).state is SeatState.INCOMPLETE
    assert seat_of(PastSeat("01", "m", "r", "verified")).state is SeatState.VERIFIED
