"""The clock of the console: one picture of the fleet at each tick for all open pages together.

A page leaves a function with ``Ticker.watch``, which is called with each new picture in the page's own context, and
which changes what has changed since its last look. A page that throws is told so and never stops the others; one in a
hidden tab is called seldom, and at once when it is seen again. Nobody looks: no picture is made.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Final

from nicegui import Client

from dashboards.fleet.views import FleetView

TICK_SECONDS: Final = 0.5
"""[s] between two pictures: with the way to a browser, what operators see is less than a second old"""

HIDDEN_TICK_SECONDS: Final = 15.0
"""[s] between two looks of a page in a hidden tab: enough for its title and for little to do when it is seen again"""

Look = Callable[[FleetView], object]

_logger = logging.getLogger(__name__)


class Watch:
    """A page that watches; ``fault`` is what was wrong with its last look, or empty."""

    def __init__(self, client: Client, look: Look, missed: Callable[[float], object] | None) -> None:
        self.client = client
        self.fault = ""
        self._look = look
        self._missed = missed
        self._is_hidden = False
        self._looked_at = float("-inf")

    def set_hidden(self, is_hidden: bool) -> None:
        """Whether its tab is in the background now."""
        self._is_hidden = is_hidden
        if not is_hidden:
            self._looked_at = float("-inf")

    def is_due(self, now: float) -> bool:
        """Whether it wants a picture: its browser is there, and its tab is seen or has waited long enough."""
        if not self.client.has_socket_connection:
            return False
        return not self._is_hidden or now - self._looked_at >= HIDDEN_TICK_SECONDS

    def look(self, picture: FleetView, now: float) -> None:
        """Let it look; what goes wrong stays in ``fault``."""
        self._looked_at = now
        self._call(lambda: self._look(picture))

    def miss(self, age: float) -> None:
        """Tell it that there is no new picture, and the age [s] of the last."""
        missed = self._missed
        if missed is not None:
            self._call(lambda: missed(age))

    def _call(self, call: Callable[[], object]) -> None:
        try:
            with self.client:
                call()
        except Exception as error:  # whatever one page does wrong, the others must go on
            fault = f"{type(error).__name__}: {error}"
            if fault != self.fault:
                _logger.exception("page %s cannot be brought up to date", self.client.page.path)
            self.fault = fault
        else:
            self.fault = ""


class Ticker:
    """Makes the pictures; ``make_picture`` is ``Desk.fleet``, ``clock`` is monotonic seconds."""

    def __init__(self, make_picture: Callable[[], FleetView], clock: Callable[[], float] = time.monotonic) -> None:
        self._make_picture = make_picture
        self._clock = clock
        self._watches: list[Watch] = []
        self._picture: FleetView | None = None
        self._made_at = float("-inf")

    def picture(self) -> FleetView:
        """The newest picture, at most a second old."""
        now = self._clock()
        if self._picture is None or now - self._made_at >= TICK_SECONDS:
            return self.renew()
        return self._picture

    def renew(self) -> FleetView:
        """A picture made now: for the page that has just changed something."""
        self._picture = self._make_picture()
        self._made_at = self._clock()
        return self._picture

    def watch(self, client: Client, look: Look, missed: Callable[[float], object] | None = None) -> Watch:
        """Call ``look`` with each new picture until ``client`` is gone; ``missed`` with an age when there is none."""
        watch = Watch(client, look, missed)
        self._watches.append(watch)
        return watch

    async def tick(self) -> None:
        """Show one new picture to every page that is due."""
        self._watches = [watch for watch in self._watches if not watch.client.is_deleted]
        now = self._clock()
        due = [watch for watch in self._watches if watch.is_due(now)]
        if not due:
            return
        try:
            picture = self.renew()
        except Exception:  # pages keep the last picture and say how old it is; the next second may do better
            _logger.exception("no picture of the fleet can be made")
            for watch in due:
                watch.miss(now - self._made_at)
            return
        for watch in due:
            watch.look(picture, now)
            await asyncio.sleep(0)  # requests and other pages have their turn between two big ones
