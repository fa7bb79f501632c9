"""Rooms as files: what is edited is downloaded as CSV or TOML, and a file is read into what is edited."""

import asyncio
from collections.abc import Callable
from typing import Final

from nicegui import events, ui

from dashboards.pages.notes import Note
from dashboards.pages.words import section_title
from dashboards.rooms.csv_form import MAX_LENGTH, rooms_from_csv, rooms_to_csv, with_policies
from dashboards.rooms.rooms import Rooms
from dashboards.rooms.rooms_file import rooms_from_toml, rooms_to_toml
from protocol.errors import MessageError

MAX_UPLOAD: Final = MAX_LENGTH
"""[bytes] of a file that is sent to the console"""

TOO_LARGE: Final = f"That file is none, or has more than {MAX_UPLOAD >> 20} MiB: send a CSV or TOML file of rooms."


def read_file(name: str, data: bytes, present: Rooms) -> Rooms:
    """The rooms in a file of any origin, as CSV or TOML by its name; to replace ``present``. Raises MessageError."""
    if len(data) > MAX_UPLOAD:
        raise MessageError(TOO_LARGE)
    ending = name.rpartition(".")[2].lower()
    if ending == "toml":
        return rooms_from_toml(data, 0)
    if ending in {"csv", "txt"}:
        return with_policies(rooms_from_csv(data), present)
    raise MessageError("the name of the file tells what it is: let it end with .csv or .toml")


class RoomFiles:
    """The panel; ``on_read`` is told rooms that were read, and the name of their file."""

    def __init__(
        self, current: Callable[[], Rooms], on_read: Callable[[Rooms, str], object], *, can_edit: bool
    ) -> None:
        self._on_read = on_read
        self._current = current
        with ui.element("section").classes("panel side-panel"):
            section_title("As a file")
            ui.label("All rooms, for a spreadsheet (CSV) or an editor (TOML).").classes("muted small")
            with ui.row().classes("gap-small"):
                for text, make in (("CSV", rooms_to_csv), ("TOML", rooms_to_toml)):
                    self._download(text, make, current)
            self._refusal = Note()
            if can_edit:
                ui.label("A file replaces all rooms; look at them here before you save.").classes("muted small")
                self._upload = ui.upload(
                    label="Read a CSV or TOML file",
                    max_file_size=MAX_UPLOAD,
                    max_files=1,
                    auto_upload=True,
                    on_upload=self._read,
                    on_rejected=lambda _: self._refusal.show(TOO_LARGE),
                )
                self._upload.props('flat accept=".csv,.toml,.txt"').classes("upload")

    def _download(self, text: str, make: Callable[[Rooms], bytes], current: Callable[[], Rooms]) -> None:
        name = f"rooms.{text.lower()}"
        button = ui.button(text, icon="download", on_click=lambda _: ui.download.content(make(current()), name))
        button.props("outline no-caps").props["aria-label"] = f"Download all rooms as {text}"

    async def _read(self, event: events.UploadEventArguments) -> None:
        self._refusal.clear()
        data = await event.file.read()
        self._upload.reset()
        try:
            rooms = await asyncio.to_thread(read_file, event.file.name, data, self._current())
        except MessageError as error:
            self._refusal.show(f"Nothing was read: {error}")
            return
        self._on_read(rooms, event.file.name)
