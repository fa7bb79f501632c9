"""Draws a seat's pictures on a terminal: only lines that have changed are written, so that nothing flickers.

The whole picture is drawn anew now and then, because the kernel writes to the same console when it has to.
"""

import os
from typing import Final

from rich.color import ColorSystem
from rich.style import Style

from slatecast.seat.picture import Line, picture
from slatecast.seat.screen_model import ScreenModel

REDRAW_SECONDS: Final = 5.0
"""[s] How long a line that somebody else wrote stays on the screen."""

USUAL_SIZE: Final = (80, 25)
"""Columns and lines of a console that does not say how large it is."""

_BEGIN: Final = "\x1b[?25l\x1b[?7l"
"""No cursor, and no wrapping of long lines."""
_END: Final = "\x1b[0m\x1b[?7h\x1b[?25h\x1b[2J\x1b[H"
_ERASE_LINE: Final = "\x1b[0m\x1b[K"


class TerminalScreen:
    """One terminal, until it is closed."""

    def __init__(self, descriptor: int) -> None:
        """``descriptor`` stays the caller's, to be closed after this."""
        self._descriptor = descriptor
        self._shown: list[Line] = []
        self._drawn_at = float("-inf")
        self._write(_BEGIN)

    def show(self, model: ScreenModel, now: float) -> None:
        """Bring the screen up to date."""
        columns, lines = self._size()
        wanted = picture(model, columns, lines)
        is_anew = len(wanted) != len(self._shown) or now - self._drawn_at >= REDRAW_SECONDS
        if is_anew:
            self._drawn_at = now
        changed = [
            f"\x1b[{place};1H{_drawn(line)}{_ERASE_LINE}"
            for place, line in enumerate(wanted, 1)
            if is_anew or line != self._shown[place - 1]
        ]
        if changed:
            self._shown = wanted if self._write("".join(changed)) else []

    def close(self) -> None:
        """Leave an empty screen with a cursor."""
        self._write(_END)

    def _size(self) -> tuple[int, int]:
        try:
            columns, lines = os.get_terminal_size(self._descriptor)
        except OSError:
            return USUAL_SIZE
        return columns or USUAL_SIZE[0], lines or USUAL_SIZE[1]

    def _write(self, text: str) -> bool:
        """Whether the terminal took it; one that hangs, or is gone, must not hold up a seat."""
        data = text.encode(errors="replace")
        try:
            return os.write(self._descriptor, data) == len(data)
        except OSError:
            return False


def _drawn(line: Line) -> str:
    style = Style.parse(line.style)
    return style.render(line.text, color_system=ColorSystem.STANDARD) if line.style else line.text
