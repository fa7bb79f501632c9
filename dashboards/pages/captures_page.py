"""Captures: disks on their way into the library, wishes that wait for an operator, and how the last ones ended."""

from collections.abc import Iterable
from typing import Final

from nicegui import ui

from dashboards.fleet.capture_view import CaptureView
from dashboards.fleet.views import FleetView
from dashboards.pages.capture_decision import CaptureDecision
from dashboards.pages.capture_row import CaptureRow, RowActions
from dashboards.pages.capture_words import places
from dashboards.pages.figures import Figure
from dashboards.pages.new_backups import NewBackups
from dashboards.pages.new_capture import NewCapture
from dashboards.pages.quantities import count_in_words
from dashboards.pages.visit import Visit
from dashboards.pages.words import page_title, section_title
from dashboards.user import Role
from protocol.capture import CaptureStep

MOST_LISTED: Final = 100
"""[captures] of one list; the others come when these are done"""

NOTHING_YET: Final = (
    "No disk is on its way into the library. A machine that has booted the environment can be captured from here, "
    "or asks for it by itself."
)
STARTED: Final = frozenset({CaptureStep.ORDERED, CaptureStep.RUNNING})


def build_captures(visit: Visit) -> None:
    """The page of all captures."""
    CapturesPage(visit)


class CapturesPage:
    """One open page."""

    def __init__(self, visit: Visit) -> None:
        self._visit = visit
        decision = CaptureDecision(visit)
        actions = RowActions(decision.ask, decision.ask)
        with ui.element("div").classes("page-head"):
            with ui.element("div").classes("words"):
                page_title("Captures")
                ui.label("Disks on their way into the library: new images, and backups of seats.").classes("muted")
            if visit.may(Role.OPERATOR):
                with ui.element("div").classes("actions"):
                    self._new_backups = NewBackups(visit)
                    self._new_capture = NewCapture(visit)
        self._nothing = ui.label(NOTHING_YET).classes("panel muted wrap-text")
        with ui.element("section").classes("panel") as self._summary:
            section_title("At a glance").classes("only-read-aloud")
            with ui.element("div").classes("figures"):
                self._asked = Figure("Wait for an operator")
                self._running = Figure("Running")
                self._ordered = Figure("Not begun")
                self._done = Figure("In the library")
                self._failed = Figure("Refused or failed")
        self._waiting = CaptureList("Wait for an operator", visit, actions)
        self._open = CaptureList("On their way", visit, actions)
        self._ended = CaptureList("Ended a short while ago", visit, actions)
        visit.watch(self._look)

    def _look(self, picture: FleetView) -> None:
        captures = picture.captures
        self._nothing.visible = not captures
        self._summary.visible = bool(captures)
        steps = [capture.step for capture in captures]
        self._asked.show(str(steps.count(CaptureStep.ASKED)))
        self._running.show(str(steps.count(CaptureStep.RUNNING)))
        self._ordered.show(str(steps.count(CaptureStep.ORDERED)))
        self._done.show(str(steps.count(CaptureStep.DONE)))
        self._failed.show(str(steps.count(CaptureStep.REFUSED) + steps.count(CaptureStep.FAILED)))
        where = places(picture)
        self._waiting.show([one for one in captures if one.step is CaptureStep.ASKED], where)
        # Those that run are what somebody waits for; whoever has not begun stands behind them.
        started = sorted((one for one in captures if one.step in STARTED), key=lambda one: one.step != "running")
        self._open.show(started, where)
        self._ended.show([one for one in reversed(captures) if not one.is_open], where)
        if self._visit.may(Role.OPERATOR):
            self._new_capture.look(picture)
            self._new_backups.look(picture)


class CaptureList:
    """A panel that is there while it has entries; they are made anew when others are to be shown."""

    def __init__(self, title: str, visit: Visit, actions: RowActions) -> None:
        self._visit = visit
        self._actions = actions
        self._rows: dict[str, CaptureRow] = {}
        with ui.element("section").classes("panel") as self._panel:
            section_title(title)
            self._list = ui.element("ul").classes("plain-list captures").props(f'aria-label="{title}"')
            self._rest = ui.label().classes("muted small")
        self._panel.visible = False

    def show(self, captures: Iterable[CaptureView], where: dict[str, str]) -> None:
        """Show these, in this order."""
        found = list(captures)
        self._panel.visible = bool(found)
        rest = len(found) - MOST_LISTED
        self._rest.text = f"and {count_in_words(rest, 'more')}" if rest > 0 else ""
        self._rest.visible = rest > 0
        listed = found[:MOST_LISTED]
        if [capture.capture_id for capture in listed] != list(self._rows):
            self._make_rows(listed, where)
        for capture in listed:
            self._rows[capture.capture_id].show(capture, where.get(capture.machine, ""))

    def _make_rows(self, listed: list[CaptureView], where: dict[str, str]) -> None:
        wanted = {capture.capture_id for capture in listed}
        for capture_id in [one for one in self._rows if one not in wanted]:
            self._rows.pop(capture_id).element.delete()
        rows = {}
        for index, capture in enumerate(listed):
            row = self._rows.get(capture.capture_id)
            if row is None:
                with self._list:
                    row = CaptureRow(self._visit, self._actions, capture, where.get(capture.machine, ""))
            rows[capture.capture_id] = row
            if list(self._list.default_slot.children).index(row.element) != index:
                row.element.move(target_index=index)
        self._rows = rows
