"""The audit log: who ordered what, where, the newest first, and whether nobody has changed it since."""

from typing import Any, Final

from nicegui import background_tasks, ui

from dashboards.pages.audit_words import AuditLine, audit_line
from dashboards.pages.local_time import DATE_AND_TIME
from dashboards.pages.notes import Note
from dashboards.pages.quantities import NOTHING, count_in_words
from dashboards.pages.visit import Visit
from dashboards.pages.words import page_title, section_title
from protocol.commands import MAX_AUDIT_ENTRIES
from protocol.operators import Severity

ENTRIES: Final = 500
"""[entries] that are fetched at once: a few days of a busy site, and some hundred kilobytes"""

MORE_ENTRIES: Final = MAX_AUDIT_ENTRIES
"""[entries] that the desk gives at most"""

COLUMNS: Final[list[dict[str, Any]]] = [
    {"name": "number", "label": "No.", "field": "number", "align": "right", "sortable": True},
    {
        "name": "at",
        "label": "When",
        "field": "at",
        "align": "left",
        "sortable": True,
        ":format": f"value => value ? new Date(value * 1000).{DATE_AND_TIME} : '{NOTHING}'",
    },
    {"name": "who", "label": "Who", "field": "who", "align": "left", "sortable": True, "classes": "wrap-cell"},
    {"name": "what", "label": "What", "field": "what", "align": "left", "classes": "wrap-cell"},
    {"name": "session", "label": "Session", "field": "session", "align": "left", "sortable": True},
    {"name": "details", "label": "Details", "field": "details", "align": "left", "classes": "wrap-cell"},
]
ON_A_PHONE: Final = ["at", "who", "what"]


def build_audit(visit: Visit) -> None:
    """The page of the audit log."""
    AuditPage(visit)


class AuditPage:
    """One open page; it is read anew when that is asked for, since each look costs the broadcaster a whole check."""

    def __init__(self, visit: Visit) -> None:
        self._visit = visit
        self._lines: list[AuditLine] = []
        self._count = ENTRIES
        with ui.element("div").classes("page-head"):
            with ui.element("div").classes("words"):
                page_title("Audit")
                ui.label("What was ordered of the broadcaster, signed by it, each entry with the one before.").classes(
                    "muted"
                )
            with ui.element("div").classes("actions"):
                self._again = ui.button("Read anew", icon="refresh", on_click=visit.handler(self._load))
                self._again.props("outline no-caps")
        self._refusal = Note()
        self._intact = Note(Severity.GOOD)
        self._broken = Note(Severity.ERROR)
        with ui.element("section").classes("panel"):
            with ui.element("div").classes("chart-head"):
                section_title("Entries")
                self._found = ui.label().classes("muted small")
                field = ui.input(placeholder="Filter by who, what, session", on_change=self._filter)
                field.props('dense outlined clearable debounce=200 aria-label="Filter the entries"').classes("filter")
            self._table = ui.table(columns=COLUMNS, rows=[], row_key="number", pagination=25).classes("seat-table")
            self._table.props("flat dense wrap-cells binary-state-sort").props["no-data-label"] = "No entry"
            self._table.props["rows-per-page-options"] = [25, 50, 100]
            self._table.props[":visible-columns"] = f"Quasar.Screen.lt.md ? {ON_A_PHONE} : undefined"
            self._more = ui.button("Older entries", icon="expand_more", on_click=visit.handler(self._load_more))
            self._more.props("flat no-caps")
            self._more.visible = False
        self._wanted = ""
        background_tasks.create(visit.handler(self._load)(), name="read the audit log")

    async def _load_more(self) -> None:
        self._count = MORE_ENTRIES
        await self._load()

    async def _load(self) -> None:
        count = self._count
        for note in (self._refusal, self._intact, self._broken):
            note.clear()
        self._again.props("loading")
        try:
            found = await self._visit.act(lambda user: self._visit.desk.audit(user, count), refused=self._refusal.show)
        finally:
            self._again.props(remove="loading")
        if found is None:
            return
        entries = found.get("entries", [])
        self._lines = [audit_line(entry) for entry in reversed(entries)]
        verdict = str(found.get("verdict", ""))
        if found.get("is_intact"):
            self._intact.show(f"The log is whole: {verdict}.")
        else:
            self._broken.show(
                f"The log was changed, or a part of it is lost: {verdict}. "
                "Keep a copy of it and find out who could write it."
            )
        self._more.visible = len(entries) >= count and count < MORE_ENTRIES
        self._draw()

    def _filter(self, event: Any) -> None:
        self._wanted = (event.value or "").strip().casefold()
        self._draw()

    def _draw(self) -> None:
        found = [line for line in self._lines if self._wanted in _text(line)]
        self._table.rows = [
            {
                "number": line.number,
                "at": line.at,
                "who": line.who,
                "what": line.what,
                "session": line.session,
                "details": line.details,
            }
            for line in found
        ]
        entries = count_in_words(len(self._lines), "entry", "entries")
        self._found.text = f"{len(found)} of {entries}" if self._wanted else entries


def _text(line: AuditLine) -> str:
    return f"{line.who}\n{line.what}\n{line.event}\n{line.session}\n{line.details}".casefold()
