"""The dialog of one seat: all its numbers in words, and what can be done with it."""

from collections.abc import Callable

from nicegui import ui

from dashboards.fleet.views import SeatState, SeatView
from dashboards.pages.dialogs import confirmed
from dashboards.pages.figures import SignChip
from dashboards.pages.paths import start_path
from dashboards.pages.quantities import (
    NOTHING,
    age_in_words,
    bytes_in_words,
    count_in_words,
    duration_in_words,
    loss_in_words,
    rate_in_words,
    share_in_words,
)
from dashboards.pages.seat_backups import SeatBackups
from dashboards.pages.seat_words import SEAT_SIGNS, seat_sign
from dashboards.pages.visit import Visit
from dashboards.pages.words import Words
from dashboards.user import Role

IN_NO_SESSION = frozenset({SeatState.EMPTY, SeatState.OFF, SeatState.IDLE})


def seat_facts(seat: SeatView) -> list[tuple[str, str]]:
    """Everything that is known of a seat, as name and value; what says nothing of this seat is left out."""
    facts = [
        ("Machine", seat.machine or "none is assigned"),
        ("Host name", seat.hostname),
        ("Place", f"row {seat.row}, column {seat.column}" if seat.row else "none"),
        ("Disk", seat.target),
    ]
    if seat.state not in IN_NO_SESSION:
        facts += [
            ("Progress", share_in_words(seat.progress, 1)),
            ("Verified in", duration_in_words(seat.eta_seconds) if seat.eta_seconds is not None else ""),
            ("Done after", duration_in_words(seat.settled_seconds) if seat.settled_seconds is not None else ""),
            (
                "Has to be sent",
                bytes_in_words(seat.missing_bytes) if seat.missing_bytes is not None else "not known yet",
            ),
            ("Receives", rate_in_words(seat.rate_bits_per_second)),
            ("Received", bytes_in_words(seat.bytes_received)),
            ("Fetched by itself", bytes_in_words(seat.catch_up_bytes) if seat.catch_up_bytes else ""),
            ("Written", bytes_in_words(seat.bytes_written)),
            ("Lost on the way", loss_in_words(seat.loss_ratio)),
            ("Repaired", count_in_words(seat.repaired_blocks, "source block")),
            ("Disk busy", share_in_words(seat.disk_busy_ratio)),
            ("Buffer filled", share_in_words(seat.buffer_fill_ratio)),
            ("Network link", rate_in_words(seat.link_bits_per_second) if seat.link_bits_per_second else NOTHING),
            ("Last heard", age_in_words(seat.silent_seconds)),
            ("Alarm", seat.alarm),
        ]
    return [(name, value) for name, value in facts if value]


class SeatDialog:
    """Opened for one seat after the other; ``tsi`` is of the session that the room is in, or empty.

    ``room`` is empty where seats are not of a room, so that there is nothing to clear, and nothing to restore.
    """

    def __init__(self, visit: Visit, room: str = "") -> None:
        self._visit = visit
        self._room = room
        self._seat: SeatView | None = None
        self._tsi = ""
        self._facts: list[tuple[str, str]] = []
        self._values: list[Words] = []
        self._actions: tuple[bool, ...] = ()
        with ui.dialog() as self._dialog, ui.card().classes("dialog-card"):
            with ui.row(wrap=False).classes("seat-title"):
                self._title = Words("h2").classes("dialog-title")
                self._sign = SignChip(SEAT_SIGNS[SeatState.EMPTY])
            self._reason = ui.label().classes("reason wrap-text")
            self._list = Words("dl").classes("facts")
            self._backups = SeatBackups(visit, room)
            self._buttons = ui.row().classes("dialog-actions")

    @property
    def is_open(self) -> bool:
        """Whether it has to be brought up to date."""
        return bool(self._dialog.value)

    @property
    def seat_name(self) -> str:
        """Of the seat that it is about."""
        return self._seat.name if self._seat else ""

    def open(self, seat: SeatView, tsi: str) -> None:
        """Show a seat."""
        self._facts, self._actions = [], ()
        self.show(seat, tsi)
        self._dialog.props["aria-label"] = f"Seat {seat.name}"
        self._dialog.open()

    def show(self, seat: SeatView, tsi: str) -> None:
        """Bring it up to date."""
        self._seat, self._tsi = seat, tsi
        self._title.text = f"Seat {seat.name}"
        self._sign.show(seat_sign(seat))
        self._reason.text = seat.reason
        self._reason.visible = bool(seat.reason)
        self._show_facts(seat_facts(seat))
        self._backups.show(seat)
        self._show_actions(seat)

    def _show_facts(self, facts: list[tuple[str, str]]) -> None:
        if facts == self._facts:
            return
        if [name for name, _ in facts] == [name for name, _ in self._facts]:
            for label, (_, value) in zip(self._values, facts, strict=True):
                label.text = value
        else:
            self._list.clear()
            self._values = []
            with self._list:
                for name, value in facts:
                    Words("dt", name)
                    self._values.append(Words("dd", value).classes("wrap-text numbers"))
        self._facts = facts

    def _show_actions(self, seat: SeatView) -> None:
        is_operator = self._visit.may(Role.OPERATOR)
        is_in_session = bool(self._tsi) and bool(seat.receiver_id) and seat.state not in IN_NO_SESSION
        is_going_on = is_in_session and not seat.state.is_final
        can_move = is_going_on and seat.state in {SeatState.RECEIVING, SeatState.STALLED} and not seat.is_slow
        can_retry = bool(self._tsi) and bool(seat.machine) and seat.state.is_trouble
        can_clear = bool(self._room) and bool(seat.machine)
        actions = (is_operator, can_move, can_retry, can_clear, is_going_on)
        if actions == self._actions:
            return
        self._actions = actions
        self._buttons.clear()
        with self._buttons:
            if is_operator and can_clear:
                self._button("Clear the seat", "person_remove", self._clear)
            if is_operator and can_move:
                self._button("Move to catch-up", "directions_run", self._move)
            if is_operator and can_retry:
                self._button("Retry", "replay", self._retry)
            if is_operator and is_going_on:
                self._button("Stop this seat", "cancel", self._stop, "negative")
            ui.space()
            ui.button("Close", on_click=lambda _: self._dialog.close()).props("flat no-caps")

    def _button(self, text: str, icon: str, action: Callable[[], object], color: str = "primary") -> None:
        ui.button(text, icon=icon, color=color, on_click=self._visit.handler(action)).props("outline no-caps")

    async def _stop(self) -> None:
        seat, tsi = self._seat, self._tsi
        if seat is not None and await confirmed(
            f"Stop seat {seat.name}?",
            "Its disk is left as it is, in part overwritten and marked incomplete. The other seats go on.",
            "Stop this seat",
        ):
            await self._visit.act(
                lambda user: self._visit.desk.dismiss(user, tsi, seat.receiver_id),
                f"Seat {seat.name} is stopped.",
            )

    async def _move(self) -> None:
        seat, tsi = self._seat, self._tsi
        if seat is not None and await confirmed(
            f"Move seat {seat.name} to catch-up?",
            "It no longer takes part in the repair of the others, and fetches by itself what it misses.",
            "Move to catch-up",
            is_dangerous=False,
        ):
            await self._visit.act(
                lambda user: self._visit.desk.move_to_catch_up(user, tsi, seat.receiver_id),
                f"Seat {seat.name} catches up by itself.",
            )

    async def _retry(self) -> None:
        seat, tsi = self._seat, self._tsi
        if seat is not None and await confirmed(
            f"Retry seat {seat.name}?",
            "A plan is opened for this seat alone. Nothing is written before you have started it.",
            "Make the plan",
            is_dangerous=False,
        ):
            plan = await self._visit.act(lambda user: self._visit.desk.retry(user, tsi, (seat.machine,)))
            if plan:
                ui.navigate.to(start_path(tsi=plan))

    async def _clear(self) -> None:
        seat = self._seat
        if seat is not None and await confirmed(
            f"Clear seat {seat.name}?",
            f"Machine {seat.machine} is taken off this seat and can be placed elsewhere. Its disk is not touched.",
            "Clear the seat",
            is_dangerous=False,
        ):
            await self._visit.act(
                lambda user: self._visit.desk.place(user, self._room, seat.name, ""), f"Seat {seat.name} is clear."
            )
