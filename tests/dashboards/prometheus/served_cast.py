"""A real service with a cast that goes on for a while: ``slatecast serve``, receivers with exporters, one session."""

import json
import ssl
from dataclasses import dataclass
from typing import Final
from urllib.request import Request, urlopen

from broadcaster.broker import LOOPBACK
from dashboards.access.tokens import CONSOLE_FILE
from dashboards.prometheus.routes import METRICS_PATH
from tests.end_to_end.room import TOKEN, Room, free_port, wait_until

ROOM: Final = "Lab"
SEATS: Final = ("one", "two")
SIZE: Final = 26 << 20
"""[bytes] 16 MiB of the disk are in use."""

RATE: Final = "1M"
"""The cast takes two minutes: longer than anybody looks at it."""


@dataclass(frozen=True)
class ServedCast:
    """Where it is scraped."""

    console: str
    """host:port"""
    broadcaster: str
    """host:port"""
    authority: bytes
    """PEM of who issued the console's certificate"""
    token: str
    """that the console takes"""


def serve_and_cast(room: Room) -> ServedCast:
    """Start all of it with the commands that an operator uses; the session is under way when this returns."""
    state = room.folder / "console"
    state.mkdir(mode=0o700)
    (state / "rooms.toml").write_text(
        f'[[rooms]]\nname = "{ROOM}"\nseats = [\n'
        + "".join(
            f'  {{name = "{seat}", row = 1, column = {column}, machine = "{seat}"}},\n'
            for column, seat in enumerate(SEATS, 1)
        )
        + "]\n"
    )
    image = room.add(room.source(size=SIZE))
    door, broker, console, broadcaster = (free_port() for _ in range(4))
    service = room.start(
        *("serve", "--interface", "lo", "--listen", LOOPBACK, "--library", room.library, "--state", state),
        *("--port", door, "--broker-port", broker, "--console-port", console, "--metrics-port", broadcaster),
        environment={"SLATECAST_SERVE_TOKEN": TOKEN},
    )
    service.output.until("^ready$")
    for seat in SEATS:
        options = ("--machine", seat, "--metrics-port", free_port())
        room.receive(room.target(seat, SIZE), f"{LOOPBACK}:{door}", *options, seat=seat)
    file = json.loads((state / CONSOLE_FILE).read_text())
    cast = ServedCast(f"{LOOPBACK}:{console}", f"{LOOPBACK}:{broadcaster}", file["certificate"].encode(), file["token"])
    known = {"slatecast_console_images 1.0", f"slatecast_console_receivers {len(SEATS)}.0"}
    wait_until(lambda: known <= scraped(cast), "image and receivers")
    start = room.start(
        *("session", "start", image, "--room", ROOM, "--expect", len(SEATS), "--rate", RATE, "--yes"),
        *("--state", state),
    )
    assert start.finish() == 0, start.errors.text + start.output.text
    return cast


def scraped(cast: ServedCast) -> set[str]:
    """The lines of the console's metrics."""
    request = Request(f"https://{cast.console}{METRICS_PATH}", headers={"Authorization": f"Bearer {cast.token}"})
    with urlopen(request, timeout=5, context=ssl.create_default_context(cadata=cast.authority.decode())) as page:
        return set(page.read().decode().splitlines())
