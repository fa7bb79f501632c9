"""Editing rooms: a draft that is judged while it is made and saved as a whole.

Whoever saves names the revision that was edited. When somebody else has saved meanwhile, nothing is lost: the page says
so, and puts the changes of both together, seat by seat.
"""

from collections.abc import Callable
from typing import Final

from nicegui import ui

from dashboards.fleet.views import FleetView
from dashboards.pages.dialogs import confirmed
from dashboards.pages.figures import SignChip
from dashboards.pages.new_room import asked_name, asked_room
from dashboards.pages.notes import Note
from dashboards.pages.quantities import count_in_words
from dashboards.pages.room_draft import (
    edited,
    merged,
    next_seat,
    renamed,
    with_policy,
    with_room,
    with_seats,
    without_room,
)
from dashboards.pages.room_files import RoomFiles
from dashboards.pages.room_policy import RoomPolicyPanel
from dashboards.pages.room_revisions import RoomRevisions
from dashboards.pages.seat_grid import SeatGrid
from dashboards.pages.seat_words import Sign, Tone, plain
from dashboards.pages.visit import Visit, tell
from dashboards.pages.words import page_title
from dashboards.rooms.rooms import Room, RoomPolicy, Rooms, judged
from protocol.errors import MessageError
from protocol.operators import Severity

MOST_FAULTS: Final = 5
"""that are shown at once; the others come when these are mended"""

SAVED: Final = Sign("check_circle", "saved", Tone.GOOD)
UNSAVED: Final = Sign("edit", "not saved yet", Tone.SLOW)


def build_rooms_editor(visit: Visit) -> None:
    """The page where rooms are edited."""
    RoomsEditor(visit)


class RoomsEditor:
    """One open page with its draft."""

    def __init__(self, visit: Visit) -> None:
        self._visit = visit
        self._base = self._draft = visit.desk.rooms()
        self._index = 0
        self._picked: list[int] = []
        self._was_dirty = False
        self._told = -1
        self._head()
        self._refusal = Note()
        self._meanwhile = Note(Severity.WARNING)
        with ui.row().classes("actions at-left") as self._choice:
            self._button("Put my changes on top", "merge", self._merge, "unelevated")
            self._button("Throw mine away", "delete_outline", self._reload)
        self._overlaps = Note(Severity.WARNING)
        with ui.element("div").classes("editor-layout"):
            with ui.element("div").classes("stack"):
                self._room_panel()
            with ui.element("div").classes("stack"):
                self._files = RoomFiles(lambda: self._draft, self._read, can_edit=True)
                self._revisions = RoomRevisions(visit, self._reload, lambda: self._is_dirty)
        self._show()
        self._revisions.show()
        visit.watch(self._look)

    @property
    def _is_dirty(self) -> bool:
        return self._draft.rooms != self._base.rooms

    def _head(self) -> None:
        with ui.element("div").classes("page-head stays"):
            with ui.element("div").classes("words"):
                page_title("Edit rooms")
                self._revision = ui.label().classes("muted")
            self._chip = SignChip(SAVED)
            with ui.element("div").classes("actions"):
                self._undo = self._button("Throw away", "undo", self._throw_away)
                self._save_button = self._button("Save", "save", self._save, "unelevated")

    def _room_panel(self) -> None:
        with ui.element("section").classes("panel"):
            with ui.element("div").classes("editor-bar"):
                self._room = ui.select({}, label="Room", on_change=lambda event: self._choose(event.value))
                self._room.props("outlined dense").classes("filter-select")
                self._rename_button = self._button("Rename", "drive_file_rename_outline", self._rename, "flat")
                self._remove_button = self._button("Remove", "delete_outline", self._remove, "flat")
                ui.space()
                self._button("Add a room", "add", self._add)
            self._nothing = ui.label("There is no room yet. Add one, or read a file.").classes("nothing")
            with ui.element("div").classes("stack") as self._seats:
                hint = "Enter or a double click edits a cell; Tab goes on to the next."
                ui.label(hint).classes("muted small")
                self._grid = SeatGrid(self._edit, self._pick, can_edit=True)
                with ui.row().classes("actions at-left"):
                    self._button("Add a seat", "add", self._add_seat)
                    self._drop_button = self._button("Remove the chosen seats", "delete_outline", self._drop_seats)
                    self._count = ui.label().classes("muted")
            self._faults = ui.element("div").classes("stack tight").props("aria-live=polite")
        with ui.element("div") as self._policy_place:
            self._policy = RoomPolicyPanel(self._edit_policy)

    def _button(self, text: str, icon: str, action: Callable[..., object], kind: str = "outline") -> ui.button:
        return ui.button(text, icon=icon, on_click=self._visit.handler(action)).props(f"{kind} no-caps")

    # --- looking -----------------------------------------------------------------------------------------------------

    def _look(self, _: FleetView) -> None:
        present = self._visit.desk.rooms()
        if present.revision in {self._base.revision, self._told}:
            return
        self._told = present.revision
        if not self._is_dirty:
            self._reload()
            return
        by = next((each.by for each in self._visit.desk.room_revisions(self._visit.user)), "somebody")
        self._meanwhile.show(
            f"The rooms were saved meanwhile by {by}: revision {present.revision} is in force, and you edit revision "
            f"{self._base.revision}. What you have changed is still here."
        )
        self._choice.visible = True
        self._revisions.show()

    def _show(self, *, with_grid: bool = True) -> None:
        """Show the draft; the table shows a change of its own by itself."""
        rooms = self._draft.rooms
        self._index = min(self._index, max(0, len(rooms) - 1))
        self._revision.text = f"Revision {self._base.revision}, {count_in_words(len(rooms), 'room')}"
        self._chip.show(UNSAVED if self._is_dirty else SAVED)
        self._save_button.enabled = self._undo.enabled = self._is_dirty
        self._choice.visible = self._meanwhile.element.visible
        self._room.set_options(
            {index: plain(room.name) for index, room in enumerate(rooms)}, value=self._index if rooms else None
        )
        self._nothing.visible = not rooms
        self._policy_place.visible = self._seats.visible = self._rename_button.visible = self._remove_button.visible = (
            bool(rooms)
        )
        if rooms:
            seats = rooms[self._index].seats
            self._count.text = count_in_words(len(seats), "seat")
            self._policy.show(rooms[self._index].policy, self._visit.desk.fleet())
            if with_grid:
                self._picked = []
                self._grid.show(seats)
        self._drop_button.enabled = bool(self._picked)
        self._show_faults()
        if self._is_dirty != self._was_dirty:
            # The browser asks before it leaves a page with changes that are not saved.
            self._was_dirty = self._is_dirty
            ui.run_javascript(f"window.onbeforeunload = {'() => true' if self._is_dirty else 'null'}")

    def _show_faults(self) -> None:
        _, faults = judged(self._draft)
        self._faults.clear()
        with self._faults:
            for fault in faults[:MOST_FAULTS]:
                Note(Severity.ERROR).show(fault.text)
            if len(faults) > MOST_FAULTS:
                ui.label(f"and {len(faults) - MOST_FAULTS} more to mend").classes("muted")

    # --- changing ----------------------------------------------------------------------------------------------------

    def _change(self, draft: Rooms, *, with_grid: bool = True) -> None:
        self._refusal.clear()
        self._overlaps.clear()
        self._draft = draft
        self._show(with_grid=with_grid)

    def _choose(self, index: int | None) -> None:
        if index is not None and index != self._index and index < len(self._draft.rooms):
            self._index = index
            self._show()

    def _pick(self, indexes: list[int]) -> None:
        self._picked = indexes
        self._drop_button.enabled = bool(indexes)

    def _here(self) -> Room:
        return self._draft.rooms[self._index]

    def _edit(self, index: int, field: str, typed: object) -> None:
        seats = list(self._here().seats)
        if index >= len(seats):
            return
        try:
            seats[index] = edited(seats[index], field, typed)
        except MessageError as error:
            self._show()
            self._refusal.show(str(error))
            return
        self._grid.keep(index, seats[index])
        self._change(with_seats(self._draft, self._index, seats), with_grid=False)

    def _edit_policy(self, policy: RoomPolicy) -> None:
        self._change(with_policy(self._draft, self._index, policy), with_grid=False)

    def _add_seat(self) -> None:
        room = self._here()
        self._change(with_seats(self._draft, self._index, (*room.seats, next_seat(room))))

    def _drop_seats(self) -> None:
        seats = [seat for index, seat in enumerate(self._here().seats) if index not in self._picked]
        self._change(with_seats(self._draft, self._index, seats))

    async def _add(self) -> None:
        room = await asked_room(lambda room: with_room(self._draft, room))
        if room is not None:
            self._index = len(self._draft.rooms)
            self._change(with_room(self._draft, room))

    async def _rename(self) -> None:
        index = self._index
        name = await asked_name(self._here().name, lambda name: renamed(self._draft, index, name))
        if name:
            self._change(renamed(self._draft, index, name))

    async def _remove(self) -> None:
        index, room = self._index, self._here()
        if await confirmed(
            f"Remove room {room.name}?",
            f"Its {count_in_words(len(room.seats), 'seat')} and the machines on them are taken out when you save.",
            "Remove",
        ):
            self._change(without_room(self._draft, index))

    def _read(self, rooms: Rooms, file: str) -> None:
        seats = sum(len(room.seats) for room in rooms.rooms)
        self._index = 0
        self._change(Rooms(revision=self._base.revision, rooms=rooms.rooms))
        tell(
            f"{count_in_words(len(rooms.rooms), 'room')} with {count_in_words(seats, 'seat')} read from {file}. "
            "Look at them, then save."
        )

    # --- saving ------------------------------------------------------------------------------------------------------

    async def _save(self) -> None:
        draft = self._draft
        saved = await self._visit.act(
            lambda user: self._visit.desk.save_rooms(user, draft), "Saved.", self._refusal.show
        )
        if saved is not None:
            self._take(saved)

    def _merge(self) -> None:
        present = self._visit.desk.rooms()
        together = merged(self._base, self._draft, present)
        self._base = present
        self._meanwhile.clear()
        self._change(together.rooms)
        words = "Both are put together here. Look at it, then save."
        self._overlaps.show("\n".join((words, *together.overlaps)))

    async def _throw_away(self) -> None:
        if await confirmed("Throw your changes away?", "The rooms are shown as they are saved.", "Throw away"):
            self._reload()

    def _reload(self) -> None:
        self._take(self._visit.desk.rooms())

    def _take(self, rooms: Rooms) -> None:
        self._base = rooms
        self._meanwhile.clear()
        self._change(rooms)
        self._revisions.show()
