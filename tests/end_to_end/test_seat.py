"""A seat as the environment runs it: on a terminal, with a log on a pipe, told by a kernel's command line."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from broadcaster.broker import LOOPBACK
from tests.end_to_end.room import KEYS, OLD_BYTE, PATIENCE, ROOT, Lines, Room, free_port, is_bootable
from tests.end_to_end.room import _at_home as at_home
from tests.end_to_end.terminal_seat import OnTerminal

pytestmark = [pytest.mark.system, pytest.mark.slow]


class Operator:
    """``slatecast cast``, and who types at it."""

    def __init__(self, room: Room, image: Path) -> None:
        self.port = free_port()
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", "slatecast", "cast", str(image), "--expect", "1", "--interface", "lo"),
                *("--library", str(room.library), "--port", str(self.port), "--broker-port", str(free_port())),
            ],
            cwd=room.folder,
            env={**os.environ, **at_home(room.folder), "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            process_group=0,
        )
        assert self._process.stderr is not None
        self.said = Lines(self._process.stderr)

    def let_in(self, words: str) -> None:
        """Whoever shows these words."""
        assert self._process.stdin is not None
        self.said.until(f"its screen must show: {words} ")
        self._process.stdin.write("a\n")
        self._process.stdin.flush()

    def finish(self) -> int:
        return self._process.wait(PATIENCE)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        assert self._process.stdin is not None
        self._process.stdin.close()


class Place:
    """One seat and one operator, ended with the test."""

    def __init__(self, room: Room) -> None:
        self.source = room.source()
        self.target = room.target("seat")
        self._room = room
        self.operator = Operator(room, self.source)
        self.seat: OnTerminal | None = None

    def start(self, *options: str) -> OnTerminal:
        words = (
            f"slatecast.server={LOOPBACK}:{self.operator.port} slatecast.seat=pc%2014 slatecast.target={self.target}"
        )
        self.seat = OnTerminal(self._room, f"quiet {words} ro\n", *options)
        return self.seat

    def close(self) -> None:
        self.operator.kill()
        if self.seat is not None:
            self.seat.kill()


@pytest.fixture
def place(room: Room) -> Iterator[Place]:
    place = Place(room)
    yield place
    place.close()


def test_from_its_first_picture_to_the_end(place: Place) -> None:
    seat = place.start("--countdown", "0")
    words = seat.until(r"words (\w+ \w+ \w+ \w+)")[1]
    seat.type("y")  # somebody has compared them
    place.operator.let_in(words)
    seat.until("enrolled")
    seat.until("joined")
    seat.until("verified")
    seat.until("nothing to configure")
    assert place.operator.finish() == 0
    assert place.target.read_bytes() == place.source.read_bytes()
    assert is_bootable(place.target)
    seat.type("x")  # keeps it on
    seat.type("q")
    seat.type("y")
    seat.until("powering off")
    assert seat.finish() == 0
    assert "restarting" not in seat.log.text
    assert "█".encode() in seat.written
    assert b"This PC restarts in" in seat.written


def test_somebody_there_stops_the_countdown(place: Place, room: Room) -> None:
    place.operator.said.until("enrolment at")
    assert room.start("keys", "export-trust", "trust", "--keys", room.folder / KEYS).finish() == 0
    seat = place.start("--countdown", "600", "--trust", "trust")
    place.operator.let_in(seat.until(r"words (\w+ \w+ \w+ \w+)")[1])
    seat.until("state arming")
    seat.until_drawn(b"Overwriting this disk in")
    seat.type("a")
    seat.until("refused: stopped at the seat")
    assert set(place.target.read_bytes()) == {OLD_BYTE}
    seat.terminate()
    assert seat.finish() == 0
    assert seat.written.endswith(b"\x1b[H")
