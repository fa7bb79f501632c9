"""The picker in the header: from any page to each room and each open session."""

from typing import Final

from nicegui import ui

from dashboards.fleet.views import FleetView
from dashboards.pages.paths import ROOMS, room_path, session_path
from dashboards.pages.seat_words import STEP_SIGNS, plain
from dashboards.pages.visit import Visit
from protocol.operators import SessionStep

MOST_LISTED: Final = 40
"""[entries] of the picker; a fleet with more rooms has the page of all rooms, which can be searched"""


class PlacePicker:
    """A button that names where the page is, and opens the list of rooms and open sessions."""

    def __init__(self, visit: Visit) -> None:
        self._listed: object = None
        here = visit.parameters.get("room", "")
        with ui.button(here or "Rooms and sessions", color=None).props(
            'flat no-caps icon-right="expand_more"'
        ) as self._button:
            self._button.classes("picker").props["aria-label"] = "Choose a room or a session"
            with ui.menu().props("auto-close"):
                self._list = ui.list().classes("picker-list")

    def look(self, picture: FleetView) -> None:
        """Make the list anew if rooms or sessions have come or gone."""
        rooms = [(room.name, room.step) for room in picture.rooms[:MOST_LISTED]]
        sessions = [
            (session.tsi, session.room, session.image)
            for session in picture.sessions[:MOST_LISTED]
            if session.step is not SessionStep.ENDED
        ]
        if self._listed == (rooms, sessions):
            return
        self._listed = rooms, sessions
        self._list.clear()
        with self._list:
            ui.item_label("Rooms").props("header")
            for name, step in rooms:
                _item(name, STEP_SIGNS[step].word if step else "", room_path(name))
            if not rooms:
                _item("No room yet", "", ROOMS)
            if sessions:
                ui.separator()
                ui.item_label("Open sessions").props("header")
            for tsi, room, image in sessions:
                _item(image, f"in {plain(room)}" if room else tsi, session_path(tsi))


def _item(title: str, words: str, path: str) -> None:
    with ui.item().props("clickable tag=a") as item:
        item.props["href"] = path
        with ui.item_section():
            ui.item_label(title)
            if words:
                ui.item_label(words).props("caption")
