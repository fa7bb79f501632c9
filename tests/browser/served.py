"""A resident service and the PCs that it reimages, all of them processes of this machine."""

import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path

from broadcaster.broker import LOOPBACK
from tests.end_to_end.room import TOKEN, Room, Running, free_port

Rooms = Mapping[str, Sequence[str]]
"""by the name of a room: the machines on its seats, which are called as their machines"""


def rooms_file(rooms: Rooms, columns: int = 4) -> str:
    """``rooms.toml`` with these rooms."""
    lines: list[str] = []
    for room, machines in rooms.items():
        lines += ["[[rooms]]", f'name = "{room}"']
        for number, machine in enumerate(machines):
            row, column = number // columns + 1, number % columns + 1
            lines += ["[[rooms.seats]]", f'name = "{machine}"', f"row = {row}", f"column = {column}"]
            lines += [f'machine = "{machine}"']
    return "\n".join(lines) + "\n"


class ServedConsole(Room):
    """``slatecast serve`` on ports of its own; receivers stay for one session after the other."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.state = folder / "console"
        self.state.mkdir(mode=0o700)
        door, broker, console = (free_port() for _ in range(3))
        self.door = f"{LOOPBACK}:{door}"
        self._ports = ("--port", door, "--broker-port", broker, "--console-port", console)
        self.url = f"https://{LOOPBACK}:{console}"
        self.process: Running
        self.receivers: dict[str, Running] = {}

    def serve(self, rooms: Rooms | None = None) -> None:
        """Start it; it is ready when this returns."""
        if rooms:
            (self.state / "rooms.toml").write_text(rooms_file(rooms))
        self.process = self.start(
            *("serve", "--interface", "lo", "--library", self.library, "--state", self.state, *self._ports),
            environment={"SLATECAST_SERVE_TOKEN": TOKEN},
        )
        self.process.output.until("^ready$")

    def stop(self) -> None:
        """End it as an operator does; nothing that it said holds a traceback."""
        os.kill(self.process.pid, signal.SIGTERM)
        assert self.process.finish() == 0, self.process.errors.text

    @property
    def first_word(self) -> str:
        """What it printed for the first login."""
        return self.process.output.until(r"^first login: (\S+)$")[1]

    def switch_on(self, machine: str, size: int, *, name: str = "", interface: str = "lo") -> Path:
        """A PC with a disk of ``size`` bytes full of old ones; returns the disk."""
        target = self.target(f"disk-{len(self.receivers)}", size)
        self.receivers[machine] = self.start(
            *("receive", "--target", target, "--server", self.door, "--interface", interface),
            *("--seat", name or machine, "--machine", machine),
        )
        return target

    def crash(self, part: str) -> None:
        """End a part of the service; its supervisor starts it again."""
        os.kill(self.pid_of(part), signal.SIGKILL)

    def freeze(self, part: str, *, is_frozen: bool = True) -> None:
        """A part of the service hangs, or goes on."""
        os.kill(self.pid_of(part), signal.SIGSTOP if is_frozen else signal.SIGCONT)

    def pid_of(self, part: str) -> int:
        """The process of a part of the service."""
        pid = self.process.pid
        (found,) = [
            int(child)
            for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            if Path(f"/proc/{child}/cmdline").read_bytes().endswith(f"\0{part}\0".encode())
        ]
        return found
