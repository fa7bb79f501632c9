import pytest
from nicegui import ui

from dashboards.pages.paths import room_path
from tests.dashboards.pages.visitor import visiting
from tests.dashboards.played_desk import OPERATOR, VIEWER, PlayedDesk
from tests.dashboards.played_fleet import PlayedFleet

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]

ROOM = room_path("Room 1")


async def test_words_are_shown_and_one_is_admitted() -> None:
    async with visiting(user=OPERATOR) as visitor:
        await visitor.open(ROOM)
        assert visitor.says("2 receivers wait")
        assert visitor.texts().count("abandon ability able about above absent") == 2
        (admit,) = [button for button in visitor.all(ui.button) if button.props.get("aria-label") == "Admit pc-new-1"]
        await visitor.fire(admit, "click")
        await visitor.ticker.tick()
        assert visitor.says("1 receiver waits")
        assert visitor.browser.notify.contains("pc-new-1 is let in.")


async def test_all_are_admitted_only_with_the_right_count() -> None:
    async with visiting(user=OPERATOR) as visitor:
        await visitor.open(ROOM)
        (field,) = [field for field in visitor.all(ui.input) if field.props.get("label") == "How many wait?"]
        for wrong in ("", "3", "two"):
            field.value = wrong
            await visitor.press("Admit all")
            assert len(visitor.desk.played.applicants) == 2
            assert "That is not how many wait" in field.props["error-message"]
        field.value = " 2 "
        await visitor.press("Admit all")
        assert not visitor.desk.played.applicants
        await visitor.ticker.tick()
        assert not visitor.says("Admit a receiver only if")


async def test_refusing_is_confirmed() -> None:
    async with visiting(user=OPERATOR) as visitor:
        await visitor.open(ROOM)
        (refuse,) = [button for button in visitor.all(ui.button) if button.props.get("aria-label") == "Refuse pc-new-2"]
        await visitor.fire(refuse, "click")
        assert len(visitor.desk.played.applicants) == 2
        agree = [button for button in visitor.all(ui.button) if button.text == "Refuse"][-1]
        await visitor.fire(agree, "click")
        assert list(visitor.desk.played.applicants.values()) == ["pc-new-1"]


async def test_a_viewer_sees_who_waits() -> None:
    async with visiting(PlayedDesk(PlayedFleet(hostile=True)), VIEWER) as visitor:
        await visitor.open(ROOM)
        assert visitor.says("3 receivers wait")
        assert not [button for button in visitor.all(ui.button) if button.text in {"Admit", "Refuse", "Admit all"}]
