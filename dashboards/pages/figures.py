"""Small parts that several pages show figures with: a named value, a chip with a sign, the spread of a room."""

from collections import Counter
from collections.abc import Iterable

from nicegui import ui

from dashboards.fleet.views import SeatState, SeatView, Spread
from dashboards.pages.quantities import share_in_words
from dashboards.pages.seat_words import SEAT_SIGNS, Sign
from dashboards.pages.words import tone_class


class Figure:
    """A value with its name above it."""

    def __init__(self, name: str, value: str = "") -> None:
        with ui.element("div").classes("figure"):
            ui.label(name).classes("figure-name")
            self._value = ui.label(value).classes("figure-value")

    def show(self, value: str) -> None:
        """Show another value."""
        self._value.text = value


class SignChip:
    """An icon and words in the tone of a sign."""

    def __init__(self, sign: Sign, words: str = "") -> None:
        with ui.element("div") as self.element:
            self._icon = ui.icon(sign.icon).props("aria-hidden=true")
            self._words = ui.label()
        self.show(sign, words or sign.word)

    def show(self, sign: Sign, words: str = "") -> None:
        """Show another sign; without ``words``, its own word."""
        self.element.classes(replace=f"chip {tone_class(sign)}")
        self._icon.name = sign.icon
        self._words.text = words or sign.word


class SpreadBar:
    """From the slowest to the fastest seat, with a mark at the middle one; in words for whoever cannot see it."""

    def __init__(self) -> None:
        self._shown: Spread | None = None
        self.element = ui.element("div").classes("spread").props("role=img")

    def show(self, spread: Spread) -> None:
        """Show how far the seats are apart."""
        if spread == self._shown:
            return
        self._shown = spread
        self.element.style(
            f"--from:{spread.minimum:.2%};--to:{spread.maximum:.2%};--middle:{spread.median:.2%}".replace(" ", "")
        )
        self.element.props["aria-label"] = (
            f"Progress: slowest seat {share_in_words(spread.minimum)}, median {share_in_words(spread.median)}, "
            f"fastest seat {share_in_words(spread.maximum)}"
        )


def counts_of(seats: Iterable[SeatView]) -> tuple[tuple[SeatState, int], ...]:
    """How many seats are in each state that occurs, in the order of the states."""
    counts = Counter(seat.state for seat in seats)
    return tuple((state, counts[state]) for state in SeatState if counts[state])


class StateCounts:
    """How many seats are in each state, as chips."""

    def __init__(self) -> None:
        self._shown: tuple[tuple[SeatState, int], ...] | None = None
        self._row = ui.row().classes("chips").props('role=list aria-label="Seats by state"')

    def show(self, counts: tuple[tuple[SeatState, int], ...]) -> None:
        """Show other counts."""
        if counts == self._shown:
            return
        self._shown = counts
        self._row.clear()
        with self._row:
            for state, count in counts:
                with ui.element("div").props("role=listitem"):
                    SignChip(SEAT_SIGNS[state], f"{count} {SEAT_SIGNS[state].word}")
