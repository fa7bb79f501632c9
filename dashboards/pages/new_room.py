"""The dialogs for a new room, made of rows and columns, and for the name of a room."""

from collections.abc import Callable

from nicegui import ui

from dashboards.pages.notes import Note
from dashboards.pages.quantities import count_in_words
from dashboards.pages.words import Words
from dashboards.rooms.layout import laid_out
from dashboards.rooms.rooms import Room, Rooms, check_rooms
from protocol.errors import MessageError


async def asked_room(judge: Callable[[Room], object]) -> Room | None:
    """Ask for a room until it can be made; None when it is not wanted. ``judge`` raises MessageError."""
    with ui.context.client, ui.dialog() as dialog, ui.card().classes("dialog-card"):
        dialog.props["aria-label"] = "Add a room"
        Words("h2", "Add a room").classes("dialog-title")
        name = ui.input(label="Name").props("outlined autofocus").classes("full-width")
        with ui.element("div").classes("fields"):
            rows = ui.number(label="Rows", value=4, min=1, precision=0).props("outlined")
            columns = ui.number(label="Columns", value=6, min=1, precision=0).props("outlined")
            prefix = ui.input(label="Before each number").props("outlined")
            first = ui.number(label="First number", value=1, min=0, precision=0).props("outlined")
        preview = ui.label().classes("muted wrap-text")
        refusal = Note()

        def made() -> Room:
            numbers = [int(field.value) if field.value is not None else 0 for field in (rows, columns)]
            return laid_out(
                (name.value or "").strip(), *numbers, prefix=prefix.value or "", first=int(first.value or 0)
            )

        def show() -> None:
            refusal.clear()
            try:
                seats = made().seats
            except MessageError as error:
                preview.text = str(error)
                return
            preview.text = (
                f"{count_in_words(len(seats), 'seat')}: {seats[0].name} at the front left, to {seats[-1].name}"
            )

        def submit() -> None:
            try:
                room = check_rooms(Rooms(rooms=(made(),))).rooms[0]
                judge(room)
            except MessageError as error:
                refusal.show(str(error))
                return
            dialog.submit(room)

        for field in (name, rows, columns, prefix, first):
            field.on_value_change(lambda _: show())
            field.on("keydown.enter", lambda _: submit())
        show()
        with ui.row().classes("dialog-actions"):
            ui.button("Cancel", on_click=lambda _: dialog.submit(None)).props("flat no-caps")
            ui.button("Add", on_click=lambda _: submit()).props("unelevated no-caps")
    answer = await dialog
    dialog.delete()
    return answer if isinstance(answer, Room) else None


async def asked_name(present: str, judge: Callable[[str], object]) -> str:
    """Ask for another name of a room; empty when it stays. ``judge`` raises MessageError."""
    with ui.context.client, ui.dialog() as dialog, ui.card().classes("dialog-card"):
        dialog.props["aria-label"] = "Rename the room"
        Words("h2", "Rename the room").classes("dialog-title")
        field = ui.input(label="Name", value=present).props("outlined autofocus").classes("full-width")
        refusal = Note()

        def submit() -> None:
            name = (field.value or "").strip()
            try:
                judge(check_rooms(Rooms(rooms=(Room(name=name),))).rooms[0].name)
            except MessageError as error:
                refusal.show(str(error))
                return
            dialog.submit("" if name == present else name)

        field.on_value_change(lambda _: refusal.clear())
        field.on("keydown.enter", lambda _: submit())
        with ui.row().classes("dialog-actions"):
            ui.button("Cancel", on_click=lambda _: dialog.submit("")).props("flat no-caps")
            ui.button("Rename", on_click=lambda _: submit()).props("unelevated no-caps")
    answer = await dialog
    dialog.delete()
    return answer if isinstance(answer, str) else ""
