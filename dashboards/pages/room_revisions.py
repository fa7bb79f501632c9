"""The revisions of the rooms: who saved them when, and the way back to one."""

from collections.abc import Callable
from typing import Final

from nicegui import ui

from dashboards.pages.dialogs import confirmed
from dashboards.pages.local_time import LocalTime
from dashboards.pages.seat_words import plain
from dashboards.pages.visit import Visit
from dashboards.pages.words import section_title
from dashboards.rooms.rooms_file import Origin
from dashboards.user import Role

MOST_SHOWN: Final = 50
"""[revisions] as many as are kept"""


class RoomRevisions:
    """The panel; ``on_restored`` is called when another revision is in force, ``is_dirty`` tells what would be lost."""

    def __init__(self, visit: Visit, on_restored: Callable[[], object], is_dirty: Callable[[], bool]) -> None:
        self._visit = visit
        self._on_restored = on_restored
        self._is_dirty = is_dirty
        self._shown: tuple[Origin, ...] | None = None
        with ui.element("section").classes("panel side-panel"):
            section_title("Revisions")
            self._nothing = ui.label("Nothing was saved yet.").classes("muted small")
            self._list = ui.element("ol").classes("plain-list revisions").props('tabindex=0 aria-label="Revisions"')

    def show(self) -> None:
        """Show what is kept now."""
        origins: tuple[Origin, ...] = self._visit.desk.room_revisions(self._visit.user)[:MOST_SHOWN]
        if origins == self._shown:
            return
        self._shown = origins
        self._nothing.visible = not origins
        self._list.clear()
        with self._list:
            for number, origin in enumerate(origins):
                self._entry(origin, is_newest=number == 0)

    def _entry(self, origin: Origin, *, is_newest: bool) -> None:
        with ui.element("li").classes("tray-item"):
            with ui.element("div").classes("tray-words"):
                ui.label(f"Revision {origin.revision}{', in force' if is_newest else ''}").classes("strong")
                with ui.element("div").classes("muted small words-line"):
                    ui.label(plain(origin.by)).classes("wrap-text")
                    LocalTime(origin.saved_at.timestamp(), with_date=True)
            if not is_newest and self._visit.may(Role.OPERATOR):
                button = ui.button("Go back", on_click=self._visit.handler(self._restore, origin.revision))
                button.props("flat dense no-caps").props["aria-label"] = f"Go back to revision {origin.revision}"

    async def _restore(self, revision: int) -> None:
        lost = " What you have changed here and not saved is lost." if self._is_dirty() else ""
        if await confirmed(
            f"Go back to revision {revision}?",
            f"All rooms become as they were then, as a new revision; this one is kept as well.{lost}",
            "Go back",
            is_dangerous=bool(lost),
        ):
            restored = await self._visit.act(
                lambda user: self._visit.desk.restore_rooms(user, revision), f"Revision {revision} is in force again."
            )
            if restored is not None:
                self._on_restored()
