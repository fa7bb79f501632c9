"""Sessions that have ended, the newest first, page by page."""

from typing import Final

from nicegui import background_tasks, ui

from dashboards.fleet.views import FleetView
from dashboards.history.records import PastSession
from dashboards.pages.figures import SignChip
from dashboards.pages.listing import ACTIONS, Listing
from dashboards.pages.local_time import LocalTime
from dashboards.pages.notes import Note
from dashboards.pages.paths import past_session_path
from dashboards.pages.quantities import NOTHING, bytes_in_words, duration_in_words
from dashboards.pages.seat_words import Sign, Tone, plain
from dashboards.pages.visit import Visit
from dashboards.pages.words import page_title
from protocol.operators import SessionStep

PER_PAGE: Final = 25

LOOKS: Final = 10
"""[pictures] after a session has ended, in which its record is looked for: five seconds, and it is kept within two"""

ALL_ROOMS: Final = ""

HEADINGS: Final = ("Ended", "Room", "Image", "Seats", "Took", "Sent", "Ordered by", ACTIONS)
NOTHING_YET: Final = "No session has ended yet. Each is kept here when it is over, with its report."
NOTHING_THERE: Final = "No session has ended in this room."


def outcome_sign(session: PastSession) -> Sign:
    """How it ended as a whole."""
    words = f"{session.verified_count} of {session.seat_count} verified"
    if session.verified_count == session.seat_count and session.seat_count:
        return Sign("check_circle", words, Tone.GOOD)
    return Sign("rule", words, Tone.BAD if not session.verified_count else Tone.SLOW)


def build_history(visit: Visit) -> None:
    """The page of all ended sessions."""
    HistoryPage(visit)


class HistoryPage:
    """One open page; where it stands is a list of the times before which each of its pages begins."""

    def __init__(self, visit: Visit) -> None:
        self._visit = visit
        self._begins: list[float | None] = [None]
        with ui.element("div").classes("page-head"):
            with ui.element("div").classes("words"):
                page_title("History")
            with ui.element("div").classes("actions"):
                self._room = ui.select({ALL_ROOMS: "All rooms"}, value=ALL_ROOMS, label="Room")
                self._room.props("outlined dense").classes("filter-select")
                self._room.on_value_change(visit.handler(self._choose))
        with ui.element("section").classes("panel"):
            self._refusal = Note()
            self._nothing = ui.label().classes("nothing")
            self._nothing.visible = False
            self._listing = Listing("Sessions that have ended", HEADINGS)
            with ui.row().classes("actions"):
                self._newer = self._button("Newer", "chevron_left", self._go_newer)
                self._older = self._button("Older", "chevron_right", self._go_older)
        self._rooms = {room.name: plain(room.name) for room in visit.picture().rooms}
        self._show_rooms()
        self._last: float | None = None
        self._shown: list[PastSession] | None = None
        self._ended: frozenset[str] = frozenset()
        self._looks_left = LOOKS
        visit.watch(self._look)

    def _button(self, text: str, icon: str, action: object) -> ui.button:
        button = ui.button(text, icon=icon, on_click=self._visit.handler(action))  # type: ignore[arg-type]
        return button.props("outline no-caps")

    async def _load(self) -> None:
        self._refusal.clear()
        room, before = self._room.value or "", self._begins[-1]
        found = await self._visit.act(
            lambda user: self._visit.desk.history(user, room=room, limit=PER_PAGE + 1, before=before),
            refused=self._refusal.show,
        )
        if found is not None and found != self._shown:
            self._shown = found
            self._show(found)

    def _look(self, picture: FleetView) -> None:
        """A session that has ended is kept a moment later; a plan that was dropped never is."""
        ended = frozenset(session.tsi for session in picture.sessions if session.step is SessionStep.ENDED)
        if ended != self._ended:
            self._ended, self._looks_left = ended, LOOKS
        if self._looks_left and len(self._begins) == 1:
            self._looks_left -= 1
            background_tasks.create(self._visit.handler(self._load)(), name="read the history")

    async def _choose(self) -> None:
        self._begins = [None]
        await self._load()

    async def _go_older(self) -> None:
        if self._last is not None:
            self._begins.append(self._last)
            await self._load()

    async def _go_newer(self) -> None:
        if len(self._begins) > 1:
            self._begins.pop()
            await self._load()

    def _show_rooms(self) -> None:
        self._room.set_options({ALL_ROOMS: "All rooms", **self._rooms}, value=self._room.value)

    def _show(self, found: list[PastSession]) -> None:
        shown = found[:PER_PAGE]
        # A room that was renamed since is offered by the name that its sessions have.
        gone = {
            session.room: plain(session.room) for session in shown if session.room and session.room not in self._rooms
        }
        if gone:
            self._rooms.update(gone)
            self._show_rooms()
        self._last = shown[-1].ended_at if len(found) > PER_PAGE else None
        self._older.enabled = self._last is not None
        self._newer.enabled = len(self._begins) > 1
        self._older.visible = self._newer.visible = self._older.enabled or self._newer.enabled
        self._nothing.text = NOTHING_THERE if self._room.value else NOTHING_YET
        self._nothing.visible = not shown
        self._listing.element.visible = bool(shown)
        self._listing.clear()
        for session in shown:
            self._row(session)

    def _row(self, session: PastSession) -> None:
        listing = self._listing
        with listing.row():
            with listing.cell():
                LocalTime(session.ended_at, with_date=True)
            listing.text(session.room or NOTHING, "strong")
            listing.text(f"{plain(session.image)} version {session.version}")
            with listing.cell():
                SignChip(outcome_sign(session))
            listing.text(duration_in_words(session.elapsed_seconds))
            listing.text(bytes_in_words(session.bytes_on_wire))
            listing.text(session.ordered_by or NOTHING)
            with listing.cell():
                link = ui.link("Details", past_session_path(session.tsi)).classes("session-link")
                link.props["aria-label"] = f"Details of the session in {plain(session.room)}"
