import asyncio

import pytest
from nicegui import ui

from dashboards.pages.dialogs import confirmed
from tests.dashboards.pages.visitor import Visitor, settled, visiting

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]


async def asked(visitor: Visitor, typed: str = "") -> "asyncio.Task[bool]":
    await visitor.open("/")

    async def ask() -> bool:
        with visitor.browser:
            return await confirmed("Stop <b>it</b>\u202e?", "Really?", "Stop it", typed=typed)

    task = asyncio.create_task(ask())
    await settled()
    return task


async def test_an_answer_is_an_answer() -> None:
    async with visiting() as visitor:
        for button, answer in (("Stop it", True), ("Cancel", False)):
            task = await asked(visitor)
            assert visitor.says("Stop <b>it</b>?")
            await visitor.press(button)
            assert await task is answer
            assert not visitor.says("Really?")


async def test_what_has_to_be_typed_has_to_be_typed() -> None:
    async with visiting() as visitor:
        task = await asked(visitor, "Room 1")
        (agree,) = [button for button in visitor.all(ui.button) if button.text == "Stop it"]
        (field,) = visitor.all(ui.input)
        for wrong in ("", "room 1", "Room 11", "Room"):
            field.value = wrong
            await visitor.fire(field, "keydown.enter")
            assert not agree.enabled
            assert not task.done()
        field.value = " Room 1 "
        assert agree.enabled
        await visitor.fire(field, "keydown.enter")
        assert await task is True
