"""A seat as the environment runs it: on a terminal of its own, with a log on a pipe, told by a command line."""

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import threading

from tests.end_to_end.room import PATIENCE, ROOT, Lines, Room
from tests.end_to_end.room import _at_home as at_home

PICTURE_SIZE = (25, 80)
"""lines and columns"""


class OnTerminal:
    """``slatecast seat``; ``name`` tells the seats of one room apart."""

    def __init__(self, room: Room, command_line: str, *options: str, name: str = "seat") -> None:
        told = room.folder / f"{name}.cmdline"
        told.write_text(command_line)
        self._hands, terminal = pty.openpty()
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", *PICTURE_SIZE, 0, 0))
        log, written = os.pipe()
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", "slatecast", "seat", "--command-line", told),
                *("--log", f"/dev/fd/{written}", *options),
            ],
            cwd=room.folder,
            env={**os.environ, **at_home(room.folder), "PYTHONPATH": str(ROOT), "TERM": "linux"},
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            pass_fds=[written],
            start_new_session=True,
        )
        os.close(terminal)
        os.close(written)
        self.log = Lines(os.fdopen(log))
        self.written = b""
        self._grown = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def type(self, keys: str) -> None:
        """Press keys."""
        os.write(self._hands, keys.encode())

    def until(self, pattern: str) -> re.Match[str]:
        """The line of the log of this form, which the documentation promises."""
        return self.log.until(f"^slatecast: {pattern}$")

    def until_drawn(self, text: bytes) -> None:
        """Wait for a picture with this text: lines of the log come before the picture that goes with them."""
        with self._grown:
            assert self._grown.wait_for(lambda: text in self.written, PATIENCE), (text, self.written)

    def finish(self) -> int:
        """Wait for its end; the exit code."""
        code = self._process.wait(PATIENCE)
        self.log.join()
        self._reader.join(PATIENCE)
        assert b"Traceback" not in self.written
        return code

    def terminate(self) -> None:
        """End it as the environment does."""
        self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it as a power cut does."""
        self._process.kill()
        self._process.wait()

    def _read(self) -> None:
        try:
            while data := os.read(self._hands, 65536):
                with self._grown:
                    self.written += data
                    self._grown.notify_all()
        except OSError:  # whoever had the terminal is gone
            os.close(self._hands)
