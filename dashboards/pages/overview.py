"""Cards of rooms or sessions at a glance, each a link to its page."""

from collections.abc import Sequence
from dataclasses import dataclass

from nicegui import ui

from dashboards.fleet.views import SeatState, Spread
from dashboards.pages.figures import SignChip, SpreadBar, StateCounts
from dashboards.pages.quantities import duration_in_words, share_in_words
from dashboards.pages.seat_words import STEP_SIGNS
from dashboards.pages.words import Words
from protocol.operators import SessionStep


@dataclass(frozen=True, slots=True)
class Glance:
    """What one card shows."""

    key: str
    title: str
    words: str
    path: str
    step: SessionStep | None
    spread: Spread
    eta_seconds: float | None
    counts: tuple[tuple[SeatState, int], ...]


class _Card:
    def __init__(self, glance: Glance) -> None:
        with ui.link(target=glance.path).classes("panel glance"):
            with ui.element("div").classes("chart-head"):
                Words("h2", glance.title).classes("section-title wrap-text")
                self._step = SignChip(STEP_SIGNS[SessionStep.PLANNED])
            self._words = ui.label().classes("muted wrap-text")
            self._spread = SpreadBar()
            with ui.element("div").classes("chart-head small numbers") as self._progress:
                self._shares = ui.label()
                self._eta = ui.label()
            self._counts = StateCounts()
        self.show(glance)

    def show(self, glance: Glance) -> None:
        is_going_on = glance.step is not None and glance.step is not SessionStep.PLANNED
        self._step.element.visible = glance.step is not None
        if glance.step is not None:
            self._step.show(STEP_SIGNS[glance.step])
        self._words.text = glance.words
        self._spread.element.visible = self._progress.visible = is_going_on
        self._spread.show(glance.spread)
        spread = glance.spread
        self._shares.text = (
            f"slowest {share_in_words(spread.minimum)}, median {share_in_words(spread.median)}, "
            f"fastest {share_in_words(spread.maximum)}"
        )
        is_over = glance.step is SessionStep.ENDED or glance.eta_seconds is None
        self._eta.text = "" if is_over else f"done in {duration_in_words(glance.eta_seconds)}"
        self._counts.show(glance.counts)


class Overview:
    """All cards; made anew only when one has come or gone."""

    def __init__(self, nothing: str) -> None:
        self._keys: list[str] = []
        self._cards: list[_Card] = []
        self._nothing = ui.label(nothing).classes("panel nothing")
        self._grid = ui.element("div").classes("overview")

    def show(self, glances: Sequence[Glance]) -> None:
        """Show how they are now."""
        self._nothing.visible = not glances
        keys = [glance.key for glance in glances]
        if keys == self._keys:
            for card, glance in zip(self._cards, glances, strict=True):
                card.show(glance)
            return
        self._keys = keys
        self._grid.clear()
        with self._grid:
            self._cards = [_Card(glance) for glance in glances]
