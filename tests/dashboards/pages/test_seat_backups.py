import pytest
from nicegui import ui

from dashboards.pages.local_time import LocalTime
from dashboards.pages.paths import room_path, session_path, start_path
from dashboards.pages.seat_backups import BUSY, NONE, OFF, size_in_words
from protocol.operators import SessionStep
from tests.dashboards.pages.visitor import Visitor, visiting
from tests.dashboards.played_desk import OPERATOR, VIEWER, PlayedDesk
from tests.dashboards.played_fleet import Part, PlayedFleet

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]


def backed_up(*versions: int) -> PlayedDesk:
    desk = PlayedDesk()
    desk.played.back_up("Room 1", "01", *versions)
    desk.advance(1)
    return desk


async def opened(visitor: Visitor, name: str) -> None:
    await visitor.open(room_path("Room 1"))
    (grid,) = visitor.all(ui.element, classes="map")
    await visitor.fire(grid, "click", name)


def restores(visitor: Visitor) -> list[ui.button]:
    return visitor.all_buttons("Restore")


async def test_each_backup_is_listed_with_date_and_size_and_put_back_by_a_plan() -> None:
    desk = backed_up(1, 2)
    async with visiting(desk, OPERATOR) as visitor:
        await opened(visitor, "01")
        assert len(visitor.all(LocalTime)) == 2
        assert visitor.says("stored, of a disk of")
        newest, older = restores(visitor)
        assert newest.props["aria-label"] == "Restore seat 01 from version 2"
        paths: list[str] = []
        visitor.browser.navigate.to = paths.append  # type: ignore[assignment,method-assign]  # the page of the plan
        await visitor.fire(older, "click")
        assert visitor.says("Nothing is written before you have started it.")
        assert not desk.played.sessions
        await visitor.press("Make the plan")
        ((tsi, plan),) = desk.played.sessions.items()
        assert (plan.version, [seat.seat for seat in plan.seats], plan.step) == (1, ["01"], SessionStep.PLANNED)
        assert paths == [start_path(tsi=tsi)]


async def test_the_list_follows_the_library() -> None:
    desk = PlayedDesk()
    async with visiting(desk, OPERATOR) as visitor:
        await opened(visitor, "01")
        assert visitor.says(NONE)
        desk.played.back_up("Room 1", "01", 1)
        await visitor.after(1)
        assert len(restores(visitor)) == 1
        assert not visitor.says(NONE)


async def test_a_machine_that_is_off_cannot_be_restored() -> None:
    desk = PlayedDesk()
    off = next(seat.name for seat in desk.rooms().rooms[0].seats if desk.played.part_of(seat.machine) is Part.OFF)
    desk.played.back_up("Room 1", off, 1)
    desk.advance(1)
    async with visiting(desk, OPERATOR) as visitor:
        await opened(visitor, off)
        assert visitor.says(OFF)
        assert not restores(visitor)[0].enabled


async def test_a_machine_in_a_session_waits_for_its_end() -> None:
    desk = backed_up(1)
    desk.played.start(desk.played.plan("Room 1"))
    desk.advance(30)
    async with visiting(desk, OPERATOR) as visitor:
        await opened(visitor, "01")
        assert visitor.says(BUSY)
        assert not restores(visitor)[0].enabled
        await visitor.after(400)
        assert not visitor.says(BUSY)
        assert restores(visitor)[0].enabled


async def test_a_viewer_looks_and_an_empty_seat_has_nothing() -> None:
    async with visiting(backed_up(1), VIEWER) as visitor:
        await opened(visitor, "01")
        assert visitor.says("version 1")
        assert not restores(visitor)
        await opened(visitor, "04")
        assert not visitor.says("Backups")


async def test_seats_of_a_session_are_restored_in_their_room() -> None:
    desk = PlayedDesk(PlayedFleet(orderly=True))
    desk.played.back_up("Room 1", "01", 1)
    tsi = desk.played.plan("Room 1")
    desk.advance(8)
    async with visiting(desk, OPERATOR) as visitor:
        await visitor.open(session_path(tsi))
        assert not visitor.says("Backups")


async def test_a_backup_that_nobody_signed_is_told() -> None:
    played = PlayedFleet()
    image = played._image("backup-x", 1)
    assert "not signed" not in size_in_words(image)
    assert "not signed by a key that this room knows" in size_in_words(played._image("backup-x", 0))
