"""One seat on the map: a button with all that is worth knowing from afar.

A card has room for words; a tile is one element only, for rooms so big that a thousand cards would slow the browser
down. Both show only what has changed since they were last shown.
"""

from typing import Final, Protocol

from nicegui import ui

from dashboards.fleet.views import SeatState, SeatView
from dashboards.pages.quantities import rate_in_words, share_in_words
from dashboards.pages.seat_words import Sign, Tone, seat_in_words, seat_sign
from dashboards.pages.words import Words, tone_class

NO_BREAK: Final = "\N{NO-BREAK SPACE}"
WITHOUT_PROGRESS: Final = frozenset({SeatState.EMPTY, SeatState.OFF, SeatState.IDLE, SeatState.REFUSED})
WITH_RATE: Final = frozenset({SeatState.RECEIVING, SeatState.CATCHING_UP})
STEADY_TONES: Final = frozenset({Tone.QUIET, Tone.GOOD})


class SeatMark(Protocol):
    """What the map puts into a place."""

    @property
    def element(self) -> ui.element:
        """The button."""

    def show(self, seat: SeatView) -> None:
        """Show how the seat is now."""


class SeatCard:
    """Name, state, progress, rate and reason."""

    def __init__(self, seat: SeatView) -> None:
        self._shown: SeatView | None = None
        with ui.element("button").props("type=button") as self.element:
            with ui.element("span").classes("seat-head"):
                self._icon = ui.icon("").props("aria-hidden=true")
                Words("span", seat.name).classes("seat-name")
            self._word = Words("span").classes("seat-word")
            self._figures = Words("span").classes("seat-figures")
            self._reason = Words("span").classes("seat-reason")
        _place(self.element, seat)
        self.show(seat)

    def show(self, seat: SeatView) -> None:
        """Show how the seat is now."""
        if seat == self._shown:
            return
        sign = seat_sign(seat)
        _mark(self.element, seat, sign, "seat")
        self._icon.name = sign.icon
        self._word.text = sign.word
        self._figures.text = _figures(seat)
        self._reason.text = seat.reason
        self._shown = seat


class SeatTile:
    """Name, icon and word in a single element: the browser draws icon and word from its attributes."""

    def __init__(self, seat: SeatView) -> None:
        self._shown: object = None
        self.element = Words("button", seat.name).props("type=button")
        _place(self.element, seat)
        self.show(seat)

    def show(self, seat: SeatView) -> None:
        """Show how the seat is now; a progress that moves by less than a percent is not worth a message."""
        sign = seat_sign(seat)
        looks = (sign, seat.reason, int(seat.progress * 100))
        if looks == self._shown:
            return
        self._shown = looks
        _mark(self.element, seat, sign, "seat tile")
        self.element.props["data-icon"] = sign.icon
        self.element.props["data-word"] = sign.word


def _place(element: ui.element, seat: SeatView) -> None:
    element.props["data-seat"] = seat.name
    element.props["data-row"] = seat.row
    element.props["data-column"] = seat.column
    if seat.row and seat.column:
        element.style(f"grid-row:{seat.row};grid-column:{seat.column}")


def _mark(element: ui.element, seat: SeatView, sign: Sign, kind: str) -> None:
    words = seat_in_words(seat)
    has_progress = seat.state not in WITHOUT_PROGRESS
    shown = int(seat.progress * 100) if has_progress else 0
    with element.props.suspend_updates():
        element.props["title"] = words
        element.props["aria-label"] = f"{words}, {shown} %" if has_progress else words
    element.style(f"--progress:{shown}%")
    element.classes(replace=f"{kind} {tone_class(sign)}{' steady' if sign.tone in STEADY_TONES else ''}")
    element.update()


def _figures(seat: SeatView) -> str:
    if seat.state in WITHOUT_PROGRESS:
        return ""
    figures = [share_in_words(seat.progress)]
    if seat.state in WITH_RATE:
        figures.append(rate_in_words(seat.rate_bits_per_second))
    return " · ".join(figure.replace(" ", NO_BREAK) for figure in figures)
