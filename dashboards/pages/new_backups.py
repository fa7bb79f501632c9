"""Backing up seats of a room at once: which room, and which of its machines that are there."""

from typing import Final

from nicegui import ui

from dashboards.fleet.views import FleetView, RoomView
from dashboards.pages.notes import Note
from dashboards.pages.quantities import count_in_words
from dashboards.pages.seat_words import plain
from dashboards.pages.visit import Visit, tell
from dashboards.pages.words import Words
from dashboards.user import User
from protocol.operators import Severity

NOBODY: Final = "No machine of this room is switched on. Wake them, or boot them into the environment, on its page."


_OPTION: Final = """
<q-item v-bind="props.itemProps"><q-item-section side><q-icon aria-hidden="true"
 :name="props.selected ? 'check_box' : 'check_box_outline_blank'"></q-icon></q-item-section>
<q-item-section>{{ props.opt.label }}</q-item-section></q-item>
"""


class NewBackups:
    """A button and its dialog."""

    def __init__(self, visit: Visit) -> None:
        self._visit = visit
        self._rooms: tuple[RoomView, ...] = ()
        button = ui.button("Back up seats", icon="inventory", on_click=visit.handler(self._open))
        button.props("outline no-caps")
        with ui.dialog() as self._dialog, ui.card().classes("dialog-card"):
            self._dialog.props["aria-label"] = "Back up seats"
            Words("h2", "Back up seats").classes("dialog-title")
            ui.label(
                "The disk of each is captured as the newest version of its backup; of the older ones, as many stay as "
                "its room says. Nothing is written to the disks."
            ).classes("wrap-text")
            self._room = ui.select({}, label="Room", on_change=self._room_chosen).props("outlined")
            self._room.classes("full-width")
            self._seats = ui.select({}, label="Seats", multiple=True, on_change=self._changed)
            self._seats.props("outlined").classes("full-width")
            self._seats.add_slot("option", _OPTION)
            self._nobody = Note(Severity.INFO)
            self._refusal = Note()
            with ui.row().classes("dialog-actions"):
                ui.button("Cancel", on_click=lambda _: self._dialog.close()).props("flat no-caps")
                self._button = ui.button("Back up", on_click=visit.handler(self._order)).props("unelevated no-caps")

    def look(self, picture: FleetView) -> None:
        """Who is there."""
        self._rooms = picture.rooms
        if self._dialog.value:
            self._offer()

    def _open(self) -> None:
        self._refusal.clear()
        self._offer()
        self._room_chosen()
        self._dialog.open()

    def _offer(self) -> None:
        rooms = {room.name: plain(room.name) for room in self._rooms}
        if rooms != self._room.options:
            chosen = self._room.value if self._room.value in rooms else next(iter(rooms), None)
            self._room.set_options(rooms, value=chosen)
        there = self._there()
        if there != self._seats.options:
            kept = [machine for machine in self._seats.value or [] if machine in there]
            self._seats.set_options(there, value=kept)
        self._changed()

    def _there(self) -> dict[str, str]:
        room = next((room for room in self._rooms if room.name == self._room.value), None)
        seats = room.seats if room is not None else ()
        return {seat.machine: plain(seat.name) for seat in seats if seat.machine and seat.receiver_id}

    def _room_chosen(self) -> None:
        """All that are there are meant, until somebody takes some out."""
        there = self._there()
        self._seats.set_options(there, value=list(there))
        self._changed()

    def _changed(self) -> None:
        chosen = self._seats.value or []
        words = f"{len(chosen)} of {count_in_words(len(self._seats.options), 'seat')}"
        if words != self._seats.props.get("display-value"):
            self._seats.props["display-value"] = words
        self._nobody.show("" if self._seats.options or not self._room.value else NOBODY)
        self._button.enabled = bool(chosen)
        self._button.text = f"Back up {count_in_words(len(chosen), 'seat')}" if chosen else "Back up"

    async def _order(self) -> None:
        machines = tuple(self._seats.value or ())

        async def order(user: User) -> int:
            return len(await self._visit.desk.captures.back_up(user, machines))

        count = await self._visit.act(order, refused=self._refusal.show)
        if count:
            tell(f"{count_in_words(count, 'backup')} ordered.")
            self._dialog.close()
