"""The service as an operator starts it: real parts, real receivers, driven from a terminal."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end.room import TOKEN, Room, Running, free_port, wait_until

pytestmark = [pytest.mark.system, pytest.mark.slow]

ROOMS = """revision = 1
[[rooms]]
name = "Lab"
[[rooms.seats]]
name = "pc-01"
row = 1
column = 1
machine = "pc-01"
[[rooms.seats]]
name = "pc-02"
row = 1
column = 2
machine = "pc-02"
"""


class ServedRoom(Room):
    """A room with a resident service on ports of its own."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.state = folder / "console"
        self.ports = {name: free_port() for name in ("port", "broker-port", "console-port")}

    def serve(self, *options: str) -> Running:
        ports = [text for name, port in self.ports.items() for text in (f"--{name}", str(port))]
        return self.start(
            *("serve", "--interface", "lo", "--library", self.library, "--state", self.state, *ports, *options),
            environment={"SLATECAST_SERVE_TOKEN": TOKEN},
        )

    def session(self, name: str, *arguments: str) -> Running:
        return self.start("session", name, *arguments, "--state", self.state)


@pytest.fixture
def room(tmp_path: Path) -> Iterator[ServedRoom]:
    with ServedRoom(tmp_path) as room:
        yield room


def told(serving: Running) -> list[str]:
    serving.output.until("^ready$")
    return serving.output.text.splitlines()


def terminate(serving: Running) -> int:
    os.kill(serving.pid, signal.SIGTERM)
    return serving.finish(timeout=20)


def test_it_says_where_everything_is_and_ends_in_order(room: ServedRoom) -> None:
    serving = room.serve()
    lines = told(serving)
    assert f"console at https://127.0.0.1:{room.ports['console-port']}/" in lines
    assert f"receivers enrol at 127.0.0.1:{room.ports['port']}" in lines
    assert f"broker at mqtts://127.0.0.1:{room.ports['broker-port']}" in lines
    (word,) = [line.removeprefix("first login: ") for line in lines if line.startswith("first login: ")]
    assert (room.state / "first-login").read_text().strip() == word
    assert lines[-1] == "ready"
    assert terminate(serving) == 0
    assert serving.errors.text == ""
    again = room.serve()
    assert f"first login: {word}" in told(again)
    assert again.interrupt() == "interrupted"


def test_a_part_that_dies_comes_back(room: ServedRoom) -> None:
    serving = room.serve()
    told(serving)
    for name in ("broadcaster", "console"):
        os.kill(part_of(serving, name), signal.SIGKILL)
        serving.errors.until(rf"^slatecast: the {name} died \(signal 9\); starting it again in")
    wait_until(lambda: room.session("list").finish() == 0, "the console")
    assert terminate(serving) == 0


def test_no_part_outlives_the_service(room: ServedRoom) -> None:
    serving = room.serve()
    told(serving)
    parts = children(serving)
    assert len(parts) == 3
    serving.kill()
    wait_until(lambda: not [pid for pid in parts if is_alive(pid)], "the end of the parts")


def test_a_second_interruption_ends_it_at_once(room: ServedRoom) -> None:
    serving = room.serve()
    told(serving)
    parts = children(serving)
    console = part_of(serving, "console")
    os.kill(console, signal.SIGSTOP)  # which does not end in order
    os.kill(serving.pid, signal.SIGINT)
    serving.output.until("^stopping: ")
    os.kill(serving.pid, signal.SIGINT)
    assert serving.finish() == 130
    assert serving.errors.text == "slatecast: interrupted again: ended at once\n"
    wait_until(lambda: not [pid for pid in parts if is_alive(pid)], "the end of the parts")


def children(serving: Running) -> list[int]:
    return [int(pid) for pid in Path(f"/proc/{serving.pid}/task/{serving.pid}/children").read_text().split()]


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def part_of(serving: Running, name: str) -> int:
    (found,) = [
        pid for pid in children(serving) if Path(f"/proc/{pid}/cmdline").read_bytes().endswith(f"\0{name}\0".encode())
    ]
    return found


def test_a_port_that_is_taken_ends_it_with_one_line(room: ServedRoom) -> None:
    first = room.serve()
    told(first)
    taken = room.ports["console-port"]
    for name in ("port", "broker-port"):
        room.ports[name] = free_port()
    room.state, room.library = room.folder / "other", room.folder / "others"
    line = room.serve().complaint(6)
    assert line.startswith(f"the console cannot listen at 127.0.0.1:{taken}: Address already in use")
    assert terminate(first) == 0


def test_a_second_service_on_the_same_folders_is_refused(room: ServedRoom) -> None:
    first = room.serve()
    told(first)
    for name in room.ports:
        room.ports[name] = free_port()
    assert room.serve().complaint(2).startswith(f"[console] state {room.state} is in use by another 'slatecast serve'")
    state, room.state = room.state, room.folder / "other"
    assert room.serve().complaint(2).startswith(f"[broadcaster] library {room.library} is in use by another")
    first.kill()  # a lock that outlived it would be worse than none
    room.state = state
    second = room.serve()
    told(second)
    assert terminate(second) == 0


def test_secrets_stay_where_they_belong(room: ServedRoom) -> None:
    serving = room.serve()
    lines = told(serving)
    token = json.loads((room.state / "console.json").read_text())["token"]
    secrets = [TOKEN, token, next(line for line in lines if line.startswith("first login: ")).partition(": ")[2]]
    assert TOKEN not in serving.output.text + serving.errors.text
    assert len(children(serving)) == 3
    for pid in children(serving):
        seen = Path(f"/proc/{pid}/cmdline").read_bytes() + Path(f"/proc/{pid}/environ").read_bytes()
        # The test's own environment names a token for casts and receivers, which are other commands.
        seen = b"\0".join(each for each in seen.split(b"\0") if not each.startswith(b"SLATECAST_CAST_TOKEN"))
        seen = b"\0".join(each for each in seen.split(b"\0") if not each.startswith(b"SLATECAST_RECEIVE_TOKEN"))
        assert not [secret for secret in secrets if secret.encode() in seen]
    assert all(path.stat().st_mode & 0o077 == 0 for path in room.state.iterdir())


def test_a_room_is_cast_from_a_terminal(room: ServedRoom) -> None:
    source = room.source()
    room.add(source)
    room.state.mkdir(mode=0o700)
    (room.state / "rooms.toml").write_text(ROOMS)
    serving = room.serve()
    told(serving)
    targets = [room.target(name) for name in ("pc-01", "pc-02")]
    door = f"127.0.0.1:{room.ports['port']}"
    receivers = [room.receive(target, door, "--machine", target.stem, seat=target.stem) for target in targets]
    order = ("start", "lab", "--room", "Lab", "--expect", "2", "--yes", "--wait", "20", "--watch")
    ran = room.session(*order)
    while ran.finish() == 3:  # console and broadcaster have not heard of image or receivers yet
        assert "session" not in ran.output.text
        ran = room.session(*order)
    assert ran.finish() == 0, ran.errors.text
    assert "2 of 2 seats verified" in ran.output.text
    assert [receiver.finish() for receiver in receivers] == [0, 0]
    assert [target.read_bytes() for target in targets] == [source.read_bytes()] * 2
    assert terminate(serving) == 0
