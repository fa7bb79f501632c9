"""A seat's picture for a screen of any size: lines of text with a style each, large letters where there is room.

From top to bottom: the name of the seat and its state in large letters, the bar, what is asked, sentences, words to
compare; at the bottom the keys and the network. What does not fit is left out from the end; the keys never are.
"""

from dataclasses import dataclass
from textwrap import wrap
from typing import Final

from rich.cells import cell_len, set_cell_size

from slatecast.seat.big_letters import big_letters
from slatecast.seat.screen_model import ScreenModel, Tone

SMALLEST_COLUMNS: Final = 20
SMALLEST_LINES: Final = 6
"""A terminal that claims to be smaller is drawn as if it had these."""

_LARGE_LINES: Final = 40
"""[lines] From here on there is room for the largest letters everywhere."""

_USUAL_LINES: Final = 23
"""[lines] From here on the state has them; a console of 25 lines, or one with a large font, has room for that."""

_FEW_LINES: Final = 16
"""[lines] Below that nothing is large: what is to be read is worth more."""

_BAR: Final = "█"
_GROUND: Final = "░"

STYLES: Final = {
    Tone.CALM: "bold",
    Tone.BUSY: "bold cyan",
    Tone.GOOD: "bold green",
    Tone.WARNING: "bold yellow",
    Tone.ALARM: "bold white on red",
}


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the screen."""

    text: str = ""
    style: str = ""
    """as rich writes styles; empty for the terminal's own"""


def picture(model: ScreenModel, columns: int, lines: int) -> list[Line]:
    """Exactly ``lines`` lines, none wider than ``columns``."""
    columns, lines = max(columns, SMALLEST_COLUMNS), max(lines, SMALLEST_LINES)
    bottom = _bottom(model, columns)
    room = lines - len(bottom)
    tall = 7 if lines >= _LARGE_LINES else 3 if lines >= _FEW_LINES else 1
    top = _top(model, columns, tall, 7 if lines >= _USUAL_LINES else tall)
    top += _progress(model, columns)
    top += [Line(text, "bold yellow") for text in _wrapped(model.question, columns)]
    style = STYLES[model.tone] if model.tone in (Tone.ALARM, Tone.WARNING) else ""
    for place, sentence in enumerate(model.lines):
        top += [Line(text, style if place == 0 else "") for text in _wrapped(sentence, columns)]
        if lines >= _LARGE_LINES:
            top.append(Line())
    if model.words and tall > 1:
        top = _with_words(top, model.words, columns, room, tall)
    top = top[:room]
    return [*top, *[Line()] * (room - len(top)), *bottom]


def _top(model: ScreenModel, columns: int, tall: int, taller: int) -> list[Line]:
    """Name in letters of ``tall`` lines and state in ``taller`` ones; words to compare need their room."""
    name = f"{model.seat}   {model.room}" if model.room else model.seat
    if model.words or tall == 1:
        words = _wrapped(" ".join(model.words), columns) if tall == 1 else []
        title = Line(_cut(f"{model.headline.upper()}   {name}", columns), STYLES[model.tone])
        return [title, *(Line(row, "bold green") for row in words)]
    large = [Line(row, "bold") for row in big_letters(model.seat, columns, tall)]
    if model.room:
        large.append(Line(_cut(model.room, columns)))
    state = [Line(row, STYLES[model.tone]) for row in big_letters(model.headline, columns, taller)]
    return [*large, Line(), *state, Line()]


def _with_words(top: list[Line], words: tuple[str, ...], columns: int, room: int, tall: int) -> list[Line]:
    """The words below each other, each as large as all of them can be."""
    left = room - len(top)
    for height in (tall, 3):
        rows = [Line(row, "bold green") for word in words for row in (*big_letters(word, columns, height), "")]
        if len(rows) <= left:
            return [*top, *rows]
    return [*top, *(Line(row, "bold green") for row in _wrapped(" ".join(words), columns))]


def _progress(model: ScreenModel, columns: int) -> list[Line]:
    if model.progress is None:
        return []
    done = round(min(1.0, max(0.0, model.progress)) * columns)
    return [
        Line(_BAR * done + _GROUND * (columns - done), STYLES[model.tone]),
        Line(_cut(model.progress_text, columns), "bold"),
        Line(),
    ]


def _bottom(model: ScreenModel, columns: int) -> list[Line]:
    keys = [Line(text, "bold") for text in _wrapped("   ".join(model.keys), columns)]
    return [*keys[-2:], Line(_cut(model.footer, columns), "dim")]


def _wrapped(text: str, columns: int) -> list[str]:
    """Broken at blanks; letters that are two columns wide make lines shorter, never longer than the screen."""
    if not text:
        return []
    widest = max(1, columns // 2) if cell_len(text) > len(text) else columns
    return [_cut(line, columns) for line in wrap(text, widest)]


def _cut(text: str, columns: int) -> str:
    return set_cell_size(text, columns).rstrip() if cell_len(text) > columns else text
