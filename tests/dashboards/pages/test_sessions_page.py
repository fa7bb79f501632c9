import pytest
from nicegui import ui

from dashboards.pages.paths import session_path
from tests.dashboards.pages.visitor import visiting

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]


async def test_sessions_come_and_end() -> None:
    async with visiting() as visitor:
        await visitor.open("/sessions")
        assert visitor.says("No session is open")
        tsi = visitor.desk.played.plan("Room 1")
        await visitor.after(2)
        assert not visitor.says("No session is open")
        (card,) = visitor.all(ui.link, classes="glance")
        assert card.props["href"] == session_path(tsi)
        assert visitor.says("lab-ubuntu version 2")
        assert visitor.says("in Room 1, ordered by anna")
        assert visitor.says("planned, nothing is written")
        visitor.desk.played.stop(tsi)
        await visitor.after(2)
        assert visitor.says("ended")
