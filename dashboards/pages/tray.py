"""The tray of receivers that stand on no seat: to be placed by dragging, or by a button and a list of seats."""

from collections.abc import Awaitable, Callable
from typing import Final

from nicegui import ui

from dashboards.fleet.views import RoomView, SeatView
from dashboards.pages.seat_map import MACHINE_TYPE
from dashboards.pages.seat_words import seat_sign
from dashboards.pages.visit import Visit
from dashboards.pages.words import Words, section_title
from dashboards.user import Role

MOST_LISTED: Final = 100
"""[receivers] that the tray shows at once; the others come when these are placed"""

DRAG: Final = (
    "(e) => { const item = e.target.closest('[data-machine]');"
    f" if (item) e.dataTransfer.setData('{MACHINE_TYPE}', item.dataset.machine); }}"
)


class Tray:
    """Shows the unknown receivers; ``place`` is called with a seat's name and a machine."""

    def __init__(self, visit: Visit, place: Callable[[str, str], Awaitable[object]]) -> None:
        self._visit = visit
        self._may_place = visit.may(Role.OPERATOR)
        self._place = place
        self._listed: object = None
        self._room: RoomView | None = None
        with ui.element("section").classes("panel side-panel") as self._panel:
            section_title("Not placed yet")
            hint = "Drag a receiver onto its seat, or choose its seat." if self._may_place else ""
            ui.label(hint).classes("muted small")
            self._list = ui.element("ul").classes("plain-list").props('aria-label="Receivers without a seat"')
            self._list.on("dragstart", js_handler=DRAG)
            self._rest = ui.label().classes("muted small")
        with ui.dialog() as self._dialog, ui.card().classes("dialog-card"):
            self._dialog.props["aria-label"] = "Choose a seat"
            self._title = Words("h2").classes("dialog-title")
            self._seats = ui.select([], label="Seat", with_input=True).props("outlined").classes("full-width")
            with ui.row().classes("dialog-actions"):
                ui.button("Cancel", on_click=lambda _: self._dialog.close()).props("flat no-caps")
                ui.button("Place", on_click=lambda _: self._dialog.submit(self._seats.value)).props(
                    "unelevated no-caps"
                ).bind_enabled_from(self._seats, "value", bool)

    def show(self, receivers: tuple[SeatView, ...], room: RoomView) -> None:
        """Show who is not placed; ``room`` is the one whose seats are offered."""
        self._room = room
        self._panel.visible = bool(receivers)
        listed = [(receiver.machine, receiver.name, receiver.state) for receiver in receivers[:MOST_LISTED]]
        if listed == self._listed:
            return
        self._listed = listed
        rest = len(receivers) - MOST_LISTED
        self._rest.text = f"and {rest} more" if rest > 0 else ""
        self._list.clear()
        with self._list:
            for receiver in receivers[:MOST_LISTED]:
                self._item(receiver)

    def _item(self, receiver: SeatView) -> None:
        with ui.element("li").classes("tray-item") as item:
            item.props["data-machine"] = receiver.machine
            if self._may_place:
                item.props["draggable"] = "true"
                ui.icon("drag_indicator").classes("muted").props("aria-hidden=true")
            with ui.element("div").classes("tray-words"):
                ui.label(receiver.name).classes("strong wrap-text")
                ui.label(f"{receiver.machine} · {seat_sign(receiver).word}").classes("muted small wrap-text")
            if self._may_place:
                button = ui.button("Place", on_click=self._visit.handler(self._choose, receiver)).props(
                    "flat dense no-caps"
                )
                button.props["aria-label"] = f"Place {receiver.name}"

    async def _choose(self, receiver: SeatView) -> None:
        room = self._room
        if room is None:
            return
        self._title.text = f"On which seat of {room.name} does {receiver.name} stand?"
        empty_first = sorted(room.seats, key=lambda seat: bool(seat.machine))
        self._seats.set_options(
            {
                seat.name: f"{seat.name} (holds {seat.machine})" if seat.machine else f"{seat.name} (empty)"
                for seat in empty_first
            },
            value=None,
        )
        chosen = await self._dialog
        if chosen:
            await self._place(chosen, receiver.machine)
