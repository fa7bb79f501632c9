from typing import Any

import pytest
from nicegui import ui

from dashboards.pages.capture_decision import NOT_LOOKED, NOTHING_FOUND
from protocol.capture import CaptureStep
from protocol.commands import AnyCommand, CaptureMachine, DecideCapture, FetchFindings
from tests.dashboards.pages.test_captures_page import opened
from tests.dashboards.pages.visitor import Visitor, visiting
from tests.dashboards.played_captures import ASKED, DONE, FINDING
from tests.dashboards.played_desk import OPERATOR, VIEWER, PlayedDesk

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]

WARNING = {"kind": "warning", "code": "machine-id", "where": "/etc/machine-id", "text": "every copy has the same"}
DIRTY = {"kind": "refusal", "code": "dirty", "where": "partition 2", "text": "was not cleanly unmounted"}


def given(desk: PlayedDesk) -> list[AnyCommand]:
    return [command for command, _ in desk.capture_orders.given if not isinstance(command, FetchFindings)]


def tick(visitor: Visitor, part: str, value: bool = True) -> None:
    (box,) = [box for box in visitor.all(ui.checkbox) if part in box.text]
    box.value = value


async def test_findings_are_shown_before_a_wish_is_allowed() -> None:
    desk = opened()
    desk.played.captures.findings[ASKED] = [WARNING, DIRTY]
    async with visiting(desk, OPERATOR) as visitor:
        await visitor.open("/captures")
        await visitor.press("Allow or refuse")
        for words in ("/etc/machine-id", "every copy has the same", "was not cleanly unmounted"):
            assert visitor.says(words)
        assert [box.text for box in visitor.all(ui.checkbox)] == [
            "Capture although there is a file system that was not cleanly unmounted"
        ]
        tick(visitor, "not cleanly unmounted")
        await visitor.press("Allow")
        assert given(desk) == [DecideCapture(capture_id=ASKED, is_allowed=True, accepts=("dirty",))]
        assert not visitor.says("every copy has the same")


async def test_a_wish_of_a_machine_that_has_not_looked_yet() -> None:
    desk = opened()
    desk.played.captures.change(ASKED, findings=0)
    desk.advance()
    async with visiting(desk, OPERATOR) as visitor:
        await visitor.open("/captures")
        await visitor.press("Allow or refuse")
        assert visitor.says(NOT_LOOKED)
        tick(visitor, "failing")
        await visitor.press("Refuse")
        assert given(desk) == [DecideCapture(capture_id=ASKED, is_allowed=False)]
        await visitor.after(1)
        assert visitor.says("refused by otto")


async def test_what_was_refused_can_be_captured_again_with_all_of_it_accepted() -> None:
    desk = opened()
    desk.played.captures.change(DONE, step=CaptureStep.REFUSED, findings=2, version=0)
    desk.played.captures.findings[DONE] = [FINDING, DIRTY]
    desk.advance()
    async with visiting(desk, OPERATOR) as visitor:
        await visitor.open("/captures")
        await visitor.press("Findings (2)")
        assert not visitor.all_buttons("Allow")
        tick(visitor, "BitLocker")
        await visitor.press("Capture again")
        assert visitor.says("Tick all that refused it")
        assert not given(desk)
        tick(visitor, "not cleanly unmounted")
        await visitor.press("Capture again")
        order = CaptureMachine(machine="52:54:00:12:34:56", image="windows", accepts=("bitlocker", "dirty"))
        assert given(desk) == [order]


async def test_a_refusal_by_the_desk_stays_in_the_dialog() -> None:
    desk = opened()
    async with visiting(desk, OPERATOR) as visitor:
        await visitor.open("/captures")
        await visitor.press("Allow or refuse")
        desk.played.captures.change(ASKED, step=CaptureStep.ORDERED)
        desk.advance()
        await visitor.press("Allow")
        assert visitor.says("was decided already")


async def test_who_only_looks_decides_nothing() -> None:
    desk = opened()
    desk.played.captures.findings[DONE] = [WARNING]
    async with visiting(desk, VIEWER) as visitor:
        await visitor.open("/captures")
        buttons: list[Any] = visitor.all_buttons("Findings (1)")
        await visitor.fire(buttons[-1], "click")
        assert visitor.says("every copy has the same")
        assert not visitor.all(ui.checkbox)
        assert not visitor.all_buttons("Allow") + visitor.all_buttons("Capture again")
        assert not visitor.says(NOTHING_FOUND)
