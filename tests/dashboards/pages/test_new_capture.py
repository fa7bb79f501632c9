import pytest
from nicegui import ui

from dashboards.pages.new_capture import NOBODY
from protocol.commands import CaptureMachine
from tests.dashboards.pages.test_plan_review import type_in
from tests.dashboards.pages.visitor import Visitor, visiting
from tests.dashboards.played_desk import OPERATOR, PlayedDesk
from tests.dashboards.played_fleet import PlayedFleet

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]


def machines(visitor: Visitor) -> ui.select:
    (select,) = [select for select in visitor.all(ui.select) if select.props.get("label") == "Machine"]
    return select


async def test_a_machine_is_chosen_and_captured() -> None:
    async with visiting(user=OPERATOR) as visitor:
        desk = visitor.desk
        await visitor.open("/captures")
        await visitor.press("Capture a machine")
        (button,) = visitor.all_buttons("Capture")
        assert not button.enabled
        select = machines(visitor)
        assert dict(select.options)["guest-1"] == "laptop of the lab (guest-1)"
        assert len(select.options) == 21
        select.value = "guest-1"
        type_in(visitor, "Name of the image", "lab-ubuntu")
        assert visitor.says("It becomes version 3 of lab-ubuntu")
        await visitor.press("Capture")
        order = CaptureMachine(machine="guest-1", image="lab-ubuntu")
        assert desk.capture_orders.given == [(order, "otto")]
        await visitor.after(1)
        assert visitor.says("laptop of the lab into lab-ubuntu")
        await visitor.press("Capture a machine")
        assert "guest-1" not in machines(visitor).options


async def test_a_name_that_cannot_be_is_refused_in_the_dialog() -> None:
    async with visiting(user=OPERATOR) as visitor:
        await visitor.open("/captures")
        await visitor.press("Capture a machine")
        machines(visitor).value = "guest-1"
        type_in(visitor, "Name of the image", "x" * 65)
        await visitor.press("Capture")
        assert visitor.says("needs a name of 1 to 64 characters")
        type_in(visitor, "Name of the image", "lab")
        assert not visitor.says("needs a name of 1 to 64 characters")


async def test_says_what_to_do_when_nobody_is_there() -> None:
    desk = PlayedDesk(PlayedFleet(rooms=0))
    desk.played.guests.clear()
    desk.advance()
    async with visiting(desk, OPERATOR) as visitor:
        await visitor.open("/captures")
        await visitor.press("Capture a machine")
        assert visitor.says(NOBODY)
        desk.played.guests["guest-2"] = "reference"
        await visitor.after(1)
        assert not visitor.says(NOBODY)
        assert list(machines(visitor).options) == ["guest-2"]
