import pytest
from nicegui import ui

from dashboards.pages.paths import session_path
from dashboards.pages.session_actions import unfinished
from protocol.operators import SessionStep
from tests.dashboards.pages.visitor import Visitor, visiting
from tests.dashboards.played_desk import OPERATOR, VIEWER, PlayedDesk

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]

ACTIONS = {"Look at the plan", "Pause", "Continue", "Retry failed seats", "Stop", "Drop the plan"}


def played(seconds: int = 0, *, start: bool = True) -> tuple[PlayedDesk, str]:
    desk = PlayedDesk()
    tsi = desk.played.plan("Room 1")
    if start:
        desk.played.start(tsi)
    desk.advance(seconds + 1)
    return desk, tsi


def offered(visitor: Visitor) -> set[str]:
    return {button.text for button in visitor.all(ui.button)} & ACTIONS


async def test_what_is_offered_follows_the_session() -> None:
    desk, tsi = played(start=False)
    async with visiting(desk, OPERATOR) as visitor:
        await visitor.open(session_path(tsi))
        assert offered(visitor) == {"Look at the plan", "Drop the plan"}
        desk.played.start(tsi)
        await visitor.after(20)
        assert offered(visitor) == {"Pause", "Stop"}
        await visitor.press("Pause")
        await visitor.after(1)
        assert desk.played.sessions[tsi].step is SessionStep.PAUSED
        assert offered(visitor) == {"Continue", "Stop"}
        await visitor.press("Continue")
        await visitor.after(200)
        assert offered(visitor) == {"Retry failed seats"}
        visitor.user = VIEWER
        await visitor.open(session_path(tsi))
        assert not offered(visitor)


async def test_stopping_takes_the_name_of_the_room() -> None:
    desk, tsi = played(30)
    async with visiting(desk, OPERATOR) as visitor:
        await visitor.open(session_path(tsi))
        await visitor.press("Stop")
        (agree,) = [button for button in visitor.all(ui.button) if button.text == "Stop the session"]
        assert not agree.enabled
        (field,) = [field for field in visitor.all(ui.input) if field.props.get("label") == "Confirmation"]
        field.value = "Room 1"
        await visitor.fire(agree, "click")
        assert desk.played.sessions[tsi].end_reason == "stopped by otto"


async def test_retrying_opens_a_plan_for_those_that_did_not_finish() -> None:
    desk, tsi = played(200)
    session = desk.session(tsi)
    assert session is not None
    async with visiting(desk, OPERATOR) as visitor:
        await visitor.open(session_path(tsi))
        await visitor.press("Retry failed seats")
        assert visitor.says(f"Retry {len(unfinished(session))} seats?")
        (agree,) = [button for button in visitor.all(ui.button) if button.text == "Make the plan"]
        opened: list[str] = []
        visitor.browser.navigate.to = opened.append  # type: ignore[assignment,method-assign]  # a page of others
        await visitor.fire(agree, "click")
        (plan,) = [session for session in desk.played.sessions.values() if session.tsi != tsi]
        assert opened == [f"/start?tsi={plan.tsi}"]
        assert {seat.machine for seat in plan.seats} <= set(unfinished(session))


async def test_a_refusal_is_said_in_words() -> None:
    desk, tsi = played(30)
    async with visiting(desk, OPERATOR) as visitor:
        await visitor.open(session_path(tsi))
        visitor.user = VIEWER
        await visitor.press("Pause")
        assert desk.played.sessions[tsi].step is SessionStep.RUNNING
        assert visitor.browser.notify.messages
