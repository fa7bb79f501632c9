"""A moment, shown in the zone and the manner of whoever looks.

Only the browser knows both, so it is the one that writes the words: what is sent is a number in an expression of ours.
"""

from datetime import UTC, datetime
from typing import Final

from nicegui import ui

TIME: Final = "toLocaleTimeString([], {hour: '2-digit', minute: '2-digit', second: '2-digit'})"
DATE_AND_TIME: Final = "toLocaleString([], {dateStyle: 'medium', timeStyle: 'short'})"
_LATEST: Final = 253_402_300_799.0
"""[s since 1970] the end of the year 9999, the last that a datetime can say"""


class LocalTime(ui.element):
    """``at`` [s since 1970] as the time of day, or with its date; the tooltip has all of it."""

    def __init__(self, at: float, *, with_date: bool = False) -> None:
        super().__init__("time")
        self._with_date = with_date
        self.show(at)

    def show(self, at: float) -> None:
        """Show another moment."""
        at = min(max(float(at), 0.0), _LATEST)
        moment = f"new Date({at * 1000:.0f})"
        self.props["datetime"] = datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")
        self.props[":textContent"] = f"{moment}.{DATE_AND_TIME if self._with_date else TIME}"
        self.props[":title"] = f"{moment}.toString()"
