"""The backups of one seat, in its dialog: when each was made, how large it is, and a plan that puts it back."""

from functools import partial
from typing import Final

from nicegui import ui

from dashboards.backup_desk import backups_of
from dashboards.fleet.views import SeatState, SeatView
from dashboards.pages.dialogs import confirmed
from dashboards.pages.local_time import LocalTime
from dashboards.pages.moments import moment_of
from dashboards.pages.paths import start_path
from dashboards.pages.quantities import bytes_in_words
from dashboards.pages.seat_words import plain
from dashboards.pages.visit import Visit
from dashboards.pages.words import Words
from dashboards.user import Role
from protocol.operators import ImageNews

NONE: Final = 'None yet. "Back up seats" under Captures makes one.'
OFF: Final = "To restore one, boot the machine into the environment first."
BUSY: Final = "To restore one, wait until its session has ended, or stop this seat first."


class SeatBackups:
    """A list that is there for seats of a room that have a machine; ``room`` is empty where they are of none."""

    def __init__(self, visit: Visit, room: str) -> None:
        self._visit = visit
        self._room = room
        self._shown: tuple[str, str, tuple[ImageNews, ...]] | None = None
        with ui.element("section").classes("stack tight") as self._element:
            Words("h3", "Backups").classes("section-title")
            self._words = ui.label().classes("muted wrap-text")
            self._list = ui.element("ul").classes("plain-list seat-backups").props('aria-label="Backups of this seat"')
        self._element.visible = False

    def show(self, seat: SeatView) -> None:
        """Show what there is of this seat's machine."""
        self._element.visible = bool(self._room and seat.machine)
        if not self._element.visible:
            return
        backups = backups_of(self._visit.picture().images, seat.machine)
        words = why_not(seat) if backups and self._visit.may(Role.OPERATOR) else "" if backups else NONE
        if self._shown == (seat.name, words, backups):
            return
        self._shown = seat.name, words, backups
        self._words.text = words
        self._words.visible = bool(words)
        self._list.visible = bool(backups)
        self._list.clear()
        with self._list:
            for backup in backups:
                self._entry(seat, backup)

    def _entry(self, seat: SeatView, backup: ImageNews) -> None:
        with ui.element("li").classes("tray-item"):
            with ui.element("div").classes("tray-words"):
                with ui.element("div").classes("words-line"):
                    LocalTime(moment_of(backup.created) or 0.0, with_date=True).classes("strong")
                    Words("span", f"version {backup.version}").classes("muted")
                ui.label(size_in_words(backup)).classes("muted small wrap-text")
            if self._visit.may(Role.OPERATOR):
                button = ui.button("Restore", icon="settings_backup_restore")
                button.on_click(self._visit.handler(partial(self._restore, seat, backup)))
                button.props("outline dense no-caps")
                button.props["aria-label"] = f"Restore seat {plain(seat.name)} from version {backup.version}"
                button.enabled = not why_not(seat)

    async def _restore(self, seat: SeatView, backup: ImageNews) -> None:
        if not await confirmed(
            f"Restore seat {seat.name}?",
            f"A plan is opened that puts version {backup.version} of its backup on its disk: every file as it was "
            "then. Nothing is written before you have started it.",
            "Make the plan",
            is_dangerous=False,
        ):
            return
        plan = await self._visit.act(
            lambda user: self._visit.desk.backups.restore(user, self._room, seat.name, backup.version)
        )
        if plan:
            ui.navigate.to(start_path(tsi=plan))


def why_not(seat: SeatView) -> str:
    """Why nothing can be put back on its disk now, and what to do; empty when it can."""
    if not seat.receiver_id:
        return OFF
    is_busy = seat.state not in {SeatState.IDLE, SeatState.VERIFIED} and not seat.state.is_trouble
    return BUSY if is_busy else ""


def size_in_words(backup: ImageNews) -> str:
    """What it takes in the library, and of which disk it is."""
    words = f"{bytes_in_words(backup.stored_bytes)} stored, of a disk of {bytes_in_words(backup.disk_size)}"
    return words if backup.is_signed else f"{words}; not signed by a key that this room knows"
