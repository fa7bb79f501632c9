import pytest
from nicegui import ui

from dashboards.pages.paths import room_path
from dashboards.pages.room_page import NO_ADDRESS
from tests.dashboards.pages.visitor import Visitor, visiting
from tests.dashboards.played_desk import OPERATOR, VIEWER, PlayedDesk
from tests.dashboards.played_fleet import HOSTILE_ROOM, HOSTILE_TEXT, PlayedFleet

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]

ROOM = room_path("Room 1")


def running(seconds: int = 40) -> PlayedDesk:
    desk = PlayedDesk()
    desk.played.start(desk.played.plan("Room 1"))
    desk.advance(seconds)
    return desk


def seat(visitor: Visitor, name: str) -> ui.element:
    (found,) = [seat for seat in visitor.all(ui.element, classes="seat") if seat.props["data-seat"] == name]
    return found


async def test_shows_every_seat_with_its_state_in_words() -> None:
    async with visiting(running()) as visitor:
        await visitor.open(ROOM)
        assert len(visitor.all(ui.element, classes="seat")) == 24
        assert seat(visitor, "04").props["aria-label"] == "04, no machine"
        assert seat(visitor, "07").props["aria-label"].startswith("07, failed: /dev/sda")
        assert seat(visitor, "02").props["title"] == "02, catching up: disk 21 MB/s"
        assert visitor.says("24 seats, 20 switched on")
        assert visitor.says("running")
        assert visitor.says("2 refused")


async def test_follows_the_room() -> None:
    async with visiting(running(3)) as visitor:
        await visitor.open(ROOM)
        assert "receiving" not in seat(visitor, "01").props["aria-label"]
        await visitor.after(20)
        assert "receiving" in seat(visitor, "01").props["aria-label"]
        await visitor.after(150)
        assert seat(visitor, "01").props["aria-label"] == "01, verified, 100 %"
        assert visitor.says("ended")


async def test_says_when_there_is_no_such_room() -> None:
    async with visiting() as visitor:
        await visitor.open(room_path("Nowhere"))
        assert visitor.says("There is no room 'Nowhere'")
        assert not visitor.all(ui.element, classes="seat")


async def test_a_room_that_goes_while_it_is_looked_at() -> None:
    async with visiting() as visitor:
        await visitor.open(ROOM)
        visitor.desk.played.rooms = type(visitor.desk.played.rooms)(revision=1)
        await visitor.after(1)
        assert visitor.says("There is no room 'Room 1'")


async def test_a_viewer_is_offered_nothing_to_do() -> None:
    async with visiting(running(), VIEWER) as visitor:
        await visitor.open(ROOM)
        assert not {"Wake", "Admit", "Refuse", "Place", "Admit all", "Start a session"} & {
            button.text for button in visitor.all(ui.button)
        }
        assert not [item for item in visitor.all(ui.element, classes="tray-item") if "draggable" in item.props]


async def test_a_machine_is_placed_by_dropping_it_and_what_is_there_is_asked_for() -> None:
    async with visiting(user=OPERATOR) as visitor:
        await visitor.open(ROOM)
        (grid,) = visitor.all(ui.element, classes="map")
        await visitor.fire(grid, "drop", ["04", "guest-1"])
        assert machine_on(visitor, "04") == "guest-1"
        await visitor.fire(grid, "drop", ["01", "guest-1"])
        assert machine_on(visitor, "01") != "guest-1", "nobody has agreed yet"
        await visitor.press("Replace")
        assert machine_on(visitor, "01") == "guest-1"
        assert machine_on(visitor, "04") == ""


async def test_wakes_the_room() -> None:
    async with visiting(user=OPERATOR) as visitor:
        await visitor.open(ROOM)
        await visitor.press("Wake")
        assert len(visitor.desk.woken) == 24
        assert visitor.browser.notify.contains("24 machines told to wake up.")
        assert NO_ADDRESS.startswith("No machine of this room")


async def test_a_broadcaster_that_does_not_answer_is_said() -> None:
    async with visiting(user=OPERATOR) as visitor:
        await visitor.open(ROOM)
        visitor.desk.is_broadcaster_there = False
        await visitor.press("Wake")
        assert visitor.browser.notify.contains("the broadcaster does not answer")


async def test_hostile_texts_are_texts() -> None:
    desk = PlayedDesk(PlayedFleet(hostile=True))
    async with visiting(desk) as visitor:
        await visitor.open(room_path(HOSTILE_ROOM))
        await visitor.after(10)
        assert HOSTILE_ROOM in visitor.texts()
        assert len(visitor.all(ui.element, classes="seat")) == 24
        assert not visitor.all(ui.html)
        assert not visitor.all(ui.markdown)
        assert_nothing_is_evaluated(visitor)


async def test_a_thousand_seats_are_one_element_each() -> None:
    desk = PlayedDesk(PlayedFleet(seats=1000))
    async with visiting(desk) as visitor:
        await visitor.open(ROOM)
        assert len(visitor.all(ui.element, classes="tile")) == 1000
        assert len(visitor.browser._client.elements) < 1400


def machine_on(visitor: Visitor, name: str) -> str:
    return next(seat.machine for seat in visitor.desk.rooms().rooms[0].seats if seat.name == name)


def assert_nothing_is_evaluated(visitor: Visitor) -> None:
    """What the browser evaluates begins with a colon, and holds nothing of others."""
    for element in visitor.browser._client.elements.values():
        for name, value in element.props.items():
            if name.startswith(":"):
                assert "script" not in str(value)
                assert HOSTILE_TEXT[:8] not in str(value)


async def test_machines_are_let_into_the_environment_after_a_question() -> None:
    async with visiting(user=OPERATOR) as visitor:
        await visitor.open(ROOM)
        await visitor.press("Boot the environment")
        assert visitor.says("Nothing is written.")
        await visitor.press("Boot")
        assert visitor.browser.notify.contains("24 machines may boot the environment for an hour.")
        assert visitor.browser.notify.contains("24 machines told to wake up.")


async def test_no_room_is_booted_where_nothing_hands_out_the_environment() -> None:
    desk = PlayedDesk()
    desk.played.can_boot = False
    desk.advance(1)
    async with visiting(desk, OPERATOR) as visitor:
        await visitor.open(ROOM)
        (button,) = visitor.all_buttons("Boot the environment")
        assert not button.enabled
        assert visitor.says("run 'slatecast boot serve'")
        desk.played.can_boot = True
        await visitor.after(1)
        assert button.enabled
        assert not visitor.says("run 'slatecast boot serve'")
