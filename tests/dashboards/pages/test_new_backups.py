import pytest
from nicegui import ui

from dashboards.pages.new_backups import NOBODY
from protocol.commands import BackUpMachines
from tests.dashboards.pages.visitor import Visitor, visiting
from tests.dashboards.played_desk import OPERATOR, PlayedDesk
from tests.dashboards.played_fleet import PlayedFleet
from tests.dashboards.played_session import Part

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]


def select(visitor: Visitor, label: str) -> ui.select:
    (found,) = [each for each in visitor.all(ui.select) if each.props.get("label") == label]
    return found


async def test_all_that_are_there_are_meant_until_some_are_taken_out() -> None:
    desk = PlayedDesk(PlayedFleet(rooms=2, seats=6, orderly=True))
    async with visiting(desk, OPERATOR) as visitor:
        await visitor.open("/captures")
        await visitor.press("Back up seats")
        assert select(visitor, "Room").value == "Room 1"
        assert visitor.all_buttons("Back up 6 seats")
        select(visitor, "Room").value = "Room 2"
        machines = [seat.machine for seat in desk.fleet().rooms[1].seats]
        assert select(visitor, "Seats").value == machines
        select(visitor, "Seats").value = machines[:2]
        assert select(visitor, "Seats").props["display-value"] == "2 of 6 seats"
        await visitor.after(1)
        await visitor.press("Back up 2 seats")
        assert desk.capture_orders.given == [(BackUpMachines(machines=tuple(machines[:2])), "otto")]
        await visitor.after(1)
        assert visitor.says("Backup of 01 in Room 2")


async def test_a_room_that_is_switched_off() -> None:
    desk = PlayedDesk(PlayedFleet(seats=2))
    for machine in desk.played._parts:
        desk.played._parts[machine] = Part.OFF
    desk.advance()
    async with visiting(desk, OPERATOR) as visitor:
        await visitor.open("/captures")
        await visitor.press("Back up seats")
        assert visitor.says(NOBODY)
        (button,) = visitor.all_buttons("Back up")
        assert not button.enabled


async def test_a_refusal_stays_in_the_dialog() -> None:
    async with visiting(user=OPERATOR) as visitor:
        await visitor.open("/captures")
        await visitor.press("Back up seats")
        visitor.desk.is_broadcaster_there = False
        (button,) = [
            each for each in visitor.all(ui.button) if each.text.startswith("Back up ") and "seats" in each.text
        ][-1:]
        await visitor.fire(button, "click")
        assert visitor.says("the broadcaster does not answer")
