"""Large letters made of blocks, so that a line can be read across a room: fonts of pyfiglet, drawn with full blocks.

Only characters of code page 437 come out, which every console of a PC has: a space, and full, upper and lower blocks.
"""

from functools import lru_cache
from typing import Final

from rich.cells import cell_len, set_cell_size

_FONTS: Final = ("banner3", "pagga")
"""From large to small: 7 lines with about 9 columns a letter, and 3 lines with 4."""

_GROUND: Final = str.maketrans({"#": "█", "░": " "})
"""One font paints with #, the other one puts a pattern behind its letters."""

_WIDEST: Final = 10_000
"""[columns] Lines are never broken by the library: what does not fit is written smaller."""


@lru_cache(maxsize=64)
def big_letters(text: str, columns: int, lines: int) -> tuple[str, ...]:
    """``text`` as large as fits into ``columns`` and ``lines``, plain and cut where no large letters fit.

    Letters that a font does not have, as those of other alphabets, make the whole text plain.
    """
    if text.isascii() and text.strip():
        for font in _FONTS:
            rows = _drawn(text, font)
            if rows and len(rows) <= lines and max(map(len, rows)) <= columns:
                return rows
    return (set_cell_size(text, columns).rstrip() if cell_len(text) > columns else text,)


def _drawn(text: str, font: str) -> tuple[str, ...]:
    """The lines that are not empty; none where the font is not installed, which stops no seat."""
    try:
        from pyfiglet import Figlet, FontNotFound  # noqa: PLC0415  # takes 40 ms, and only a screen needs it
    except ImportError:
        return ()
    try:
        drawn = Figlet(font=font, width=_WIDEST).renderText(text.upper()).translate(_GROUND)
    except FontNotFound:
        return ()
    return tuple(row.rstrip() for row in drawn.splitlines() if row.strip())
