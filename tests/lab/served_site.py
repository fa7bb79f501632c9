"""A site whose server runs the whole service: netboot, seats, console; and what an operator does there, from outside.

The server is the only DHCP of the lab, as in a closed room. It is asked over its REST API from inside its namespace,
and by the commands of ``slatecast``, which find the console by themselves.

Invariant: as of ``Site``: after the ``with`` block nothing that was started here runs.
"""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from broadcaster.environment.description import (
    DESCRIPTION,
    FILES,
    INITRD,
    file_facts,
    read_description,
    write_description,
)
from dashboards.rooms.rooms import rooms_from
from dashboards.rooms.rooms_file import rooms_to_toml
from protocol.link.front_door_address import DEFAULT_FRONT_DOOR_PORT
from tests.lab.network import LabError
from tests.lab.site import RATE, Command, Site
from tests.lab.virtual_machine import PATIENCE

DOOR: Final = f"10.77.0.1:{DEFAULT_FRONT_DOOR_PORT}"
"""where machines enrol"""

ADDRESSES: Final = "10.77.100.1-10.77.100.250"

LOOK_SECONDS: Final = 1.0
"""[s] between two questions to the console"""

_ASK: Final = """
import json, ssl, sys, urllib.error, urllib.request
url, token, certificate, method, body = json.load(sys.stdin)
tls = ssl.create_default_context(cadata=certificate)
headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
data = None if body is None else json.dumps(body).encode()
asked = urllib.request.Request(url, data=data, headers=headers, method=method)
try:
    with urllib.request.urlopen(asked, timeout=60, context=tls) as answer:
        print(answer.read().decode())
except urllib.error.HTTPError as error:
    sys.exit(json.loads(error.read())["detail"])
"""

STARTS_SEEN_WITHIN: Final = 120.0
"""[s] for the console to hear of systems that have started"""

Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class Seat:
    """One place of a room, and the machine that stands there."""

    name: str
    mac: str
    hostname: str = ""


class ServedSite(Site):
    """``serve`` starts all of it; the rest is for an operator."""

    def serve(self, environment: Path, rooms: dict[str, Sequence[Seat]]) -> Command:
        """Start the service with ``rooms``; it is ready when this returns. PCs boot ``environment``."""
        state = self.folder / "console"
        if not state.exists():
            state.mkdir(mode=0o700)
            (state / "rooms.toml").write_bytes(rooms_to_toml(rooms_from(_rooms(rooms))))
        settings = self.folder / "serve.toml"
        settings.write_text(
            f'[broadcaster]\ninterface = "eth0"\nlibrary = "{self.library}"\nkeys = "{self.folder / "keys"}"\n'
            f'rate = "{RATE}"\n[console]\nstate = "{state}"\n'
            f'[boot]\nenabled = true\nfolder = "{self._own(environment)}"\ndhcp = "full"\nrange = "{ADDRESSES}"\n'
        )
        serving = self.start("serve", "--config", settings)
        serving.until("(?m)^ready")
        return serving

    @property
    def library(self) -> Path:
        """Of images and configurations."""
        return self.folder / "library"

    def configure(self, name: str, text: str) -> None:
        """Write a configuration, and wait until the console offers it."""
        folder = self.library / "configurations"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.toml").write_text(text)
        self.seen("fleet", lambda fleet: name in fleet["configurations"] or None, f"configuration {name}")

    def operate(self, *argv: object) -> str:
        """``slatecast ARGV`` of an operator, to its end; returns what it printed, raises LabError if it failed."""
        return self.run(*argv, "--state", self.folder / "console")

    def begin(self, *argv: object) -> Command:
        """The same, while other things go on."""
        return self.start(*argv, "--state", self.folder / "console")

    # --- the REST API ------------------------------------------------------------------------------------------------

    def call(self, path: str, body: object = None, *, method: str = "") -> Any:
        """Ask it; a refusal is a LabError with its words."""
        handle = json.loads((self.folder / "console/console.json").read_text())
        method = method or ("GET" if body is None else "POST")
        asked = [f"{handle['url']}api/v1/{path}", handle["token"], handle["certificate"], method, body]
        done = subprocess.run(
            self.lab.broadcaster.command([sys.executable, "-I", "-c", _ASK]),
            input=json.dumps(asked),
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
        if done.returncode:
            raise LabError(f"{path}: {done.stderr.strip()[-500:]}")
        return json.loads(done.stdout.strip() or "null")

    def seen(self, path: str, look: Callable[[Any], Found | None], what: str, timeout: float = PATIENCE) -> Found:
        """What ``look`` finds in the answers of a path, once it finds anything; ``timeout`` in seconds."""
        deadline = time.monotonic() + timeout
        while True:
            answer = self.call(path)
            found = look(answer)
            if found is not None:
                return found
            if time.monotonic() > deadline:
                raise LabError(f"{what}: not seen in {timeout:.0f} s; {path} says: {json.dumps(answer)[-1500:]}")
            time.sleep(LOOK_SECONDS)

    def admit(self, seat: Seat) -> None:
        """Wait until the machine of a seat asks to be let in, let it in, and wait until it is there."""

        def asks(strangers: Any) -> str | None:
            return next((each["receiver_id"] for each in strangers["applicants"] if each["seat"] == seat.name), None)

        def is_there(fleet: Any) -> bool | None:
            seats = [*fleet["tray"], *(each for room in fleet["rooms"] for each in room["seats"])]
            return any(each["machine"] == seat.mac and each["state"] not in ("empty", "off") for each in seats) or None

        self.call("receivers/admit", {"receiver_ids": [self.seen("receivers", asks, f"{seat.name} at the door")]})
        self.seen("fleet", is_there, f"{seat.name} in the room")

    def boot(self, room: str, mode: str = "receive") -> None:
        """Let the machines of a room boot the environment at their next start."""
        self.call("rooms/boot", {"room": room, "mode": mode})

    def policy(self, room: str, **policy: object) -> None:
        """Say what holds in a room."""
        rooms = self.call("rooms")
        next(each for each in rooms["rooms"] if each["name"] == room)["policy"] = policy
        self.call("rooms", rooms, method="PUT")

    def newest_session(self) -> str:
        """The tsi of the session that was started last."""
        return str(self.call("sessions")[0]["tsi"])

    def aftercare(self, tsi: str) -> dict[str, Any]:
        """What was done to the disks of a session, by seat; all of them have started since."""

        def started(answer: Any) -> dict[str, Any] | None:
            seats = {each["seat"]: each for each in answer["seats"]}
            return seats if seats and all(each["booted_at"] for each in seats.values()) else None

        return self.seen(f"sessions/{tsi}/aftercare", started, "the start of all disks", STARTS_SEEN_WITHIN)

    # --- the environment ---------------------------------------------------------------------------------------------

    def _own(self, environment: Path) -> Path:
        """A copy that trusts this site, as ``slatecast boot build --trust`` would have made it."""
        own = self.folder / "environment"
        if not own.exists():
            own.mkdir()
            for name in (DESCRIPTION, *FILES):
                shutil.copyfile(environment / name, own / name)
            (own / INITRD).unlink()
            shutil.copyfile(self._trusting(environment / INITRD), own / INITRD)
            described = msgspec.structs.replace(
                read_description(environment), has_trust=True, files=file_facts(own, FILES)
            )
            write_description(own, described)
        return own


def _rooms(rooms: dict[str, Sequence[Seat]]) -> dict[str, object]:
    return {
        "revision": 1,
        "rooms": [
            {
                "name": name,
                "seats": [
                    {
                        "name": seat.name,
                        "row": 1,
                        "column": column,
                        "machine": seat.mac,
                        "hostname": seat.hostname,
                        "mac_address": seat.mac,
                    }
                    for column, seat in enumerate(seats, 1)
                ],
            }
            for name, seats in rooms.items()
        ],
    }
