import pytest
from nicegui import ui

from dashboards.pages.captures_page import MOST_LISTED, NOTHING_YET
from protocol.capture import CaptureStep
from tests.dashboards.pages.test_room_page import assert_nothing_is_evaluated
from tests.dashboards.pages.visitor import Visitor, visiting
from tests.dashboards.played_captures import ASKED, DONE, OPENED, RUNNING, capture_news
from tests.dashboards.played_desk import OPERATOR, VIEWER, PlayedDesk
from tests.dashboards.played_fleet import HOSTILE_TEXT

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]


def opened() -> PlayedDesk:
    desk = PlayedDesk()
    desk.played.captures.add(*OPENED)
    desk.advance()
    return desk


def titles(visitor: Visitor) -> list[str]:
    return [text for text in visitor.texts() if " into " in text and "library" not in text]


async def test_says_so_when_there_is_none() -> None:
    async with visiting(user=VIEWER) as visitor:
        await visitor.open("/captures")
        assert visitor.says(NOTHING_YET)
        assert not visitor.all_buttons("Capture a machine")


async def test_shows_each_in_its_list_and_follows_it() -> None:
    desk = opened()
    async with visiting(desk, VIEWER) as visitor:
        await visitor.open("/captures")
        for words in ("Wait for an operator", "On their way", "Ended a short while ago", "It is version 3 of windows."):
            assert visitor.says(words)
        assert titles(visitor) == ["seat 7 into windows"] * 3
        (bar,) = visitor.all(ui.linear_progress)
        before = bar.value
        await visitor.after(5)
        (bar,) = visitor.all(ui.linear_progress)
        assert bar.value > before
        desk.played.captures.change(RUNNING, step=CaptureStep.FAILED, reason="its disk cannot be read")
        await visitor.after(1)
        assert visitor.says("its disk cannot be read")
        assert not visitor.says("On their way")
        assert not visitor.all(ui.linear_progress)
        desk.played.captures.all.clear()
        await visitor.after(1)
        assert visitor.says(NOTHING_YET)


async def test_what_runs_stands_before_what_waits_and_keeps_its_row() -> None:
    desk = PlayedDesk()
    desk.played.captures.add(
        capture_news("1" * 16, CaptureStep.ORDERED, seat="first", began_at=1.0),
        capture_news("2" * 16, CaptureStep.RUNNING, seat="second"),
    )
    desk.played.captures.play = lambda _: None  # type: ignore[method-assign, assignment]  # stands still
    desk.advance()
    async with visiting(desk, VIEWER) as visitor:
        await visitor.open("/captures")
        assert titles(visitor) == ["second into windows", "first into windows"]
        rows = {row.id for row in visitor.all(ui.element, classes="capture")}
        desk.played.captures.change("2" * 16, step=CaptureStep.ORDERED)
        await visitor.after(1)
        assert titles(visitor) == ["first into windows", "second into windows"]
        assert {row.id for row in visitor.all(ui.element, classes="capture")} == rows


async def test_a_list_is_not_endless() -> None:
    desk = PlayedDesk()
    desk.played.captures.add(*(capture_news(f"{number:016x}", CaptureStep.DONE) for number in range(MOST_LISTED + 7)))
    desk.advance()
    async with visiting(desk, VIEWER) as visitor:
        await visitor.open("/captures")
        assert len(visitor.all(ui.element, classes="capture")) == MOST_LISTED
        assert visitor.says("and 7 more")


async def test_each_role_is_offered_what_it_may() -> None:
    for user, offered in ((VIEWER, set()), (OPERATOR, {"Allow or refuse", "Stop", "Capture a machine"})):
        async with visiting(opened(), user) as visitor:
            await visitor.open("/captures")
            found = {button.text for button in visitor.all(ui.button)}
            assert found & {"Allow or refuse", "Stop", "Capture a machine"} == offered
            assert "Findings (1)" in found


async def test_hostile_texts_are_texts() -> None:
    desk = PlayedDesk()
    text = HOSTILE_TEXT[:64]
    for capture_id, step in ((ASKED, CaptureStep.ASKED), (RUNNING, CaptureStep.RUNNING), (DONE, CaptureStep.DONE)):
        desk.played.captures.add(
            capture_news(capture_id, step, machine=text, seat=text, image=text, target=text, reason=HOSTILE_TEXT[:400])
        )
    desk.advance()
    async with visiting(desk, OPERATOR) as visitor:
        await visitor.open("/captures")
        assert visitor.says("<script>alert(1)</script>")
        assert not visitor.all(ui.html)
        assert_nothing_is_evaluated(visitor)
