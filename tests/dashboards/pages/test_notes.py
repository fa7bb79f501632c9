import pytest
from nicegui import ui

from dashboards.pages.notes import Note
from tests.dashboards.pages.visitor import visiting

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]


async def test_is_there_while_it_says_something() -> None:
    async with visiting() as visitor:
        await visitor.open("/sessions")
        with visitor.browser._client:
            note = Note()
        assert not note.element.visible
        note.show("no \u202eseat: take another")
        assert visitor.says("no seat: take another")
        assert note.element.props["role"] == "alert"
        assert visitor.all(ui.icon, classes="")
        note.clear()
        assert not note.element.visible
