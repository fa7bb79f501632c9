"""One session of the history: how it ended, its course, every seat, what happened, and its report."""

from typing import Final

from nicegui import background_tasks, ui

from dashboards.fleet.views import SeatState, SeatView
from dashboards.history.records import PastSeat, PastSession
from dashboards.pages.aftercare_panel import AftercarePanel
from dashboards.pages.figures import Figure, SignChip, StateCounts, counts_of
from dashboards.pages.happenings import HappeningList
from dashboards.pages.history_page import outcome_sign
from dashboards.pages.listing import Listing
from dashboards.pages.local_time import LocalTime
from dashboards.pages.notes import Note
from dashboards.pages.paths import HISTORY, report_path
from dashboards.pages.quantities import NOTHING, bytes_in_words, duration_in_words, loss_in_words
from dashboards.pages.seat_table import Column, SeatTable, key_of
from dashboards.pages.seat_words import SEAT_SIGNS, ordered_in_words, plain, seat_sign
from dashboards.pages.session_charts import SessionCharts
from dashboards.pages.visit import Visit
from dashboards.pages.words import Words, page_title
from protocol.operators import Severity

UNKNOWN: Final = "This session is not in the history. Choose another under History."
NO_REPORT: Final = "Its signed report is not kept here yet: a download asks the broadcaster for it."

PAST_COLUMNS: Final = (
    Column("name", "Seat", lambda seat: seat.name, lambda seat: seat.name, is_number=False),
    Column("state", "State", lambda seat: seat_sign(seat).word, lambda seat: seat_sign(seat).word, is_number=False),
    Column("target", "Disk", lambda seat: seat.target or NOTHING, lambda seat: seat.target, is_number=False),
    Column(
        "settled",
        "Done after",
        lambda seat: duration_in_words(seat.settled_seconds),
        lambda seat: float("inf") if seat.settled_seconds is None else seat.settled_seconds,
    ),
    Column("received", "Received", lambda seat: bytes_in_words(seat.bytes_received), lambda seat: seat.bytes_received),
    Column("reason", "Reason", lambda seat: seat.reason, lambda seat: seat.reason, is_number=False),
)
ON_A_PHONE: Final = ("name", "state", "reason")

RUN_HEADINGS: Final = ("Ended", "Room", "Image", "Outcome")


def seat_of(past: PastSeat) -> SeatView:
    """A seat as the table shows it; an outcome that another version wrote is taken for incomplete."""
    try:
        state = SeatState(past.outcome)
    except ValueError:
        state = SeatState.INCOMPLETE
    return SeatView(
        name=past.name,
        machine=past.machine,
        receiver_id=past.receiver_id,
        state=state,
        reason=past.reason,
        target=past.target,
        settled_seconds=past.settled_seconds,
        bytes_received=past.bytes_received,
        catch_up_bytes=past.catch_up_bytes,
        bytes_written=past.bytes_written,
        loss_ratio=past.loss_ratio,
        repaired_blocks=past.repaired_blocks,
        alarm=past.alarm,
    )


def build_past_session(visit: Visit) -> None:
    """The page of the session that the path names."""
    ui.link("All sessions that have ended", HISTORY).classes("session-link")
    waiting = ui.label("The session is looked up.").classes("muted")
    content = ui.element("div").classes("stack")
    refusal = Note()

    async def fetch() -> None:
        with visit.client:
            found = await visit.act(
                lambda user: visit.desk.past_session(user, visit.parameters["tsi"]), refused=refusal.show
            )
            waiting.visible = False
            if found is not None:
                with content:
                    PastSessionPage(visit, found)
            elif not refusal.element.visible:
                refusal.show(UNKNOWN)

    background_tasks.create(fetch(), name="look up a session of the history")


class PastSessionPage:
    """What is shown once it is there."""

    def __init__(self, visit: Visit, session: PastSession) -> None:
        self._visit = visit
        self._seats = tuple(seat_of(seat) for seat in session.seats)
        self._head(session)
        with ui.element("section").classes("panel"):
            with ui.element("div").classes("figures"):
                for name, value in _figures(session):
                    Figure(name, value)
            StateCounts().show(counts_of(self._seats))
            if session.end_reason:
                ui.label(plain(session.end_reason)).classes("muted wrap-text")
            if not session.has_report:
                Note(Severity.INFO).show(NO_REPORT)
        SessionCharts().show(session.samples)
        with ui.element("div").classes("session-layout"):
            SeatTable(self._open, PAST_COLUMNS, ON_A_PHONE).show(self._seats)
            HappeningList().show(session.happenings)
        if session.verified_count:
            AftercarePanel(visit, session.tsi).ask()
        with ui.dialog() as self._dialog, ui.card().classes("dialog-card"):
            self._dialog.props["aria-label"] = "History of a PC"
            self._title = Words("h2").classes("dialog-title")
            self._runs = Listing("Sessions of this PC", RUN_HEADINGS)
            with ui.row().classes("dialog-actions"):
                ui.button("Close", on_click=lambda _: self._dialog.close()).props("flat no-caps")

    def _head(self, session: PastSession) -> None:
        ui.page_title(f"{plain(session.room or session.image)} · History · slatecast")
        with ui.element("div").classes("page-head"):
            with ui.element("div").classes("words"):
                page_title(f"{session.image} version {session.version}")
                with ui.element("div").classes("muted words-line"):
                    ui.label(plain(session.room)).classes("wrap-text")
                    ui.label(ordered_in_words(session.ordered_by)).classes("wrap-text")
                    LocalTime(session.ended_at, with_date=True)
            SignChip(outcome_sign(session))
            with ui.element("div").classes("actions"):
                for text, icon, form in (("Download (JSON)", "download", "json"), ("Print", "print", "html")):
                    button = ui.button(text, icon=icon).props("outline no-caps target=_blank")
                    button.props["href"] = report_path(session.tsi, form)

    async def _open_machine(self, machine: str) -> None:
        runs = await self._visit.act(lambda user: self._visit.desk.machine_history(user, machine))
        if runs is None:
            return
        self._title.text = f"Sessions of PC {plain(machine)}"
        self._runs.clear()
        for run in runs:
            with self._runs.row():
                with self._runs.cell():
                    LocalTime(run.ended_at, with_date=True)
                self._runs.text(run.room)
                self._runs.text(f"{plain(run.image)} version {run.version}")
                with self._runs.cell():
                    SignChip(SEAT_SIGNS[seat_of(run.seat).state])
        self._dialog.open()

    def _open(self, key: str) -> None:
        seat = next((seat for seat in self._seats if key_of(seat) == key), None)
        if seat is not None and seat.machine:
            background_tasks.create(self._visit.handler(self._open_machine, seat.machine)(), name="history of a PC")


def _figures(session: PastSession) -> list[tuple[str, str]]:
    return [
        ("Verified", f"{session.verified_count} of {session.seat_count}"),
        ("Took", duration_in_words(session.elapsed_seconds)),
        ("Sent to the group", bytes_in_words(session.bytes_on_wire)),
        ("Fetched by single seats", bytes_in_words(session.catch_up_bytes)),
        ("Repair", loss_in_words(session.repair_datagrams / max(1, session.datagrams_sent))),
        ("Disk", bytes_in_words(session.disk_size)),
    ]
