"""A room from an operator's desk: the service from a settings file, its REST API, its commands, seats and disks."""

import json
import os
import signal
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

from broadcaster.broker import LOOPBACK
from tests.end_to_end.room import KEYS, Place, Room, Running, free_port, wait_until
from tests.end_to_end.terminal_seat import OnTerminal
from tests.receiver.configure.written_disk import WrittenDisk, disk_of, linux_tree, run

EFI_MIB: Final = 8
LINUX_MIB: Final = 64
SMALLEST_MIB: Final = EFI_MIB + LINUX_MIB + 2
_PARTITIONS: Final = f"label: gpt\nstart=2048, size={EFI_MIB}MiB, type=uefi\nsize={LINUX_MIB}MiB, type=linux\n"

Found = TypeVar("Found")


class Unshared:
    """Mounts a small file system in memory for one process and its children, which goes with them."""

    def __init__(self, folder: Path, size: str) -> None:
        self._mounting = f'mount -t tmpfs -o mode=0755,size={size} library "{folder}" && exec "$@"'

    def command(self, argv: list[str]) -> list[str]:
        return ["unshare", "--mount", "sh", "-euc", self._mounting, "sh", *argv]

    @staticmethod
    def enlarge(process: Running, folder: Path, size: str) -> None:
        """Let it hold more."""
        run("nsenter", f"--mount=/proc/{process.pid}/ns/mnt", "mount", "-o", f"remount,size={size}", str(folder))


class LivedRoom(Room):
    """One service, and the seats of one room, ended with the room."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.state = folder / "console"
        self.ports = {name: free_port() for name in ("enrol", "broker", "console")}
        self.seats: list[OnTerminal] = []

    def __exit__(self, *error: object) -> None:
        for seat in self.seats:
            seat.kill()
        super().__exit__(*error)

    # --- the service -------------------------------------------------------------------------------------------------

    def serve(self, host: Place | None = None) -> Running:
        """Start the service; it is ready when this returns."""
        ports = self.ports
        settings = self.folder / "serve.toml"
        settings.write_text(
            f'[broadcaster]\ninterface = "lo"\nlibrary = "{self.library}"\nport = {ports["enrol"]}\n'
            f'[broker]\nport = {ports["broker"]}\n[console]\nport = {ports["console"]}\nstate = "{self.state}"\n'
        )
        serving = self.start("serve", "--config", settings, host=host)
        serving.output.until("^ready$")
        return serving

    def terminate(self, serving: Running) -> int:
        """End the service in order; the exit code."""
        os.kill(serving.pid, signal.SIGTERM)
        return serving.finish(timeout=20)

    def call(self, path: str, body: object = None, *, method: str = "") -> Any:
        """Ask the REST API; a refusal is an ``AssertionError`` with its words."""
        handle = json.loads((self.state / "console.json").read_text())
        tls = ssl.create_default_context(cadata=handle["certificate"])
        request = urllib.request.Request(  # the console's own address
            f"{handle['url']}api/v1/{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {handle['token']}", "Content-Type": "application/json"},
            method=method or ("GET" if body is None else "POST"),
        )
        try:
            with urllib.request.urlopen(request, timeout=20, context=tls) as answer:  # as above
                return json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            raise AssertionError(json.loads(error.read())["detail"]) from None

    def refusal(self, path: str, body: object) -> str:
        """What the REST API refuses this with."""
        try:
            self.call(path, body)
        except AssertionError as error:
            return str(error)
        raise AssertionError(f"{path} was not refused")

    def seen(self, path: str, look: Callable[[Any], Found | None], what: str) -> Found:
        """What ``look`` finds in the answers of a path, once it finds anything."""
        found: list[Found] = []

        def ask() -> bool:
            one = look(self.call(path))
            found.extend([] if one is None else [one])
            return bool(found)

        wait_until(ask, what)
        return found[0]

    def command(self, *argv: object, state: bool = True) -> Running:
        """``slatecast ARGV`` of an operator at the service's machine; ended when this returns."""
        ended = self.start(*argv, *(("--state", self.state) if state else ()))
        ended.finish(60)
        return ended

    # --- the room ----------------------------------------------------------------------------------------------------

    def change(self, change: Callable[[Any], object]) -> None:
        """Edit the rooms, and save them."""
        rooms = self.call("rooms")
        change(rooms)
        self.call("rooms", rooms, method="PUT")

    def seat(self, name: str, disk: Path, *, mode: str = "receive") -> OnTerminal:
        """Switch a seat on, and let it in."""
        trust = self.folder / "trust"
        if not trust.exists():
            assert self.start("keys", "export-trust", trust, "--keys", self.folder / KEYS).finish() == 0
        told = f"slatecast.server={LOOPBACK}:{self.ports['enrol']} slatecast.seat={name} slatecast.target={disk}"
        seat = OnTerminal(
            self, f"quiet {told} slatecast.mode={mode}\n", "--trust", str(trust), "--countdown", "0", name=name
        )
        self.seats.append(seat)
        words = seat.until(r"words (\w+ \w+ \w+ \w+)")[1]

        def applicant(strangers: Any) -> str | None:
            return next((each["receiver_id"] for each in strangers["applicants"] if each["words"] == words), None)

        self.call("receivers/admit", {"receiver_ids": [self.seen("receivers", applicant, f"{name} at the door")]})
        seat.until("joined")

        def there(fleet: Any) -> bool | None:
            shown = [*fleet["tray"], *(each for room in fleet["rooms"] for each in room["seats"])]
            return any(each["machine"] == name and each["state"] not in ("empty", "off") for each in shown) or None

        self.seen("fleet", there, f"{name} in the picture")
        return seat

    # --- disks -------------------------------------------------------------------------------------------------------

    def reference_disk(self, name: str, mib: int = SMALLEST_MIB, files: Mapping[str, bytes] | None = None) -> Path:
        """GPT with an EFI partition and an ext4 that holds a small Linux, which runs scripts and does not boot."""
        tree = linux_tree(self.folder / f"{name}.tree")
        for path, content in (files or {}).items():
            (tree / path).parent.mkdir(parents=True, exist_ok=True)
            (tree / path).write_bytes(content)
        disk = disk_of(self.folder / f"{name}.disk", mib, _PARTITIONS, {1: "vfat"})
        with disk.opened() as opened:
            (node,) = (each.node for each in opened.table().partitions if each.number == 2)
            run("mkfs.ext4", "-q", "-b", "4096", "-d", str(tree), node)
        return disk.path

    def blank_disk(self, name: str, mib: int) -> Path:
        """A disk without anything, in a sparse file."""
        path = self.folder / f"{name}.disk"
        with path.open("wb") as file:
            file.truncate(mib << 20)
        return path


@contextmanager
def linux_of(disk: Path) -> Iterator[Path]:
    """The root of the Linux on a disk."""
    with WrittenDisk(disk).mounted(2) as folder:
        yield folder
