import logging
from typing import Any

import pytest

from dashboards.fleet.views import FleetView
from dashboards.pages.ticker import HIDDEN_TICK_SECONDS, TICK_SECONDS, Ticker
from tests.dashboards.played_desk import PlayedDesk

pytestmark = pytest.mark.asyncio


class Page:
    """A client of NiceGUI, as far as the ticker knows it."""

    class page:  # noqa: N801 - as NiceGUI spells it
        path = "/"

    def __init__(self) -> None:
        self.is_deleted = False
        self.has_socket_connection = True
        self.seen: list[FleetView] = []
        self.missed: list[float] = []

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...


class Play:
    """A ticker over a played desk, a clock that is set, and a count of the pictures."""

    def __init__(self) -> None:
        self.now = 0.0
        self.pictures = 0
        self.is_broken = False
        self._desk = PlayedDesk()
        self.ticker = Ticker(self._picture, lambda: self.now)

    def _picture(self) -> FleetView:
        if self.is_broken:
            raise ValueError("no")
        self.pictures += 1
        return self._desk.fleet()

    def watch(self, page: Page, look: Any = None) -> Any:
        return self.ticker.watch(page, look or page.seen.append, page.missed.append)  # type: ignore[arg-type]

    async def tick(self, seconds: float = TICK_SECONDS) -> None:
        self.now += seconds
        await self.ticker.tick()


async def test_one_picture_for_all_pages() -> None:
    play, first, second = Play(), Page(), Page()
    play.watch(first)
    play.watch(second)
    await play.tick()
    await play.tick()
    assert (len(first.seen), len(second.seen), play.pictures) == (2, 2, 2)


async def test_no_picture_while_nobody_looks() -> None:
    play, page = Play(), Page()
    await play.tick()
    page.has_socket_connection = False
    play.watch(page)
    await play.tick()
    page.has_socket_connection, page.is_deleted = True, True
    await play.tick()
    assert play.pictures == 0


async def test_a_page_that_throws_stops_no_other(caplog: pytest.LogCaptureFixture) -> None:
    play, broken, whole = Play(), Page(), Page()

    def fail(_: FleetView) -> None:
        raise KeyError("seat")

    watch = play.watch(broken, fail)
    play.watch(whole)
    with caplog.at_level(logging.ERROR):
        await play.tick()
        await play.tick()
    assert len(whole.seen) == 2
    assert watch.fault == "KeyError: 'seat'"
    assert len(caplog.records) == 1, "it is logged once, and not once a second"


async def test_a_hidden_page_looks_seldom_and_at_once_when_it_is_seen() -> None:
    play, page = Play(), Page()
    watch = play.watch(page)
    watch.set_hidden(True)
    for _ in range(int(HIDDEN_TICK_SECONDS / TICK_SECONDS)):
        await play.tick()
    assert len(page.seen) == 1
    watch.set_hidden(False)
    await play.tick(0.1)
    assert len(page.seen) == 2


async def test_pages_are_told_when_there_is_no_picture(caplog: pytest.LogCaptureFixture) -> None:
    play, page = Play(), Page()
    play.watch(page)
    await play.tick()
    play.is_broken = True
    with caplog.at_level(logging.CRITICAL):
        await play.tick(3)
        await play.tick(4)
    assert page.missed == [3, 7]
    play.is_broken = False
    await play.tick()
    assert len(page.seen) == 2


async def test_a_picture_is_made_at_most_once_a_second() -> None:
    play = Play()
    play.ticker.picture()
    play.now += TICK_SECONDS / 2
    play.ticker.picture()
    assert play.pictures == 1
    play.ticker.renew()
    play.now += TICK_SECONDS
    play.ticker.picture()
    assert play.pictures == 3
