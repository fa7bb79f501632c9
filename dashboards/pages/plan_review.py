"""A plan as the seats tell it, live, and its start: the room's name and the number of machines have to be typed."""

from dataclasses import dataclass, replace
from typing import Final

from nicegui import ui

from dashboards.desk_rules import is_overwritten, to_overwrite
from dashboards.fleet.views import FleetView, RoomView, SeatState, SeatView, SessionView
from dashboards.pages.capture_words import plan_in_words
from dashboards.pages.dialogs import confirmed
from dashboards.pages.figures import Figure, SignChip, StateCounts, counts_of
from dashboards.pages.local_time import LocalTime
from dashboards.pages.notes import Note
from dashboards.pages.paths import session_path, start_path
from dashboards.pages.plan_backups import SeatBackup, backups_of_plan, why_it_cannot, why_it_waits, words_of
from dashboards.pages.plan_shrink import ShrinkOffer
from dashboards.pages.quantities import bytes_in_words, count_in_words, duration_in_words, rate_in_words
from dashboards.pages.seat_dialog import SeatDialog
from dashboards.pages.seat_table import Column, SeatTable, key_of
from dashboards.pages.seat_words import STEP_SIGNS, plain, planned_in_words, seat_sign
from dashboards.pages.visit import Visit
from dashboards.pages.words import Words, section_title
from dashboards.user import Role, User
from protocol.backup_names import is_backup
from protocol.operators import SessionStep, Severity

OVERWRITTEN: Final = "is overwritten"
LEFT: Final = "is left as it is"
LEFT_OUT: Final = "is not in this plan: it was off when that was made, or left out of it"
GONE: Final = "There is no such plan any more. Make a new one."


def fate(seat: SeatView) -> str:
    """What becomes of the disk of a seat of a plan, or of one that was left out."""
    is_left_out = seat.state in {SeatState.OFF, SeatState.IDLE}
    return LEFT if is_left_out or not is_overwritten(seat) else OVERWRITTEN


PLAN_COLUMNS: Final = (
    Column("name", "Seat", lambda seat: seat.name, lambda seat: seat.name, is_number=False),
    Column("state", "State", lambda seat: seat_sign(seat).word, lambda seat: seat_sign(seat).word, is_number=False),
    Column("target", "Disk", lambda seat: seat.target or "not known yet", lambda seat: seat.target, is_number=False),
    Column("fate", "When started", fate, fate, is_number=False),
    Column(
        "missing",
        "Misses",
        lambda seat: bytes_in_words(seat.missing_bytes),
        lambda seat: -1 if seat.missing_bytes is None else seat.missing_bytes,
    ),
    Column("reason", "Reason", lambda seat: seat.reason, lambda seat: seat.reason, is_number=False),
)
ON_A_PHONE: Final = ("name", "state", "target", "backup", "reason")

WITHOUT_BACKUPS: Final = frozenset({"backup"})
"""Columns of which a plan has no use that backs up nothing."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """What is to be expected of a plan."""

    bytes_to_send: int | None
    """stored bytes that the seat which misses most has to be sent; None while no seat has looked"""
    seconds: float | None
    """that it takes at the cap"""
    looking: int
    """seats that have not told yet what they miss"""


def outlook_of(session: SessionView) -> Outlook:
    """The seats miss much the same, so the one that misses most tells how much is sent to all at once."""
    seats = to_overwrite(session)
    missing = [seat.missing_bytes for seat in seats if seat.missing_bytes is not None]
    looking = len(seats) - len(missing)
    if not missing:
        return Outlook(None, None, looking)
    # What is missing is counted in bytes of the disk; they are sent as they are stored.
    share = min(1.0, max(missing) / session.disk_size) if session.disk_size else 0.0
    to_send = int(share * session.stored_bytes)
    cap = session.cap_bits_per_second
    return Outlook(to_send, to_send * 8 / cap if cap else None, looking)


def seats_of_plan(session: SessionView, room: RoomView | None) -> tuple[SeatView, ...]:
    """Those of the plan, and those of the room that are not in it; the backup of one seat is no matter of others."""
    if is_backup(session.image):
        return session.seats
    planned = {seat.machine for seat in session.seats}
    left_out = [seat for seat in room.seats if seat.machine and seat.machine not in planned] if room else []
    # One that was switched on since may be in a session of its own: here it is only one that is not in the plan.
    return (*session.seats, *(_left_out(seat) for seat in left_out))


def _left_out(seat: SeatView) -> SeatView:
    state = SeatState.IDLE if seat.receiver_id else SeatState.OFF
    return replace(seat, state=state, reason=LEFT_OUT, missing_bytes=None, is_slow=False)


class PlanReview:
    """One open page of one plan."""

    def __init__(self, visit: Visit, tsi: str) -> None:
        self._visit = visit
        self._tsi = tsi
        self._session: SessionView | None = None
        self._shown: tuple[SeatView, ...] = ()
        self._backups: dict[str, SeatBackup] = {}
        self._is_starting = False
        self._over = Note(Severity.INFO)
        with ui.row().classes("actions at-left") as self._elsewhere:
            self._watch = ui.button("Open the session", icon="podcasts").props("unelevated no-caps")
            self._watch.on_click(lambda _: ui.navigate.to(session_path(tsi)))
            again = ui.button("Make a new plan", icon="replay").props("outline no-caps")
            again.on_click(lambda _: ui.navigate.to(start_path(self._session.room if self._session else "")))
        with ui.element("div").classes("stack") as self._plan:
            self._figures()
            self._shrink = ShrinkOffer(visit)
            self._table = SeatTable(
                self._open, (*PLAN_COLUMNS[:-1], self._backup_column(), PLAN_COLUMNS[-1]), ON_A_PHONE
            )
            self._confirmation()
        self._dialog = SeatDialog(visit)
        visit.watch(self._look)

    def _backup_column(self) -> Column:
        def share(seat: SeatView) -> float:
            backup = self._backups.get(seat.machine)
            return -2.0 if backup is None else backup.share

        return Column("backup", "Backup", lambda seat: words_of(self._backups, seat.machine), share)

    def _figures(self) -> None:
        with ui.element("section").classes("panel"):
            with ui.element("div").classes("chart-head"):
                with ui.element("div").classes("words"):
                    self._title = Words("h2").classes("section-title wrap-text")
                    with ui.element("div").classes("muted words-line"):
                        self._ordered = ui.label().classes("wrap-text")
                        self._opened = LocalTime(0, with_date=True)
                SignChip(STEP_SIGNS[SessionStep.PLANNED])
            with ui.element("div").classes("figures"):
                self._count = Figure("Disks to be overwritten")
                self._left = Figure("Seats left as they are")
                self._bytes = Figure("To be sent, about")
                self._time = Figure("Takes at least")
                self._cap = Figure("At a rate of at most")
            self._counts = StateCounts()
            self._looking = Note(Severity.INFO)

    def _confirmation(self) -> None:
        with ui.element("section").classes("panel danger-panel"):
            section_title("Start")
            self._warning = ui.label().classes("wrap-text strong")
            with ui.element("div").classes("fields"):
                self._typed_room = ui.input(label="Name of the room").props("outlined autocomplete=off")
                self._typed_count = ui.input(label="Number of machines").props(
                    "outlined inputmode=numeric autocomplete=off"
                )
            self._waits = Note(Severity.INFO)
            self._cannot = Note(Severity.WARNING)
            self._refusal = Note()
            for field in (self._typed_room, self._typed_count):
                field.on_value_change(lambda _: self._refusal.clear())
                field.on("keydown.enter", self._visit.handler(self._start))
            with ui.row().classes("actions at-left"):
                self._button = ui.button("Start and overwrite", icon="play_arrow", color="negative")
                self._button.on_click(self._visit.handler(self._start)).props("unelevated no-caps")
                drop = ui.button("Drop the plan", icon="delete_outline", on_click=self._visit.handler(self._drop))
                drop.props("outline no-caps")

    def _look(self, picture: FleetView) -> None:
        session = next((session for session in picture.sessions if session.tsi == self._tsi), None)
        self._session = session
        is_plan = session is not None and session.step is SessionStep.PLANNED
        self._plan.visible = is_plan
        self._elsewhere.visible = not is_plan
        self._watch.visible = session is not None
        self._over.show("" if is_plan else _over_in_words(session))
        if session is None or not is_plan:
            return
        room = next((room for room in picture.rooms if room.name == session.room), None)
        self._shown = seats_of_plan(session, room)
        self._backups = backups_of_plan(session, picture)
        self._waits.show(why_it_waits(session, picture))
        self._cannot.show(why_it_cannot(session, picture))
        self._title.text = plan_in_words(picture, session)
        self._show(session)
        self._shrink.show(session)
        self._table.hide(frozenset() if session.backs_up else WITHOUT_BACKUPS)
        self._table.show(self._shown)
        if self._dialog.is_open and (seat := self._seat(self._dialog.seat_name)):
            self._dialog.show(seat, session.tsi)

    def _show(self, session: SessionView) -> None:
        outlook = outlook_of(session)
        count = len(to_overwrite(session))
        self._ordered.text = planned_in_words(session.ordered_by)
        self._opened.show(session.opened_at)
        self._count.show(str(count))
        self._left.show(str(len(self._shown) - count))
        self._bytes.show(bytes_in_words(outlook.bytes_to_send))
        self._time.show(duration_in_words(outlook.seconds))
        self._cap.show(rate_in_words(session.cap_bits_per_second))
        self._counts.show(counts_of(self._shown))
        machines = count_in_words(outlook.looking, "machine has", "machines have")
        self._looking.show(f"{machines} not looked at the whole disk yet." if outlook.looking else "")
        self._warning.text = (
            f"This overwrites the disks of {count_in_words(count, 'machine')} in {plain(session.room)}. "
            f"What is on them and not in the image is lost. To confirm, type {plain(session.room)} and {count}."
        )
        self._button.enabled = self._may_start()

    def _may_start(self) -> bool:
        return self._visit.may(Role.OPERATOR) and not self._waits.element.visible and not self._is_starting

    def _seat(self, name: str) -> SeatView | None:
        return next((seat for seat in self._shown if seat.name == name), None)

    def _open(self, key: str) -> None:
        seat = next((seat for seat in self._shown if key_of(seat) == key), None)
        if seat is not None:
            self._dialog.open(seat, self._tsi)

    async def _start(self) -> None:
        room = (self._typed_room.value or "").strip()
        count = (self._typed_count.value or "").strip()
        if not room or not count.isascii() or not count.isdecimal() or len(count) > 6:
            self._refusal.show("Type the name of the room and the number of machines first, the number in digits.")
            return
        if not self._button.enabled:
            return
        self._button.props("loading")
        self._is_starting = True
        self._button.enabled = False

        async def start(user: User) -> bool:
            await self._visit.desk.start(user, self._tsi, room, int(count))
            return True

        try:
            is_started = await self._visit.act(start, refused=self._refuse)
        finally:
            self._button.props(remove="loading")
            self._is_starting = False
            self._button.enabled = self._may_start()
        if is_started:
            ui.navigate.to(session_path(self._tsi))

    async def _drop(self) -> None:
        session = self._session
        if session is not None and await confirmed(
            "Drop this plan?", "Nothing was written, and nothing will be.", "Drop the plan"
        ):
            await self._visit.act(
                lambda user: self._visit.desk.stop(user, session.tsi), "Dropped: nothing was written.", self._refuse
            )

    def _refuse(self, words: str) -> None:
        self._refusal.show(words)


def _over_in_words(session: SessionView | None) -> str:
    if session is None:
        return GONE
    if session.step is SessionStep.ENDED:
        reason = f": {session.end_reason}" if session.end_reason else ""
        return f"This plan is over{reason}."
    return f"This plan was started: the session in {session.room} is on its way."
