from typing import Any

import pytest
from nicegui import ui

from dashboards.rooms.rooms import RoomPolicy
from tests.dashboards.pages.visitor import Visitor, visiting
from tests.dashboards.played_desk import OPERATOR, PlayedDesk
from tests.dashboards.played_fleet import PlayedFleet

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]


def field(visitor: Visitor, words: str) -> Any:
    fields = [*visitor.all(ui.select), *visitor.all(ui.number), *visitor.all(ui.switch)]
    (found,) = [each for each in fields if words in (each.props.get("label"), getattr(each, "text", ""))]
    return found


def policy(visitor: Visitor, room: int = 0) -> RoomPolicy:
    return visitor.desk.rooms().rooms[room].policy


async def test_a_policy_is_edited_and_saved() -> None:
    async with visiting(user=OPERATOR) as visitor:
        await visitor.open("/edit-rooms")
        assert field(visitor, "Image of its seats").options[""] == "no image"
        field(visitor, "Image of its seats").value = "lab-ubuntu"
        field(visitor, "Version").value = 1
        field(visitor, "Done to each disk afterwards").value = "windows"
        field(visitor, "Capture every disk before it is overwritten").value = True
        field(visitor, "Whoever sits at a seat may put that image on its disk").value = True
        field(visitor, "Backups kept of each seat").value = 5
        assert visitor.says("not saved yet")
        assert policy(visitor) == RoomPolicy()
        await visitor.press("Save")
        assert policy(visitor) == RoomPolicy(
            image="lab-ubuntu",
            version=1,
            configuration="windows",
            allows_restore=True,
            backs_up=True,
            backups_kept=5,
        )


async def test_another_image_is_meant_in_its_newest_version() -> None:
    async with visiting(user=OPERATOR) as visitor:
        await visitor.open("/edit-rooms")
        field(visitor, "Image of its seats").value = "lab-ubuntu"
        field(visitor, "Version").value = 1
        field(visitor, "Image of its seats").value = "lab-windows"
        assert field(visitor, "Version").value == 0
        assert field(visitor, "Version").options == {0: "the newest", 1: "1"}


async def test_what_makes_no_sense_is_told_and_not_saved() -> None:
    async with visiting(user=OPERATOR) as visitor:
        await visitor.open("/edit-rooms")
        field(visitor, "Whoever sits at a seat may put that image on its disk").value = True
        assert visitor.says("seats may restore themselves, but no image is assigned")
        await visitor.press("Save")
        assert policy(visitor) == RoomPolicy()


async def test_each_room_has_its_own() -> None:
    async with visiting(PlayedDesk(PlayedFleet(rooms=2)), OPERATOR) as visitor:
        await visitor.open("/edit-rooms")
        field(visitor, "Image of its seats").value = "lab-ubuntu"
        field(visitor, "Room").value = 1
        assert field(visitor, "Image of its seats").value == ""
        await visitor.press("Save")
        assert [policy(visitor, room).image for room in (0, 1)] == ["lab-ubuntu", ""]


async def test_what_the_library_lost_is_still_shown() -> None:
    async with visiting(user=OPERATOR) as visitor:
        await visitor.open("/edit-rooms")
        field(visitor, "Image of its seats").value = "lab-windows"
        await visitor.press("Save")
        visitor.desk.played.images = []
        visitor.desk.advance(1)
        await visitor.open("/edit-rooms")
        assert field(visitor, "Image of its seats").options["lab-windows"] == "lab-windows (not in the library)"
        assert field(visitor, "Image of its seats").value == "lab-windows"
