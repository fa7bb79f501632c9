import dataclasses

import msgspec
import pytest
from nicegui import ui

from dashboards.desk_rules import NO_CONFIGURATION
from dashboards.fleet.views import FleetView
from dashboards.pages.library_words import READING
from dashboards.pages.new_plan import CONFIGURED_BY_IMAGE, NEWEST, NO_IMAGES, NOT_CONFIGURED
from dashboards.pages.paths import start_path
from dashboards.plan_order import PlanOrder
from dashboards.rooms.rooms import RoomPolicy, Rooms
from dashboards.user import User
from tests.dashboards.pages.visitor import Visitor, visiting
from tests.dashboards.played_desk import OPERATOR, PlayedDesk
from tests.dashboards.played_fleet import HOSTILE_TEXT, PlayedFleet

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]


def choice(visitor: Visitor, label: str) -> ui.select:
    (found,) = [each for each in visitor.all(ui.select) if each.props.get("label") == label]
    return found


def opened(visitor: Visitor) -> list[str]:
    """Where the page leads to from now on."""
    paths: list[str] = []
    visitor.browser.navigate.to = paths.append  # type: ignore[assignment,method-assign]  # pages of others
    return paths


async def test_a_plan_takes_a_room_and_an_image() -> None:
    async with visiting(user=OPERATOR) as visitor:
        await visitor.open(start_path("Room 1"))
        assert choice(visitor, "Room").value == "Room 1"
        (button,) = [each for each in visitor.all(ui.button) if each.text == "Make the plan"]
        assert not button.enabled
        choice(visitor, "Image").value = "lab-ubuntu"
        assert choice(visitor, "Version").value == NEWEST
        assert choice(visitor, "Version").options == {NEWEST: "newest (version 2)", 2: "2", 1: "1"}
        assert visitor.says("20 of 22 machines of Room 1 switched on; the others are left out")
        choice(visitor, "Version").value = 1
        assert visitor.says("Version 1: a disk of")
        paths = opened(visitor)
        await visitor.press("Make the plan")
        (plan,) = visitor.desk.played.sessions.values()
        assert (plan.image, plan.version, plan.ordered_by) == ("lab-ubuntu", 1, "otto")
        assert paths == [start_path(tsi=plan.tsi)]


async def test_a_refusal_stands_in_the_form_until_something_else_is_chosen() -> None:
    async with visiting(PlayedDesk(PlayedFleet(rooms=2)), OPERATOR) as visitor:
        visitor.desk.played.plan("Room 1")
        visitor.desk.advance(1)
        await visitor.open(start_path("Room 1"))
        choice(visitor, "Image").value = "lab-windows"
        await visitor.press("Make the plan")
        assert visitor.says("takes part in the plan of anna in Room 1: agree with anna, or end that first")
        choice(visitor, "Room").value = "Room 2"
        assert not visitor.says("agree with anna")


async def test_plans_that_wait_are_found_again() -> None:
    async with visiting(user=OPERATOR) as visitor:
        await visitor.open(start_path())
        assert not visitor.says("Plans that wait")
        tsi = visitor.desk.played.plan("Room 1")
        await visitor.after(1)
        (link,) = visitor.all(ui.link, classes="session-link")
        assert link.props["href"] == start_path(tsi=tsi)
        assert visitor.says("20 machines, planned by anna")


async def test_a_library_that_is_not_known_yet_is_not_an_empty_one(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = PlayedDesk()
    picture = desk.fleet
    is_known = is_empty = False

    def as_told() -> FleetView:
        now = picture()
        images = () if is_empty or not is_known else now.images
        return dataclasses.replace(now, images=images, is_library_known=is_known)

    monkeypatch.setattr(desk, "fleet", as_told)
    async with visiting(desk, OPERATOR) as visitor:
        await visitor.open(start_path())
        assert visitor.says(READING)
        is_known = is_empty = True
        await visitor.after(1)
        assert visitor.says(NO_IMAGES)
        is_empty = False
        await visitor.after(1)
        assert not visitor.says(NO_IMAGES)
        assert "lab-ubuntu" in choice(visitor, "Image").options


async def test_what_is_chosen_stays_when_the_library_changes() -> None:
    async with visiting(user=OPERATOR) as visitor:
        await visitor.open(start_path("Room 1"))
        choice(visitor, "Image").value = "lab-ubuntu"
        choice(visitor, "Version").value = 1
        visitor.desk.played.images.append(visitor.desk.played._image("lab-ubuntu", 3))
        visitor.desk._told("")
        await visitor.after(12)
        assert choice(visitor, "Version").value == 1
        assert choice(visitor, "Version").options[NEWEST] == "newest (version 3)"


async def test_hostile_names_are_texts() -> None:
    async with visiting(PlayedDesk(PlayedFleet(hostile=True)), OPERATOR) as visitor:
        await visitor.open(start_path())
        choice(visitor, "Image").value = HOSTILE_TEXT[:64]
        await visitor.after(1)
        assert not visitor.all(ui.html)
        assert visitor.all(ui.link, classes="session-link")


async def test_a_plan_begins_with_the_policy_of_its_room() -> None:
    desk = PlayedDesk(PlayedFleet(rooms=2))
    policy = RoomPolicy(image="lab-windows", configuration="windows", backs_up=True)
    first, second = desk.played.rooms.rooms
    desk.played.rooms = Rooms(rooms=(first, msgspec.structs.replace(second, policy=policy)))
    asked: list[PlanOrder] = []
    plan = desk.plan

    async def noted(user: User, order: PlanOrder) -> str:
        asked.append(order)
        return await plan(user, order)

    desk.plan = noted  # type: ignore[method-assign]  # to see what the page orders
    async with visiting(desk, OPERATOR) as visitor:
        await visitor.open(start_path("Room 1"))
        assert choice(visitor, "Image").value is None
        choice(visitor, "Room").value = "Room 2"
        assert choice(visitor, "Image").value == "lab-windows"
        assert choice(visitor, "Done to each disk afterwards").value == "windows"
        opened(visitor)
        await visitor.press("Make the plan")
        assert asked == [PlanOrder(room="Room 2", image="lab-windows", configuration="windows", backs_up=True)]


async def test_the_address_may_name_image_and_version() -> None:
    async with visiting(user=OPERATOR) as visitor:
        await visitor.open(start_path("Room 1", image="lab-ubuntu", version=1))
        chosen = {select.props.get("label"): select.value for select in visitor.all(ui.select)}
        assert (chosen["Room"], chosen["Image"], chosen["Version"]) == ("Room 1", "lab-ubuntu", 1)
        for query in ("image=nothing&version=7", "image=lab-ubuntu&version=x", "image=lab-ubuntu&version=99"):
            await visitor.open(f"/start?{query}")
            chosen = {select.props.get("label"): select.value for select in visitor.all(ui.select)}
            assert chosen["Image"] in {None, "lab-ubuntu"}
            assert chosen["Version"] in {None, NEWEST}


async def test_backups_are_no_images_for_a_room() -> None:
    desk = PlayedDesk()
    desk.played.captures.kept.append(("backup-pc-1", True))
    desk.advance(12)
    async with visiting(desk, OPERATOR) as visitor:
        await visitor.open("/start")
        select = choice(visitor, "Image")
        assert set(select.options) == {"lab-ubuntu", "lab-windows"}


async def test_what_follows_is_of_the_image_or_nothing_or_named() -> None:
    async with visiting(user=OPERATOR) as visitor:
        await visitor.open("/start")
        select = choice(visitor, "Done to each disk afterwards")
        assert dict(select.options) == {
            "": CONFIGURED_BY_IMAGE,
            NO_CONFIGURATION: NOT_CONFIGURED,
            "lab": "lab",
            "windows": "windows",
        }
