"""The countdown of real receivers: on a terminal where somebody presses Esc, and without one."""

import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

import pytest

from protocol.messages import ReceiverReport, ReceiverState
from tests.end_to_end.room import OLD_BYTE, PATIENCE, ROOT, TOKEN, Lines, Room

pytestmark = [pytest.mark.system, pytest.mark.slow]

LONG = 600
"""[s] A countdown that no test waits for."""


class _Typescript:
    """What a terminal shows, line by line; that its program has ended is no error here."""

    def __init__(self, descriptor: int) -> None:
        self._stream = os.fdopen(descriptor, errors="replace")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()

    def __iter__(self) -> Iterator[str]:
        with suppress(OSError):
            yield from self._stream


class Screen:
    """A receiver whose standard input, output and error are one terminal."""

    def __init__(self, room: Room, *options: object) -> None:
        hands, screen = pty.openpty()
        self.hands = hands
        self.process = subprocess.Popen(
            [sys.executable, "-m", "slatecast", "receive", "--once", *map(str, options)],
            cwd=room.folder,
            env={
                **{name: value for name, value in os.environ.items() if not name.startswith("SLATECAST_")},
                "SLATECAST_RECEIVE_TOKEN": TOKEN,
                "XDG_STATE_HOME": str(room.folder / "state"),
                "PYTHONPATH": str(ROOT),
                "TERM": "xterm",
                "COLUMNS": "300",  # so that no path is broken
            },
            stdin=screen,
            stdout=screen,
            stderr=screen,
            start_new_session=True,
        )
        os.close(screen)
        self.said = Lines(_Typescript(os.dup(hands)))  # type: ignore[arg-type]  # all that Lines asks of a stream

    def press(self, key: bytes) -> None:
        os.write(self.hands, key)

    def has_open(self, path: Path) -> bool:
        """Whether the receiver holds this file open."""
        folder = Path(f"/proc/{self.process.pid}/fd")
        return any(descriptor.exists() and descriptor.samefile(path) for descriptor in folder.iterdir())


@contextmanager
def on_a_terminal(room: Room, *options: object) -> Iterator[Screen]:
    screen = Screen(room, *options)
    try:
        yield screen
    finally:
        screen.process.kill()
        screen.process.wait()
        os.close(screen.hands)


def test_esc_in_the_countdown_leaves_the_disk_byte_for_byte(room: Room) -> None:
    target, report_path = room.target("seat"), room.folder / "report.json"
    before = target.stat()
    cast = room.cast(room.source(), "--report", report_path)
    watch = room.watch(cast.broker())
    options = ("--target", target, "--seat", "row-2", "--server", cast.door(), "--interface", "lo")
    with on_a_terminal(room, *options, "--countdown", LONG) as receiver:
        receiver.said.until(rf"writes to {re.escape(str(target))} in \d+ s, press Esc to stop")
        armed = watch.until(ReceiverReport, lambda report: report.state is ReceiverState.ARMING)
        assert re.fullmatch(r"counting down: \d+ s to stop it at the seat", armed.reason)
        assert not receiver.has_open(target)
        receiver.press(b"\x1b[A")  # an arrow is no Esc
        receiver.press(b"\x1b")
        assert receiver.process.wait(PATIENCE) == 3
        receiver.said.until("row-2: .* was refused, nothing was written: stopped at the seat")
    assert cast.finish() != 0
    (seat,) = json.loads(report_path.read_text())["seats"]
    assert (seat["outcome"], seat["reason"], seat["verified"]) == ("refused", "stopped at the seat", False)
    assert set(target.read_bytes()) == {OLD_BYTE}
    after = target.stat()
    assert (after.st_mtime_ns, after.st_ctime_ns, after.st_blocks) == (
        before.st_mtime_ns,
        before.st_ctime_ns,
        before.st_blocks,
    )


def test_without_a_terminal_it_says_when_the_countdown_begins_and_ends(room: Room) -> None:
    source, target = room.source(), room.target("seat")
    cast = room.cast(source)
    receiver = room.receive(target, cast.door(), "--countdown", 2)
    assert cast.finish() == 0
    assert receiver.finish() == 0
    lines = [line for line in receiver.errors.text.splitlines() if line.startswith("seat seat: ")]
    assert lines == [
        f"seat seat: writes to {target} in 2 s, end this program to stop",
        f"seat seat: the countdown is over, {target} will be overwritten",
        f"seat seat: {target} is written and verified",
    ]
    assert target.read_bytes() == source.read_bytes()


def test_a_seat_that_is_stopped_keeps_nobody_from_the_image(room: Room) -> None:
    source, stopped, other = room.source(), room.target("stopped"), room.target("other")
    cast = room.cast(source, "--expect", 2)
    door = cast.door()
    options = ("--target", stopped, "--seat", "stopped", "--server", door, "--interface", "lo")
    with on_a_terminal(room, *options, "--countdown", LONG) as receiver:
        waiting = room.receive(other, door, seat="other")
        receiver.said.until("press Esc to stop")
        receiver.press(b"\x1b")
        assert receiver.process.wait(PATIENCE) == 3
        assert waiting.finish() == 0
    assert cast.finish() != 0
    assert other.read_bytes() == source.read_bytes()
    assert set(stopped.read_bytes()) == {OLD_BYTE}
