import dataclasses

import pytest
from nicegui import ui

from dashboards.pages.library_page import BACKUPS, FIRMWARE_WORDS, NO_BACKUPS, NOTHING_YET
from dashboards.pages.library_words import READING
from protocol.backup_names import backup_name
from protocol.firmware import Firmware
from tests.dashboards.pages.visitor import Visitor, visiting
from tests.dashboards.played_desk import OPERATOR, VIEWER, PlayedDesk
from tests.dashboards.played_fleet import HOSTILE_TEXT, PlayedFleet

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]


def named(visitor: Visitor, label: str) -> ui.button:
    (found,) = [button for button in visitor.all(ui.button) if button.props.get("aria-label") == label]
    return found


async def test_shows_every_version_and_who_uses_it() -> None:
    async with visiting() as visitor:
        tsi = visitor.desk.played.plan("Room 1")
        await visitor.open("/library")
        await visitor.after(12)
        rows = [each for each in visitor.all(ui.element) if each.tag == "tr"]
        assert len(rows) == 1 + 3
        assert visitor.says("lab-windows")
        assert visitor.says("signed")
        (link,) = visitor.all(ui.link, classes="session-link")
        assert link.props["href"] == f"/sessions/{tsi}"


async def test_removing_takes_the_name_and_is_refused_while_it_is_used() -> None:
    async with visiting() as visitor:
        await visitor.open("/library")
        await visitor.fire(named(visitor, "Remove lab-ubuntu version 1"), "click")
        (field,) = [field for field in visitor.all(ui.input) if field.props.get("label") == "Confirmation"]
        (agree,) = [
            button for button in visitor.all(ui.button) if button.text == "Remove" and "aria-label" not in button.props
        ]
        assert not agree.enabled
        field.value = "lab-ubuntu 1"
        await visitor.fire(agree, "click")
        assert [(image.name, image.version) for image in visitor.desk.played.images] == [
            ("lab-ubuntu", 2),
            ("lab-windows", 1),
        ]
        assert visitor.says("are free again")
        visitor.desk.played.plan("Room 1")
        await visitor.after(12)
        await visitor.fire(named(visitor, "Remove lab-ubuntu version 2"), "click")
        assert visitor.browser.notify.contains("is used by a session: remove it when that has ended")
        assert not [field for field in visitor.all(ui.input) if field.props.get("label") == "Confirmation"]


async def test_each_role_is_offered_what_it_may() -> None:
    for user, offered in ((VIEWER, set()), (OPERATOR, {"Verify"})):
        async with visiting(user=user) as visitor:
            await visitor.open("/library")
            assert {button.text for button in visitor.all(ui.button)} & {"Verify", "Remove", "Import"} == offered


async def test_a_library_that_is_read_is_not_an_empty_one(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = PlayedDesk()
    picture = desk.fleet
    is_known = False
    monkeypatch.setattr(desk, "fleet", lambda: dataclasses.replace(picture(), images=(), is_library_known=is_known))
    async with visiting(desk) as visitor:
        await visitor.open("/library")
        assert visitor.says(READING)
        is_known = True
        await visitor.after(1)
        assert visitor.says(NOTHING_YET)


async def test_backups_are_listed_apart() -> None:
    desk = PlayedDesk()
    machine = desk.fleet().rooms[0].seats[0].machine
    desk.played.captures.kept.append((backup_name(machine), True))
    desk.advance(12)
    async with visiting(desk) as visitor:
        await visitor.open("/library")
        assert not visitor.says("backup-")
        (kind,) = visitor.all(ui.toggle, classes="theme-toggle")[-1:]
        kind.value = BACKUPS
        assert visitor.says(backup_name(machine))
        assert visitor.says("of 01 in Room 1")
        assert not visitor.says("lab-windows")
        desk.played.images = [image for image in desk.played.images if not image.name.startswith("backup-")]
        await visitor.after(12)
        assert visitor.says(NO_BACKUPS)


async def test_says_by_which_firmware_an_image_boots() -> None:
    async with visiting() as visitor:
        await visitor.open("/library")
        assert visitor.texts().count("BIOS and UEFI") == 2
        assert visitor.texts().count("UEFI") == 1
    assert set(FIRMWARE_WORDS) == set(Firmware)


async def test_hostile_names_are_texts() -> None:
    async with visiting(PlayedDesk(PlayedFleet(hostile=True))) as visitor:
        await visitor.open("/library")
        assert HOSTILE_TEXT[:64] in visitor.texts()
        assert not visitor.all(ui.html)
