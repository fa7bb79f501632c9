"""A room: its seats as they stand there, how far they are, who is not placed, and who waits to be let in."""

from typing import Final

from nicegui import ui

from dashboards.desk_rules import NO_NETBOOT
from dashboards.fleet.views import FleetView, RoomView, SeatView
from dashboards.pages.applicants import Applicants
from dashboards.pages.dialogs import confirmed
from dashboards.pages.figures import Figure, SignChip, SpreadBar, StateCounts
from dashboards.pages.paths import session_path, start_path
from dashboards.pages.quantities import count_in_words, duration_in_words, share_in_words
from dashboards.pages.seat_dialog import SeatDialog
from dashboards.pages.seat_map import SeatMap
from dashboards.pages.seat_words import STEP_SIGNS
from dashboards.pages.tray import Tray
from dashboards.pages.visit import Visit, tell
from dashboards.pages.words import page_title, section_title
from dashboards.user import Role
from protocol.operators import SessionStep

BOOT_SECONDS: Final = 3600
"""[s] for which machines may boot the environment: time to walk through a room and switch on those that do not wake"""

NO_ADDRESS: Final = "No machine of this room has an address to wake it: add MAC addresses under Edit rooms."


def build_room(visit: Visit) -> None:
    """The page of the room that the path names."""
    RoomPage(visit, visit.parameters["room"])


class RoomPage:
    """One open page of one room."""

    def __init__(self, visit: Visit, name: str) -> None:
        self._visit = visit
        self._name = name
        self._room: RoomView | None = None
        is_operator = visit.may(Role.OPERATOR)
        ui.page_title(f"{name} · slatecast")
        self._head(is_operator=is_operator)
        self._missing = ui.label(
            f"There is no room {name!r}. Choose another above, or add it under Edit rooms."
        ).classes("panel wrap-text")
        with ui.element("div").classes("room-layout") as self._layout:
            with ui.element("div").classes("room-main"):
                self._summary()
                with ui.element("section").classes("panel"):
                    section_title("Seats").classes("only-read-aloud")
                    self._map = SeatMap(self._open, self._place if is_operator else None)
                    self._empty = ui.label("No seats yet: add them under Edit rooms.").classes("nothing")
            with ui.element("div").classes("room-side"):
                self._applicants = Applicants(visit)
                self._tray = Tray(visit, self._place)
        self._dialog = SeatDialog(visit, name)
        visit.watch(self._look)

    def _head(self, *, is_operator: bool) -> None:
        with ui.element("div").classes("page-head"):
            with ui.element("div").classes("words"):
                page_title(self._name)
                self._seats_in_words = ui.label().classes("muted")
            self._step = SignChip(STEP_SIGNS[SessionStep.PLANNED])
            self._step_link = ui.link("Open the session", "").classes("session-link")
            with ui.element("div").classes("actions"):
                if is_operator:
                    ui.button("Wake", icon="bolt", on_click=self._visit.handler(self._wake)).props("outline no-caps")
                    self._boot_button = ui.button("Boot the environment", icon="lan")
                    self._boot_button.on_click(self._visit.handler(self._boot)).props("outline no-caps")
                self._start = ui.button("Start a session", icon="play_arrow").props("unelevated no-caps")
                self._start.on_click(lambda _: ui.navigate.to(start_path(self._name)))
            self._no_boot = ui.label(f"{NO_NETBOOT[0].upper()}{NO_NETBOOT[1:]}.").classes("muted small why-not")
            self._no_boot.visible = False

    def _summary(self) -> None:
        with ui.element("section").classes("panel") as self._progress:
            section_title("Progress").classes("only-read-aloud")
            with ui.element("div").classes("figures"):
                self._minimum = Figure("Slowest seat")
                self._median = Figure("Median")
                self._maximum = Figure("Fastest seat")
                self._eta = Figure("Last seat is done in")
            self._spread = SpreadBar()
            self._counts = StateCounts()

    def _look(self, picture: FleetView) -> None:
        room = next((room for room in picture.rooms if room.name == self._name), None)
        self._missing.visible = room is None
        self._layout.visible = room is not None
        self._room = room
        if room is None:
            return
        self._show_head(room, picture)
        self._minimum.show(share_in_words(room.spread.minimum))
        self._median.show(share_in_words(room.spread.median))
        self._maximum.show(share_in_words(room.spread.maximum))
        self._eta.show(duration_in_words(room.eta_seconds))
        self._spread.show(room.spread)
        self._counts.show(room.counts)
        self._empty.visible = not room.seats
        self._map.show(room.seats)
        self._applicants.show(picture.applicants)
        self._tray.show(picture.tray, room)
        if self._dialog.is_open and (seat := self._seat(self._dialog.seat_name)):
            self._dialog.show(seat, room.tsi)

    def _show_head(self, room: RoomView, picture: FleetView) -> None:
        there = sum(1 for seat in room.seats if seat.receiver_id)
        self._seats_in_words.text = f"{count_in_words(len(room.seats), 'seat')}, {there} switched on"
        step = room.step
        self._step.element.visible = self._step_link.visible = bool(room.tsi) and step is not None
        if step is not None:
            self._step.show(STEP_SIGNS[step])
            self._step_link.props["href"] = session_path(room.tsi)
        if self._visit.may(Role.OPERATOR):
            self._boot_button.enabled = picture.can_boot
            self._no_boot.visible = not picture.can_boot
        self._start.visible = self._visit.may(Role.OPERATOR) and (step is None or step is SessionStep.ENDED)

    def _seat(self, name: str) -> SeatView | None:
        seats = self._room.seats if self._room else ()
        return next((seat for seat in seats if seat.name == name), None)

    def _open(self, name: str) -> None:
        seat = self._seat(name)
        if seat is not None and self._room is not None:
            self._dialog.open(seat, self._room.tsi)

    async def _place(self, name: str, machine: str) -> None:
        seat = self._seat(name)
        if seat is None:
            tell(f"There is no seat {name} any more. Choose another.", is_refusal=True)
            return
        if seat.machine == machine:
            return
        if seat.machine and not await confirmed(
            f"Replace the machine on seat {name}?",
            f"{seat.machine} is assigned to it. It is taken off, and {machine} is placed there.",
            "Replace",
            is_dangerous=False,
        ):
            return
        await self._visit.act(
            lambda user: self._visit.desk.place(user, self._name, name, machine), f"{machine} is on seat {name}."
        )

    async def _boot(self) -> None:
        if not await confirmed(
            f"Boot {self._name} into the environment?",
            "Machines that start within the next hour boot the environment from the network, and those that can be "
            "woken are woken now. Nothing is written. A machine that is running has to be started again.",
            "Boot",
            is_dangerous=False,
        ):
            return
        count = await self._visit.act(lambda user: self._visit.desk.boot(user, self._name, BOOT_SECONDS))
        if count is not None:
            tell(f"{count_in_words(count, 'machine')} may boot the environment for an hour.")
            await self._wake()

    async def _wake(self) -> None:
        woken = await self._visit.act(lambda user: self._visit.desk.wake(user, self._name))
        if woken is not None:
            tell(f"{count_in_words(woken, 'machine')} told to wake up." if woken else NO_ADDRESS)
