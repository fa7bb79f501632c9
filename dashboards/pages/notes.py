"""A sentence at the place that it is about: why something was refused, or what is going on there."""

from nicegui import ui

from dashboards.pages.seat_words import SEVERITY_SIGNS, plain
from dashboards.pages.words import tone_class
from protocol.operators import Severity


class Note:
    """There while it has something to say; a reader of screens says it aloud."""

    def __init__(self, severity: Severity = Severity.ERROR) -> None:
        sign = SEVERITY_SIGNS[severity]
        with ui.element("div").classes(f"note {tone_class(sign)}").props("role=alert") as self.element:
            ui.icon(sign.icon).props("aria-hidden=true")
            self._words = ui.label().classes("wrap-text")
        self.element.visible = False

    def show(self, words: str) -> None:
        """Say something else; nothing hides it."""
        self._words.text = plain(words)
        self.element.visible = bool(words)

    def clear(self) -> None:
        """Say nothing more."""
        self.show("")
