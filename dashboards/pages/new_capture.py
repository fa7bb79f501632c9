"""Capturing a machine: which one of those that are there, and into which image."""

from typing import Final

from nicegui import ui

from dashboards.fleet.views import FleetView
from dashboards.pages.capture_words import image_names, machines_there, places, what_it_becomes
from dashboards.pages.notes import Note
from dashboards.pages.visit import Visit
from dashboards.pages.words import Words
from dashboards.user import User
from protocol.operators import Severity

NOBODY: Final = (
    "No machine is there. Boot the reference machine into the environment and let it in: it is listed here then."
)


class NewCapture:
    """A button and its dialog."""

    def __init__(self, visit: Visit) -> None:
        self._visit = visit
        self._picture: FleetView | None = None
        self._names: list[str] = []
        button = ui.button("Capture a machine", icon="add_a_photo", on_click=visit.handler(self._open))
        button.props("unelevated no-caps")
        with ui.dialog() as self._dialog, ui.card().classes("dialog-card"):
            self._dialog.props["aria-label"] = "Capture a machine"
            Words("h2", "Capture a machine").classes("dialog-title")
            ui.label(
                "It reads the blocks of its disk that are in use and sends what the library lacks. Nothing is written "
                "to its disk."
            ).classes("wrap-text")
            self._nobody = Note(Severity.INFO)
            self._machine = ui.select({}, label="Machine", with_input=True, on_change=self._changed)
            self._machine.props("outlined").classes("full-width")
            self._image = ui.input(label="Name of the image", on_change=self._changed, autocomplete=[])
            self._image.props("outlined").classes("full-width")
            self._image.on("keydown.enter", visit.handler(self._order))
            self._becomes = ui.label().classes("muted wrap-text").props("aria-live=polite")
            self._refusal = Note()
            with ui.row().classes("dialog-actions"):
                ui.button("Cancel", on_click=lambda _: self._dialog.close()).props("flat no-caps")
                self._button = ui.button("Capture", on_click=visit.handler(self._order)).props("unelevated no-caps")

    def look(self, picture: FleetView) -> None:
        """Who is there, and what the library holds."""
        self._picture = picture
        if self._dialog.value:
            self._offer(picture)

    def _open(self) -> None:
        if self._picture is not None:
            self._offer(self._picture)
        self._refusal.clear()
        self._dialog.open()

    def _offer(self, picture: FleetView) -> None:
        where = places(picture)
        busy = {capture.machine for capture in picture.captures if capture.is_open}
        machines = {
            seat.machine: f"{where[seat.machine]} ({seat.machine})"
            for seat in machines_there(picture)
            if seat.machine not in busy
        }
        if machines != self._machine.options:
            chosen = self._machine.value if self._machine.value in machines else None
            self._machine.set_options(machines, value=chosen)
        self._nobody.show("" if machines else NOBODY)
        names = image_names(picture)
        if names != self._names:
            self._names = names
            self._image.set_autocomplete(names)
        self._show()

    def _changed(self) -> None:
        self._refusal.clear()
        self._show()

    def _show(self) -> None:
        name = (self._image.value or "").strip()
        self._becomes.text = what_it_becomes(self._picture, name) if self._picture is not None else ""
        self._button.enabled = bool(name and self._machine.value)

    async def _order(self) -> None:
        machine, name = self._machine.value, (self._image.value or "").strip()
        if not machine or not name:
            return

        async def order(user: User) -> str:
            return await self._visit.desk.captures.order(user, machine, name)

        if await self._visit.act(order, "Ordered: the machine begins in a moment.", self._refusal.show):
            self._machine.value = None
            self._dialog.close()
