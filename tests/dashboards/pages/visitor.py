"""A simulated browser on the pages of a played console: no socket, no second that passes by itself."""

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from nicegui import ElementFilter, ui
from nicegui.testing import User as Browser
from nicegui.testing.user_simulation import user_simulation

from dashboards.access.access import Access
from dashboards.api.work import Work
from dashboards.pages.registration import pages
from dashboards.pages.ticker import Ticker
from dashboards.user import User
from tests.dashboards.pages.played_access import played_access
from tests.dashboards.played_desk import ADMIN, PlayedDesk

Kind = TypeVar("Kind", bound=ui.element)


@dataclass
class Visitor:
    """Somebody who looks at the pages."""

    browser: Browser
    desk: PlayedDesk
    ticker: Ticker
    user: User | None
    access: Access = field(default_factory=played_access)
    work: Work = field(default_factory=Work)

    async def open(self, path: str) -> None:
        """Load a page."""
        await self.browser.open(path)

    async def after(self, seconds: int) -> None:
        """Let the play go on for a while, and the page look at it."""
        self.desk.advance(seconds)
        await self.ticker.tick()

    def all(self, kind: type[Kind], **wanted: Any) -> list[Kind]:
        """The elements of a kind that are to be seen; ``classes`` names one class that they must have."""
        name = wanted.pop("classes", "")
        with self.browser:
            found = list(ElementFilter(kind=kind, **wanted))
        return [element for element in found if is_seen(element) and (not name or name in element.classes)]

    def texts(self) -> list[str]:
        """Every text of the page that is to be seen."""
        with self.browser:
            found = list(ElementFilter(kind=ui.element))
        return [element._text for element in found if element._text and is_seen(element)]

    def says(self, part: str) -> bool:
        """Whether some text that is to be seen holds ``part``."""
        return any(part in text for text in self.texts())

    def all_buttons(self, text: str) -> list[ui.button]:
        """The buttons with that text that are to be seen."""
        return [button for button in self.all(ui.button) if button.text == text]

    async def press(self, text: str) -> None:
        """Press the one button with that text."""
        (button,) = [button for button in self.all(ui.button) if button.text == text]
        await self.fire(button, "click")

    async def fire(self, element: ui.element, event: str, args: Any = None) -> None:
        """Let the browser tell of an event, and wait until the console has answered."""
        listeners = [listener for listener in element._event_listeners.values() if listener.type == event]
        assert listeners, f"nobody listens to {event} of {element}"
        for listener in listeners:
            element._handle_event({"listener_id": listener.id, "args": args})
        await settled()


async def settled() -> None:
    """Let everything run that can run now."""
    for _ in range(20):
        await asyncio.sleep(0)


def is_seen(element: ui.element) -> bool:
    """Whether neither it nor what it is in is hidden."""
    current: ui.element | None = element
    while current is not None:
        if not current.visible or (isinstance(current, ui.dialog) and not current.value):
            return False
        slot = current.parent_slot
        current = slot.parent if slot else None
    return True


@asynccontextmanager
async def visiting(desk: PlayedDesk | None = None, user: User | None = ADMIN) -> AsyncIterator[Visitor]:
    """Pages over a played desk, and who looks at them."""
    with modules_kept():
        async with user_simulation(lambda: None) as browser:
            played = desk or PlayedDesk()
            visitor = Visitor(browser, played, None, user)  # type: ignore[arg-type]  # filled in at once
            visitor.ticker = pages(played, visitor.access, visitor.work, lambda _: visitor.user)
            yield visitor
            await visitor.work.close()
            faults = [watch.fault for watch in visitor.ticker._watches if watch.fault]
            assert not faults, faults


@contextmanager
def modules_kept() -> Iterator[None]:
    """NiceGUI forgets pages' modules and their parents at its end; a later import would make them a second time."""
    modules = sys.modules.copy()
    try:
        yield
    finally:
        sys.modules.update(modules)
