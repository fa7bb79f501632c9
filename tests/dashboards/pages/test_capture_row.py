import pytest
from nicegui import ui

from protocol.capture import CaptureStep
from protocol.commands import StopCapture
from tests.dashboards.pages.test_captures_page import opened
from tests.dashboards.pages.test_library_page import named
from tests.dashboards.pages.visitor import visiting
from tests.dashboards.played_captures import RUNNING
from tests.dashboards.played_desk import OPERATOR

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]


async def test_stopping_is_asked_for_once() -> None:
    desk = opened()
    async with visiting(desk, OPERATOR) as visitor:
        await visitor.open("/captures")
        await visitor.press("Stop")
        assert visitor.says("what has arrived of it is forgotten")
        assert not desk.capture_orders.given
        await visitor.press("Stop the capture")
        assert desk.capture_orders.given == [(StopCapture(capture_id=RUNNING), "otto")]
        await visitor.after(1)
        assert visitor.says("stopped by otto")


async def test_its_buttons_are_named_after_it() -> None:
    async with visiting(opened(), OPERATOR) as visitor:
        await visitor.open("/captures")
        assert named(visitor, "Stop: seat 7 into windows")
        assert named(visitor, "Allow or refuse: seat 7 into windows")
        (bar,) = visitor.all(ui.linear_progress)
        assert bar.props["aria-label"] == "Capture of seat 7 into windows"


async def test_a_backup_is_called_so() -> None:
    desk = opened()
    machine = desk.fleet().rooms[0].seats[0].machine
    desk.played.captures.change(RUNNING, is_backup=True, machine=machine)
    desk.advance()
    async with visiting(desk, OPERATOR) as visitor:
        await visitor.open("/captures")
        assert visitor.says("Backup of 01 in Room 1")
        desk.played.captures.change(RUNNING, step=CaptureStep.DONE)
        await visitor.after(1)
        assert not visitor.all_buttons("Stop")


async def test_a_row_is_sent_again_only_when_it_has_changed() -> None:
    desk = opened()
    desk.played.captures.play = lambda _: None  # type: ignore[method-assign, assignment]  # stands still
    desk.advance()
    async with visiting(desk, OPERATOR) as visitor:
        await visitor.open("/captures")
        await visitor.after(1)
        outbox = visitor.browser._client.outbox
        rows = {each.id for row in visitor.all(ui.element, classes="capture") for each in row.descendants()}
        outbox.updates.clear()
        await visitor.after(1)
        assert not rows & set(outbox.updates)
        desk.played.captures.change(RUNNING, done=0.9)
        await visitor.after(1)
        assert rows & set(outbox.updates)
