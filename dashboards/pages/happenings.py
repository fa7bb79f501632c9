"""What happened in a session, in words, the newest first."""

from typing import Final

from nicegui import ui

from dashboards.pages.local_time import LocalTime
from dashboards.pages.seat_words import SEVERITY_SIGNS
from dashboards.pages.words import section_title, tone_class
from protocol.operators import Happening

MOST_SHOWN: Final = 100
"""[entries] that the page keeps; all are in the report"""


class HappeningList:
    """Grows at its top."""

    def __init__(self) -> None:
        self._newest: Happening | None = None
        with ui.element("section").classes("panel"):
            section_title("What happened")
            self._nothing = ui.label("Nothing yet.").classes("muted")
            self._list = ui.element("ol").classes("plain-list happenings")
            self._list.props('tabindex=0 aria-label="What happened, the newest first"')

    def show(self, happenings: tuple[Happening, ...]) -> None:
        """Add what has come since the last look; ``happenings`` are the oldest first."""
        self._nothing.visible = not happenings
        if not happenings or happenings[-1] == self._newest:
            return
        known = max((index for index, one in enumerate(happenings) if one == self._newest), default=-1)
        if known < 0:
            self._list.clear()
        self._newest = happenings[-1]
        with self._list:
            for happening in happenings[known + 1 :]:
                _entry(happening).move(target_index=0)
        for oldest in list(self._list.default_slot.children)[MOST_SHOWN:]:
            oldest.delete()


def _entry(happening: Happening) -> ui.element:
    sign = SEVERITY_SIGNS[happening.severity]
    with ui.element("li").classes(f"happening {tone_class(sign)}") as entry:
        icon = ui.icon(sign.icon).props("role=img")
        icon.props["aria-label"] = sign.word
        with ui.element("div").classes("happening-words"):
            ui.label(happening.text).classes("wrap-text")
            with ui.element("div").classes("muted small"):
                LocalTime(happening.at)
    return entry
