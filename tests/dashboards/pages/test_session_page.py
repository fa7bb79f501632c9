from dataclasses import replace

import pytest
from nicegui import ui

from dashboards.pages.paths import report_path, session_path
from tests.dashboards.pages.test_room_page import assert_nothing_is_evaluated
from tests.dashboards.pages.visitor import settled, visiting
from tests.dashboards.played_desk import PlayedDesk
from tests.dashboards.played_fleet import HOSTILE_ROOM, PlayedFleet

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]


def played(seconds: int) -> tuple[PlayedDesk, str]:
    desk = PlayedDesk()
    tsi = desk.played.plan("Room 1")
    desk.played.start(tsi)
    desk.advance(seconds)
    return desk, tsi


async def test_a_session_that_goes_on() -> None:
    desk, tsi = played(40)
    async with visiting(desk) as visitor:
        await visitor.open(session_path(tsi))
        for words in ("lab-ubuntu version 2", "Room 1", "ordered by anna", "running", "940 Mbit/s"):
            assert words in visitor.texts(), words
        assert visitor.says("all seats are ready; sending begins")
        assert not visitor.says("Report")
        (table,) = visitor.all(ui.table)
        assert len(table.rows) == 20
        await visitor.fire(table, "seat", table.rows[0]["key"])
        assert visitor.says("Seat 01")
        await visitor.after(5)
        assert visitor.says("Seat 01")


async def test_its_end_is_told_in_words_and_can_be_taken_away() -> None:
    desk, tsi = played(40)
    async with visiting(desk) as visitor:
        await visitor.open(session_path(tsi))
        await visitor.after(200)
        assert visitor.says("8 seats verified, 12 not")
        assert visitor.says("Seat 07 failed: /dev/sda")
        hrefs = {button.props["href"] for button in visitor.all(ui.button) if "href" in button.props}
        assert hrefs == {report_path(tsi, "json"), report_path(tsi, "html")}


async def test_a_session_that_is_over_and_gone_is_shown_by_its_report() -> None:
    desk, tsi = played(240)
    async with visiting(desk) as visitor:
        picture, session = desk.fleet(), desk.session(tsi)
        desk.session = lambda tsi: session  # type: ignore[method-assign]  # of the report, which was kept
        visitor.ticker._make_picture = lambda: replace(picture, sessions=())
        await visitor.open(session_path(tsi))
        await settled()
        assert visitor.says("8 seats verified, 12 not")


async def test_a_session_that_never_was() -> None:
    async with visiting() as visitor:
        await visitor.open(session_path("00000000000000ff"))
        await settled()
        assert visitor.says("there is no report of this session")


async def test_hostile_texts_are_texts() -> None:
    desk = PlayedDesk(PlayedFleet(hostile=True))
    (tsi,) = desk.played.sessions
    desk.played.start(tsi)
    desk.advance(30)
    async with visiting(desk) as visitor:
        await visitor.open(session_path(tsi))
        await visitor.after(1)
        assert HOSTILE_ROOM in visitor.texts()
        assert visitor.says("<script>alert(1)</script>")
        assert not visitor.all(ui.html)
        assert_nothing_is_evaluated(visitor)
