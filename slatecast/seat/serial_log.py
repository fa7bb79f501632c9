"""Plain lines on a seat's serial port: for a machine without a screen, and for programs that wait for them."""

import os
from pathlib import Path
from typing import Final

PREFIX: Final = "slatecast: "


class SerialLog:
    """Lines to one place; a port that is not there, or whose other end is full, loses them and holds up nobody."""

    def __init__(self, path: Path | None, descriptor: int | None = None) -> None:
        """To a terminal, pipe or file at ``path``, or to an open ``descriptor`` that stays the caller's."""
        self._descriptor = descriptor
        self._is_ours = False
        if path is not None:
            flags = os.O_WRONLY | os.O_APPEND | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC
            try:
                self._descriptor = os.open(path, flags)
            except OSError:
                self._descriptor = None
            self._is_ours = self._descriptor is not None

    def say(self, line: str) -> None:
        """One line; what is in it must be printable."""
        if self._descriptor is not None:
            end = "\r\n" if os.isatty(self._descriptor) and self._is_ours else "\n"
            try:
                os.write(self._descriptor, f"{PREFIX}{line}{end}".encode(errors="replace"))
            except OSError:
                return

    def close(self) -> None:
        """Let go of it."""
        if self._is_ours and self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
