import fcntl
import os
import pty
import re
import select
import struct
import termios
from collections.abc import Iterator

import pytest

from slatecast.seat.screen import REDRAW_SECONDS, TerminalScreen
from slatecast.seat.screen_model import ScreenModel, Tone

MODEL = ScreenModel("pc-14", "Lab 2", "ready", Tone.GOOD, lines=("Waiting for the operator",), footer="eth0")


class Terminal:
    """What a person sees, of which only the newest part is kept."""

    def __init__(self) -> None:
        self.eyes, self.descriptor = pty.openpty()
        self.resize(80, 25)

    def resize(self, columns: int, lines: int) -> None:
        fcntl.ioctl(self.descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def seen(self) -> str:
        """All that was written since the last look."""
        found = b""
        while select.select([self.eyes], [], [], 0)[0]:
            found += os.read(self.eyes, 65536)
        return found.decode()

    def close(self) -> None:
        os.close(self.eyes)
        os.close(self.descriptor)


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    terminal = Terminal()
    yield terminal
    terminal.close()


def lines_in(written: str) -> list[int]:
    """Which lines were drawn."""
    return [int(each) for each in re.findall(r"\x1b\[(\d+);1H", written)]


def test_only_what_has_changed_is_drawn(terminal: Terminal) -> None:
    screen = TerminalScreen(terminal.descriptor)
    screen.show(MODEL, 0.0)
    first = terminal.seen()
    assert "\x1b[?25l" in first
    assert lines_in(first) == list(range(1, 26))
    assert "Waiting for the operator" in first
    screen.show(MODEL, 0.1)
    assert terminal.seen() == ""
    screen.show(ScreenModel("pc-14", "Lab 2", "ready", Tone.GOOD, lines=("Other words",), footer="eth0"), 0.2)
    assert len(lines_in(terminal.seen())) == 1
    screen.show(MODEL, REDRAW_SECONDS)
    assert lines_in(terminal.seen()) == list(range(1, 26))
    screen.close()
    assert terminal.seen().endswith("\x1b[?25h\x1b[2J\x1b[H")


def test_another_size_is_drawn_anew(terminal: Terminal) -> None:
    screen = TerminalScreen(terminal.descriptor)
    screen.show(MODEL, 0.0)
    terminal.seen()
    terminal.resize(128, 48)
    screen.show(MODEL, 0.1)
    assert lines_in(terminal.seen()) == list(range(1, 49))


def test_colours_say_how_urgent_it_is(terminal: Terminal) -> None:
    screen = TerminalScreen(terminal.descriptor)
    screen.show(ScreenModel("x", "", "stop? 7 s", Tone.ALARM, lines=("Overwriting",)), 0.0)
    assert re.search(r"\x1b\[1;37;41mOverwriting\x1b\[0m", terminal.seen())


def test_a_terminal_that_does_not_take_it_holds_up_nobody(terminal: Terminal) -> None:
    os.set_blocking(terminal.descriptor, False)
    screen = TerminalScreen(terminal.descriptor)
    for number in range(50):
        screen.show(ScreenModel(f"{number}", "", "ready", Tone.GOOD, lines=("x" * 70,) * 20), number * 10.0)
    terminal.seen()
    screen.show(MODEL, 1000.0)
    assert "Waiting for the operator" in terminal.seen()


def test_what_is_no_terminal_has_the_usual_size() -> None:
    reader, writer = os.pipe()
    TerminalScreen(writer).show(MODEL, 0.0)
    assert lines_in(os.read(reader, 65536).decode()) == list(range(1, 26))
    os.close(reader)
    os.close(writer)
