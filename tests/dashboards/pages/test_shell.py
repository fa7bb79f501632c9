from dataclasses import replace

import pytest
from nicegui import ui

from dashboards.fleet.views import Health
from dashboards.pages.paths import room_path
from dashboards.pages.shell import MENU, silence_in_words
from dashboards.user import Role
from tests.dashboards.pages.visitor import Visitor, visiting
from tests.dashboards.played_desk import VIEWER, PlayedDesk

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]

WELL = Health(True, "mqtts://192.0.2.1:8883", None, 0.4, True, ())


async def press_keys(visitor: Visitor, *keys: str, ctrl: bool = False) -> None:
    (keyboard,) = visitor.all(ui.keyboard)
    for key in keys:
        args = {"action": "keydown", "altKey": False, "ctrlKey": ctrl, "metaKey": False, "shiftKey": False}
        args |= {"key": key, "code": key, "location": 0, "repeat": False}
        await visitor.fire(keyboard, "key", args)


async def test_a_silent_broadcaster_is_said_with_the_age_of_the_data() -> None:
    async with visiting() as visitor:
        await visitor.open("/")
        assert visitor.says("live")
        assert not visitor.says("silent")
        visitor.desk.is_broadcaster_there = False
        await visitor.after(30)
        assert visitor.says("The broadcaster is silent. What you see was told 30 s ago.")
        assert visitor.says("30 s old")
        visitor.desk.is_broadcaster_there = True
        await visitor.after(2)
        assert not visitor.says("silent")
        assert visitor.says("live")


async def test_a_broker_that_is_gone_is_said() -> None:
    async with visiting() as visitor:
        await visitor.open("/")
        visitor.desk.is_broker_connected = False
        await visitor.after(5)
        assert visitor.says("The broker cannot be reached")
        assert visitor.says("no broker")


async def test_silence_says_how_old_the_picture_is() -> None:
    assert not silence_in_words(WELL)
    assert "Nothing has been heard yet." in silence_in_words(
        replace(WELL, age_seconds=None, is_broadcaster_heard=False)
    )
    assert "told 8 s ago" in silence_in_words(replace(WELL, age_seconds=8, is_broker_connected=False))


async def test_no_picture_is_said() -> None:
    async with visiting() as visitor:
        await visitor.open("/")

        def fail() -> None:
            raise ValueError

        visitor.ticker._make_picture = fail  # type: ignore[assignment]
        await visitor.ticker.tick()
        assert visitor.says("The console cannot make a new picture")


async def test_a_part_that_is_not_brought_up_to_date_is_said() -> None:
    async with visiting() as visitor:
        await visitor.open("/")
        watches = visitor.ticker._watches
        watches[-1].fault = "KeyError: 'x'"
        watches[-1]._look = lambda _: 1 / 0
        await visitor.ticker.tick()
        await visitor.ticker.tick()
        assert visitor.says("A part of this page is not brought up to date: ZeroDivisionError")
        watches[-1]._look = lambda _: None
        await visitor.ticker.tick()


async def test_new_trouble_is_read_aloud() -> None:
    desk = PlayedDesk()
    desk.played.start(desk.played.plan("Room 1"))
    desk.advance(12)
    async with visiting(desk) as visitor:
        await visitor.open("/")
        (live,) = visitor.all(ui.label, classes="only-read-aloud")
        assert live.props["aria-live"] == "polite"
        assert live.text == ""
        await visitor.after(40)
        assert "07 failed: /dev/sda" in live.text


async def test_shortcuts_open_pages_and_their_list() -> None:
    async with visiting() as visitor:
        await visitor.open("/")
        await press_keys(visitor, "x", "?")
        assert visitor.says("Shortcuts")
        opened: list[str] = []
        visitor.browser.navigate.to = opened.append  # type: ignore[assignment,method-assign]
        await press_keys(visitor, "g", "s", "s", "g", "x", "r")
        await press_keys(visitor, "g", "l", ctrl=True)
        assert opened == ["/sessions"]


async def test_everyone_is_offered_only_what_their_role_opens() -> None:
    async with visiting(user=VIEWER) as visitor:
        await visitor.open(room_path("Room 1"))
        links = [item.props["href"] for item in visitor.all(ui.item, classes="menu-item")]
        assert links == [entry.path for entry in MENU if entry.role is Role.VIEWER]
        skip = visitor.all(ui.skip_link)
        assert len(skip) == 1


async def test_a_hidden_tab_is_told_seldom() -> None:
    async with visiting() as visitor:
        await visitor.open("/")
        await visitor.fire(visitor.browser._client.layout, "slatecastVisibility", True)
        assert all(watch._is_hidden for watch in visitor.ticker._watches)
        await visitor.fire(visitor.browser._client.layout, "slatecastVisibility", False)
        assert not any(watch._is_hidden for watch in visitor.ticker._watches)
