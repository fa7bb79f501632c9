import pytest
from nicegui import ui

from dashboards.pages.health_page import ALL_WELL
from tests.dashboards.pages.visitor import visiting

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]


async def test_all_is_well() -> None:
    async with visiting() as visitor:
        await visitor.open("/health-page")
        assert visitor.says(ALL_WELL)
        assert {"connected", "heard", "39 % free", "link is up", "agree", "eth0"} <= set(visitor.texts())
        assert {link.props["href"] for link in visitor.all(ui.link)} >= {"/metrics", "/metrics/targets"}


async def test_problems_come_with_what_to_do_and_go() -> None:
    async with visiting() as visitor:
        await visitor.open("/health-page")
        visitor.desk.played.library_bytes_free = 1 << 30
        visitor.desk.played.warnings = ("the <b>switch</b> is on fire: put it out",)
        await visitor.after(1)
        assert visitor.says("The library is nearly full")
        assert visitor.says("the <b>switch</b> is on fire: put it out")
        assert "0 % free" in visitor.texts()
        visitor.desk.played.library_bytes_free = 400 << 30
        visitor.desk.played.warnings = ()
        await visitor.after(1)
        assert visitor.says(ALL_WELL)


async def test_a_silent_broadcaster_and_a_broker_that_is_gone() -> None:
    async with visiting() as visitor:
        await visitor.open("/health-page")
        visitor.desk.is_broadcaster_there = False
        await visitor.after(10)
        assert {"silent", "the broadcaster is silent"} <= set(visitor.texts())
        visitor.desk.is_broker_connected = False
        await visitor.after(1)
        assert "cannot be reached" in visitor.texts()
        assert visitor.says("The broker is gone")
