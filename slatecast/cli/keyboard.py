"""Single keys of the terminal on standard input, for the running event loop: no echo, no Enter.

Does nothing where standard input is no terminal, or another program is in its foreground. The terminal is as before
when the context is left, when the program is suspended, and when a signal ends it; Ctrl-C and Ctrl-Z work as ever.
"""

import asyncio
import os
import signal
import sys
import termios
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

ESCAPE: Final = "escape"
"""The name of the Esc key; other keys are named by what they type."""

_ESC: Final = "\x1b"
_SEQUENCE_STARTS: Final = ("[", "O")
"""What follows Esc when a terminal sends one for an arrow or a function key; somebody who types does not type these."""

_MOST_BYTES: Final = 64
"""[bytes] taken at once: more than any key sends."""

_FATAL: Final = (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


@contextmanager
def keyboard(on_key: Callable[[str], object], descriptor: int | None = None) -> Iterator[bool]:
    """Tell ``on_key`` of each key while the context is open; gives whether there is a terminal to listen to.

    Args:
        on_key: called on the event loop with ESCAPE or one character.
        descriptor: of the terminal; standard input unless told.
    """
    descriptor = _standard_input() if descriptor is None else descriptor
    if descriptor is None or not os.isatty(descriptor) or not _is_in_foreground(descriptor):
        yield False
        return
    terminal = _Terminal(descriptor, on_key)
    try:
        terminal.open()
        yield True
    finally:
        terminal.close()


def keys_in(typed: str) -> Iterator[str]:
    """The keys that make a terminal send ``typed``; those that are no character and not Esc are left out."""
    while typed:
        if typed[0] != _ESC:
            yield typed[0]
            typed = typed[1:]
        elif typed[1:2] in _SEQUENCE_STARTS:
            end = next((at for at, letter in enumerate(typed[2:], 2) if "@" <= letter <= "~"), len(typed))
            typed = typed[end + 1 :]
        else:
            yield ESCAPE
            typed = typed[1:]


class _Terminal:
    """One terminal, lent from whoever uses it else."""

    def __init__(self, descriptor: int, on_key: Callable[[str], object]) -> None:
        self._descriptor = descriptor
        self._on_key = on_key
        self._loop = asyncio.get_running_loop()
        self._before = termios.tcgetattr(descriptor)
        self._signals: list[int] = []

    def open(self) -> None:
        self._listen()
        self._on_signal(signal.SIGTSTP, self._suspend)
        self._on_signal(signal.SIGCONT, self._listen)
        for number in _FATAL:
            self._on_signal(number, lambda number=number: self._die(number))  # type: ignore[misc]  # mypy cannot type default arguments of a lambda

    def close(self) -> None:
        self._loop.remove_reader(self._descriptor)
        for number in self._signals:
            self._loop.remove_signal_handler(number)
        self._restore()

    def _on_signal(self, number: int, handler: Callable[[], None]) -> None:
        if signal.getsignal(number) is signal.SIG_DFL:  # else it is somebody else's business
            self._loop.add_signal_handler(number, handler)
            self._signals.append(number)

    def _listen(self) -> None:
        if not _is_in_foreground(self._descriptor):
            return
        with suppress(termios.error):  # it was hung up
            # Not TCSAFLUSH, which waits until all output is taken: Ctrl-S would stop the program.
            tty.setcbreak(self._descriptor, termios.TCSANOW)
            termios.tcflush(self._descriptor, termios.TCIFLUSH)  # what was typed before answers nothing that is shown
        self._loop.add_reader(self._descriptor, self._read)

    def _restore(self) -> None:
        if _is_in_foreground(self._descriptor):
            with suppress(termios.error):
                termios.tcsetattr(self._descriptor, termios.TCSANOW, self._before)

    def _read(self) -> None:
        typed = b""
        with suppress(OSError):
            typed = os.read(self._descriptor, _MOST_BYTES)
        if not typed:
            self._loop.remove_reader(self._descriptor)
        for key in keys_in(typed.decode(errors="replace")):
            self._on_key(key)

    def _suspend(self) -> None:
        self._restore()
        os.kill(os.getpid(), signal.SIGSTOP)

    def _die(self, number: int) -> None:
        self._restore()
        self._loop.remove_signal_handler(number)
        os.kill(os.getpid(), number)


def _standard_input() -> int | None:
    try:
        return sys.stdin.fileno()
    except (AttributeError, OSError, ValueError):  # none, replaced, or closed
        return None


def _is_in_foreground(descriptor: int) -> bool:
    """Whether it may be changed: the kernel stops a program in the background that tries."""
    try:
        return os.tcgetpgrp(descriptor) == os.getpgrp()
    except OSError:
        return True  # not the terminal of this session, so that nobody is in its foreground
