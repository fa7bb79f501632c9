"""One capture in a list: what goes where, how far it is, why it stands still, and what can be done with it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from nicegui import ui

from dashboards.fleet.capture_view import CaptureView
from dashboards.pages.capture_words import (
    CAPTURE_SIGNS,
    figures_in_words,
    origin_in_words,
    outcome_in_words,
    title_in_words,
)
from dashboards.pages.dialogs import confirmed
from dashboards.pages.figures import SignChip
from dashboards.pages.local_time import LocalTime
from dashboards.pages.quantities import count_in_words
from dashboards.pages.visit import Visit
from dashboards.pages.words import Words
from dashboards.user import Role
from protocol.capture import CaptureStep

FINE_STEP: Final = 0.002
"""Share by which a bar moves at least: less cannot be seen, and would be a message for nothing."""


@dataclass(frozen=True, slots=True)
class RowActions:
    """What a row cannot do by itself."""

    decide: Callable[[CaptureView], object]
    """allow or refuse what somebody asked for"""
    look: Callable[[CaptureView], object]
    """show what was found"""


class CaptureRow:
    """An entry that is brought up to date in place."""

    def __init__(self, visit: Visit, actions: RowActions, capture: CaptureView, place: str) -> None:
        self._visit = visit
        self._capture = capture
        self._place = place
        self._shown: tuple[CaptureView, str] | None = None
        self._is_operator = visit.may(Role.OPERATOR)
        with ui.element("li").classes("capture") as self.element:
            with ui.element("div").classes("chart-head"):
                self._title = Words("span").classes("strong wrap-text")
                self._chip = SignChip(CAPTURE_SIGNS[capture.step])
            self._bar = ui.linear_progress(0.0, show_value=False, size="8px").props("rounded instant-feedback")
            self._figures = ui.label().classes("muted small numbers wrap-text")
            self._reason = ui.label().classes("wrap-text small")
            with ui.element("div").classes("chart-head"):
                with ui.element("div").classes("muted small words-line"):
                    self._origin = ui.label().classes("wrap-text")
                    LocalTime(capture.began_at, with_date=True)
                with ui.row().classes("gap-small") as self._buttons:
                    self._decide = self._button("Allow or refuse", "unelevated", lambda: actions.decide(self._capture))
                    self._findings = self._button("Findings", "outline", lambda: actions.look(self._capture))
                    self._stop = self._button("Stop", "flat", self._do_stop)
                    self._stop.props["color"] = "negative"
        self.show(capture, place)

    def _button(self, text: str, kind: str, action: Callable[[], object]) -> ui.button:
        return ui.button(text, on_click=self._visit.handler(action)).props(f"{kind} dense no-caps")

    def show(self, capture: CaptureView, place: str) -> None:
        """Show how the capture is now."""
        if (capture, place) == self._shown:
            return
        self._shown = capture, place
        self._capture, self._place = capture, place
        step = capture.step
        title = title_in_words(capture, place)
        self._title.text = title
        self._chip.show(CAPTURE_SIGNS[step])
        self._bar.visible = step is CaptureStep.RUNNING
        self._bar.props["aria-label"] = f"Capture of {title}"
        if abs(capture.done - self._bar.value) >= FINE_STEP or capture.done in {0.0, 1.0}:
            self._bar.value = capture.done
        self._figures.text = figures_in_words(capture)
        self._figures.visible = bool(self._figures.text)
        self._reason.text = outcome_in_words(capture)
        self._reason.visible = bool(self._reason.text)
        self._origin.text = origin_in_words(capture)
        self._decide.visible = self._is_operator and step is CaptureStep.ASKED
        self._findings.visible = bool(capture.findings) and step is not CaptureStep.ASKED
        self._findings.text = f"Findings ({capture.findings})"
        self._stop.visible = self._is_operator and step in {CaptureStep.ORDERED, CaptureStep.RUNNING}
        self._buttons.visible = self._decide.visible or self._findings.visible or self._stop.visible
        for button, what in ((self._decide, "Allow or refuse"), (self._stop, "Stop")):
            button.props["aria-label"] = f"{what}: {title}"
        self._findings.props["aria-label"] = f"{count_in_words(capture.findings, 'finding')}: {title}"

    async def _do_stop(self) -> None:
        capture = self._capture
        title = title_in_words(capture, self._place)
        if await confirmed(
            "Stop this capture?",
            f"{title}: what has arrived of it is forgotten, and no image comes of it. The disk of the machine stays "
            "as it is.",
            "Stop the capture",
        ):
            await self._visit.act(
                lambda user: self._visit.desk.captures.stop(user, capture.capture_id), f"Stopped: {title}."
            )
