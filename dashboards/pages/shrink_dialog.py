"""How small a disk an image is to fit on: asked before it is made smaller."""

from collections.abc import Awaitable, Callable
from typing import Final

from nicegui import ui

from dashboards.pages.notes import Note
from dashboards.pages.quantities import bytes_in_words
from dashboards.pages.seat_words import plain
from dashboards.pages.visit import Refused, Visit
from dashboards.pages.words import Words
from protocol.operators import ImageNews

GIGABYTE: Final = 1_000_000_000
"""[bytes] as makers of disks count"""

Begin = Callable[[ImageNews, int, Refused], Awaitable[bool]]
"""begins to make an image fit on a disk of so many bytes; whether it was begun"""


class ShrinkDialog:
    """A dialog over one image after the other."""

    def __init__(self, visit: Visit, begin: Begin) -> None:
        self._begin = begin
        self._image: ImageNews | None = None
        with ui.dialog() as self._dialog, ui.card().classes("dialog-card"):
            self._dialog.props["aria-label"] = "Make an image smaller"
            self._title = Words("h2").classes("dialog-title")
            ui.label(
                "Makes the next version, one of whose file systems is smaller. This version stays as it is."
            ).classes("wrap-text")
            self._size = ui.number(label="Fits on a disk of (GB)", min=0).props("outlined").classes("full-width")
            self._size.on("keydown.enter", visit.handler(self._order))
            self._least = ui.label().classes("muted wrap-text")
            self._refusal = Note()
            self._size.on_value_change(lambda _: self._refusal.clear())
            with ui.row().classes("dialog-actions"):
                ui.button("Cancel", on_click=lambda _: self._dialog.close()).props("flat no-caps")
                ui.button("Make it smaller", on_click=visit.handler(self._order)).props("unelevated no-caps")

    def open(self, image: ImageNews) -> None:
        """Ask for this image."""
        self._image = image
        self._title.text = f"Make {plain(image.name)} version {image.version} smaller"
        self._size.value = None
        least = f", about {bytes_in_words(image.least_size)}" if image.least_size else ""
        self._least.text = f"Its disk has {bytes_in_words(image.disk_size)}. Empty: as small as it gets{least}."
        self._refusal.clear()
        self._dialog.open()

    async def _order(self) -> None:
        image = self._image
        if image is not None and await self._begin(image, int((self._size.value or 0) * GIGABYTE), self._refusal.show):
            self._dialog.close()
