import pytest
from nicegui import ui

from dashboards.pages.paths import session_path, start_path
from dashboards.pages.plan_review import GONE, LEFT, LEFT_OUT, OVERWRITTEN, outlook_of
from dashboards.plan_order import PlanOrder
from protocol.operators import SessionStep
from tests.dashboards.pages.test_new_plan import opened
from tests.dashboards.pages.visitor import Visitor, visiting
from tests.dashboards.played_desk import OPERATOR, PlayedDesk

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]


def planned(seconds: int = 15) -> tuple[PlayedDesk, str]:
    desk = PlayedDesk()
    tsi = desk.played.plan("Room 1")
    desk.advance(seconds)
    return desk, tsi


def type_in(visitor: Visitor, label: str, text: str) -> None:
    (field,) = [field for field in visitor.all(ui.input) if field.props.get("label") == label]
    field.value = text


async def test_every_seat_tells_its_disk_and_what_becomes_of_it() -> None:
    desk, tsi = planned()
    async with visiting(desk, OPERATOR) as visitor:
        await visitor.open(start_path(tsi=tsi))
        (table,) = visitor.all(ui.table)
        rows = {row["name"]: row for row in table.rows}
        assert rows["01"]["fate"] == OVERWRITTEN
        assert rows["01"]["target"].startswith("/dev/sda")
        assert rows["06"]["fate"] == LEFT
        assert "is mounted" in rows["06"]["reason"]
        assert (rows["05"]["state"], rows["05"]["reason"], rows["05"]["fate"]) == ("off", LEFT_OUT, LEFT)
        assert visitor.says("This overwrites the disks of 18 machines in Room 1.")


async def test_follows_the_seats_while_they_look_at_their_disks() -> None:
    desk, tsi = planned(1)
    async with visiting(desk, OPERATOR) as visitor:
        await visitor.open(start_path(tsi=tsi))
        session = desk.session(tsi)
        assert session is not None
        assert outlook_of(session).looking
        assert visitor.says("not looked at the whole disk yet")
        await visitor.after(15)
        session = desk.session(tsi)
        assert session is not None
        outlook = outlook_of(session)
        assert outlook.looking == 0
        assert outlook.bytes_to_send is not None
        assert 0 < outlook.bytes_to_send <= session.stored_bytes
        assert outlook.seconds == outlook.bytes_to_send * 8 / session.cap_bits_per_second
        assert not visitor.says("not looked at the whole disk yet")


async def test_starting_takes_the_room_and_the_number_of_machines() -> None:
    desk, tsi = planned()
    async with visiting(desk, OPERATOR) as visitor:
        await visitor.open(start_path(tsi=tsi))
        paths = opened(visitor)
        await visitor.press("Start and overwrite")
        assert visitor.says("Type the name of the room and the number of machines first")
        type_in(visitor, "Name of the room", "Room 2")
        type_in(visitor, "Number of machines", "18")
        assert not visitor.says("Type the name")
        await visitor.press("Start and overwrite")
        assert visitor.says("'Room 2' is not the room of this plan: type Room 1 to confirm")
        type_in(visitor, "Name of the room", "Room 1")
        type_in(visitor, "Number of machines", "20")
        await visitor.press("Start and overwrite")
        assert visitor.says("20 was typed and 18 machines in Room 1 would be overwritten")
        assert desk.played.sessions[tsi].step is SessionStep.PLANNED
        assert not paths
        type_in(visitor, "Number of machines", " 18 ")
        await visitor.press("Start and overwrite")
        assert desk.played.sessions[tsi].step is not SessionStep.PLANNED
        assert paths == [session_path(tsi)]


async def test_who_has_logged_out_starts_nothing() -> None:
    desk, tsi = planned()
    async with visiting(desk, OPERATOR) as visitor:
        await visitor.open(start_path(tsi=tsi))
        paths = opened(visitor)
        type_in(visitor, "Name of the room", "Room 1")
        type_in(visitor, "Number of machines", "18")
        visitor.user = None
        await visitor.press("Start and overwrite")
        assert desk.played.sessions[tsi].step is SessionStep.PLANNED
        assert paths == ["/login"]


async def test_a_plan_that_somebody_else_has_started_or_dropped() -> None:
    desk, tsi = planned()
    async with visiting(desk, OPERATOR) as visitor:
        await visitor.open(start_path(tsi=tsi))
        desk.played.start(tsi)
        await visitor.after(1)
        assert visitor.says("This plan was started: the session in Room 1 is on its way.")
        assert not [each for each in visitor.all(ui.button) if each.text == "Start and overwrite"]
        desk.played.stop(tsi, "stopped by vera")
        await visitor.after(1)
        assert visitor.says("This plan is over: stopped by vera.")
        await visitor.open(start_path(tsi="0" * 16))
        assert visitor.says(GONE)


async def test_dropping_is_asked_for_once() -> None:
    desk, tsi = planned()
    async with visiting(desk, OPERATOR) as visitor:
        await visitor.open(start_path(tsi=tsi))
        await visitor.press("Drop the plan")
        assert visitor.says("Nothing was written, and nothing will be.")
        (_, agree) = [button for button in visitor.all(ui.button) if button.text == "Drop the plan"]
        await visitor.fire(agree, "click")
        assert desk.played.sessions[tsi].end_reason == "stopped by otto"


async def test_the_start_waits_for_backups() -> None:
    desk = PlayedDesk()
    tsi = await desk.plan(OPERATOR, PlanOrder(room="Room 1", image="lab-ubuntu", backs_up=True))
    desk.advance(15)
    async with visiting(desk, OPERATOR) as visitor:
        await visitor.open(start_path(tsi=tsi))
        (table,) = visitor.all(ui.table)
        assert {row["name"]: row["backup"] for row in table.rows}["01"].endswith("%")
        assert "backup" in table.props[":visible-columns"]
        assert visitor.says("The start waits until every disk is backed up: 0 of 18 backups in the library.")
        (button,) = visitor.all_buttons("Start and overwrite")
        assert not button.enabled
        await visitor.after(60)
        assert not visitor.says("The start waits")
        assert {row["name"]: row["backup"] for row in table.rows}["01"] == "in the library"
        assert button.enabled
        type_in(visitor, "Name of the room", "Room 1")
        type_in(visitor, "Number of machines", "18")
        await visitor.press("Start and overwrite")
        assert desk.played.sessions[tsi].step is not SessionStep.PLANNED


async def test_a_plan_without_backups_has_no_column_for_them() -> None:
    desk, tsi = planned()
    async with visiting(desk, OPERATOR) as visitor:
        await visitor.open(start_path(tsi=tsi))
        (table,) = visitor.all(ui.table)
        assert "backup" not in table.props[":visible-columns"]


async def test_a_seat_that_is_put_back_stands_alone() -> None:
    desk = PlayedDesk()
    desk.played.back_up("Room 1", "01", 1)
    desk.advance(1)
    tsi = await desk.backups.restore(OPERATOR, "Room 1", "01")
    desk.advance(8)
    async with visiting(desk, OPERATOR) as visitor:
        await visitor.open(start_path(tsi=tsi))
        assert visitor.says("Backup of 01 in Room 1, version 1")
        (table,) = visitor.all(ui.table)
        assert [row["name"] for row in table.rows] == ["01"]
