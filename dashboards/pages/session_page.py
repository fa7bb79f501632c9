"""A session: where it stands, its rates over time, every seat in a table, what happened, and how it ended."""

from nicegui import background_tasks, ui

from dashboards.fleet.views import FleetView, SeatState, SeatView, SessionView
from dashboards.pages.aftercare_panel import AftercarePanel
from dashboards.pages.capture_words import image_in_words
from dashboards.pages.figures import Figure, SignChip, SpreadBar, StateCounts, counts_of
from dashboards.pages.happenings import HappeningList
from dashboards.pages.local_time import LocalTime
from dashboards.pages.paths import room_path
from dashboards.pages.quantities import bytes_in_words, duration_in_words, loss_in_words, rate_in_words, share_in_words
from dashboards.pages.seat_dialog import SeatDialog
from dashboards.pages.seat_table import SeatTable, key_of
from dashboards.pages.seat_words import STEP_SIGNS, ordered_in_words, plain
from dashboards.pages.session_actions import SessionActions
from dashboards.pages.session_charts import SessionCharts
from dashboards.pages.session_summary import SummaryPanel, headline, summary_of, summary_of_report
from dashboards.pages.visit import Visit
from dashboards.pages.words import page_title
from protocol.errors import SlatecastError
from protocol.operators import SessionStep


def build_session(visit: Visit) -> None:
    """The page of the session that the path names: as it goes on, or its report when it is over and gone."""
    tsi = visit.parameters["tsi"]
    if any(session.tsi == tsi for session in visit.picture().sessions):
        SessionPage(visit, tsi)
    else:
        _show_past(visit, tsi)


class SessionPage:
    """One open page of one session."""

    def __init__(self, visit: Visit, tsi: str) -> None:
        self._visit = visit
        self._tsi = tsi
        self._session: SessionView | None = None
        self._picked = ""
        self._tab_title = ""
        self._head()
        self._gone = ui.label("This session is over, and no longer told of. Its report is under History.").classes(
            "panel"
        )
        self._summary = SummaryPanel(tsi)
        self._figures()
        self._charts = SessionCharts()
        with ui.element("div").classes("session-layout"):
            self._table = SeatTable(self._open)
            self._happenings = HappeningList()
        self._aftercare = AftercarePanel(visit, tsi)
        self._dialog = SeatDialog(visit)
        visit.watch(self._look)

    def _head(self) -> None:
        with ui.element("div").classes("page-head"):
            with ui.element("div").classes("words"):
                self._title = page_title("")
                with ui.element("div").classes("muted words-line"):
                    self._room = ui.link("", "").classes("session-link")
                    self._ordered = ui.label().classes("wrap-text")
                    self._opened = LocalTime(0, with_date=True)
            self._step = SignChip(STEP_SIGNS[SessionStep.PLANNED])
            self._actions = SessionActions(self._visit)

    def _figures(self) -> None:
        with ui.element("section").classes("panel"):
            with ui.element("div").classes("figures many"):
                self._elapsed = Figure("Sending for")
                self._eta = Figure("Last seat is done in")
                self._wire = Figure("On the wire now")
                self._rate = Figure("Set rate")
                self._cap = Figure("Cap")
                self._sent = Figure("Sent to the group")
                self._catch_up = Figure("Catch-up")
                self._repair = Figure("Repair")
                self._minimum = Figure("Slowest seat")
                self._median = Figure("Median seat")
                self._maximum = Figure("Fastest seat")
            self._spread = SpreadBar()
            self._counts = StateCounts()
            self._reason = ui.label().classes("muted wrap-text")

    def _look(self, picture: FleetView) -> None:
        session = next((session for session in picture.sessions if session.tsi == self._tsi), None)
        self._gone.visible = session is None
        if session is None:
            return
        self._session = session
        self._title.text = image_in_words(picture, session)
        self._show_head(session)
        self._show_figures(session)
        self._summary.element.visible = session.step is SessionStep.ENDED
        if session.step is SessionStep.ENDED:
            self._summary.show(summary_of(session))
        self._charts.show(session.samples if session.step is not SessionStep.PLANNED else ())
        self._table.show(session.seats)
        self._happenings.show(session.happenings)
        if any(seat.state is SeatState.VERIFIED for seat in session.seats):
            self._aftercare.ask()
        if self._dialog.is_open and (seat := self._seat(self._picked)):
            self._dialog.show(seat, session.tsi)

    def _show_head(self, session: SessionView) -> None:
        self._room.text = session.room
        self._room.visible = bool(session.room)
        self._room.props["href"] = room_path(session.room)
        self._ordered.text = ordered_in_words(session.ordered_by) or "opened"
        self._opened.show(session.opened_at)
        self._step.show(STEP_SIGNS[session.step])
        self._actions.show(session)
        is_over = session.step is SessionStep.ENDED
        so_far = headline(summary_of(session)) if is_over else share_in_words(session.spread.median)
        self._set_title(f"{so_far} · {plain(session.room or session.image)}")

    def _set_title(self, title: str) -> None:
        if title != self._tab_title:
            self._tab_title = title
            ui.page_title(f"{title} · slatecast")

    def _show_figures(self, session: SessionView) -> None:
        is_over = session.step is SessionStep.ENDED
        self._elapsed.show(duration_in_words(session.elapsed_seconds))
        self._eta.show("ended" if is_over else duration_in_words(session.eta_seconds))
        self._wire.show(rate_in_words(session.wire_bits_per_second))
        self._rate.show(rate_in_words(session.rate_bits_per_second))
        self._cap.show(rate_in_words(session.cap_bits_per_second))
        self._sent.show(bytes_in_words(session.bytes_on_wire))
        self._catch_up.show(bytes_in_words(session.catch_up_bytes))
        self._repair.show(loss_in_words(session.repair_datagrams / max(1, session.datagrams_sent)))
        self._minimum.show(share_in_words(session.spread.minimum))
        self._median.show(share_in_words(session.spread.median))
        self._maximum.show(share_in_words(session.spread.maximum))
        self._spread.show(session.spread)
        self._counts.show(counts_of(session.seats))
        self._reason.text = f"Why this rate: {session.rate_reason}" if session.rate_reason and not is_over else ""

    def _seat(self, key: str) -> SeatView | None:
        seats = self._session.seats if self._session else ()
        return next((seat for seat in seats if key_of(seat) == key), None)

    def _open(self, key: str) -> None:
        seat = self._seat(key)
        if seat is not None:
            self._picked = key
            self._dialog.open(seat, self._tsi)


def _show_past(visit: Visit, tsi: str) -> None:
    page_title("Session")
    ui.label(tsi).classes("muted")
    waiting = ui.label("Its report is fetched.").classes("muted")
    panel = SummaryPanel(tsi)
    panel.element.visible = False
    aftercare = AftercarePanel(visit, tsi)

    async def fetch() -> None:
        with visit.client:
            try:
                report = await visit.desk.report(visit.user, tsi)
            except SlatecastError as error:
                waiting.text = str(error)
                return
            waiting.visible = False
            panel.element.visible = True
            panel.show(summary_of_report(report))
            aftercare.ask()

    background_tasks.create(fetch(), name="fetch the report of a past session")
