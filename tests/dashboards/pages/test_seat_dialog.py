import pytest
from nicegui import ui

from dashboards.fleet.views import SeatState, SeatView
from dashboards.pages.paths import room_path
from dashboards.pages.seat_dialog import seat_facts
from tests.dashboards.pages.visitor import Visitor, visiting
from tests.dashboards.played_desk import OPERATOR, VIEWER, PlayedDesk

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]


async def opened(visitor: Visitor, name: str) -> None:
    await visitor.open(room_path("Room 1"))
    (grid,) = visitor.all(ui.element, classes="map")
    await visitor.fire(grid, "click", name)


def running() -> PlayedDesk:
    desk = PlayedDesk()
    desk.played.start(desk.played.plan("Room 1"))
    desk.advance(40)
    return desk


def offered(visitor: Visitor) -> set[str]:
    buttons = {button.text for button in visitor.all(ui.button)}
    return buttons & {"Stop this seat", "Move to catch-up", "Retry", "Clear the seat", "Close"}


async def test_shows_all_numbers_and_follows_them() -> None:
    async with visiting(running()) as visitor:
        await opened(visitor, "02")
        for words in ("Seat 02", "disk 21 MB/s", "Disk busy", "97 %", "Network link", "1 Gbit/s", "row 1, column 2"):
            assert words in visitor.texts()
        before = visitor.texts()
        await visitor.after(20)
        assert visitor.texts() != before


async def test_what_is_offered_depends_on_the_seat_and_the_user() -> None:
    async with visiting(running(), OPERATOR) as visitor:
        for name, actions in {
            "01": {"Stop this seat", "Move to catch-up", "Clear the seat"},
            "02": {"Stop this seat", "Clear the seat"},
            "04": set[str](),
            "07": {"Retry", "Clear the seat"},
        }.items():
            await opened(visitor, name)
            assert offered(visitor) == actions | {"Close"}, name
        visitor.user = VIEWER
        await opened(visitor, "01")
        assert offered(visitor) == {"Close"}


async def test_stops_one_seat_once_it_is_confirmed() -> None:
    async with visiting(running(), OPERATOR) as visitor:
        await opened(visitor, "01")
        await visitor.press("Stop this seat")
        (session,) = visitor.desk.played.sessions.values()
        assert not session.dismissed
        await visitor.press("Cancel")
        assert not session.dismissed
        await visitor.press("Stop this seat")
        agree = [button for button in visitor.all(ui.button) if button.text == "Stop this seat"][-1]
        await visitor.fire(agree, "click")
        assert len(session.dismissed) == 1
        assert visitor.browser.notify.contains("Seat 01 is stopped.")


async def test_moves_a_seat_to_catch_up() -> None:
    async with visiting(running(), OPERATOR) as visitor:
        await opened(visitor, "01")
        await visitor.press("Move to catch-up")
        agree = [button for button in visitor.all(ui.button) if button.text == "Move to catch-up"][-1]
        await visitor.fire(agree, "click")
        (session,) = visitor.desk.played.sessions.values()
        assert len(session.moved) == 1


async def test_clears_a_seat() -> None:
    async with visiting(user=OPERATOR) as visitor:
        await opened(visitor, "01")
        await visitor.press("Clear the seat")
        agree = [button for button in visitor.all(ui.button) if button.text == "Clear the seat"][-1]
        await visitor.fire(agree, "click")
        assert visitor.desk.rooms().rooms[0].seats[0].machine == ""


async def test_facts_say_what_is_not_known() -> None:
    facts = dict(seat_facts(SeatView("1", "m", "r", SeatState.SCANNING, missing_bytes=None, link_bits_per_second=0)))
    assert facts["Has to be sent"] == "not known yet"
    assert facts["Place"] == "none"
    assert "Alarm" not in facts
    assert set(dict(seat_facts(SeatView("1", "", "", SeatState.EMPTY)))) == {"Machine", "Place"}
