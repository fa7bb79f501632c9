"""What becomes of the seats of a room, with real processes: captured, imaged, configured, backed up and restored."""

import filecmp
import re
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from protocol.configuration import beacon_datagram
from tests.broadcaster.library.disks import noise
from tests.end_to_end.lived_room import LINUX_MIB, LivedRoom, Unshared, linux_of
from tests.end_to_end.room import wait_until
from tests.receiver.loop_device import needs_root

pytestmark = [pytest.mark.system, pytest.mark.slow, needs_root]

ROOMS: Final = """revision = 1
[[rooms]]
name = "Lab"
[[rooms.seats]]
name = "pc-01"
row = 1
column = 1
[[rooms.seats]]
name = "pc-02"
row = 1
column = 2
machine = "pc-02"
hostname = "lab-two"
"""

CONFIGURATION: Final = """
[variables]
printer = "north"
[grow]
[hostname]
[machine-id]
[ssh-host-keys]
[[files]]
path = "etc/printer"
template = "printer"
"""

STUDENTS: Final = b"chapter one\n" * 1000
LARGER_MIB: Final = 192
NOISE: Final = 40 << 20
FULL: Final = "the library is full: it goes on when the operator has freed some space"
START: Final = {"typed_room": "Lab", "typed_count": 1}


@pytest.fixture
def room(tmp_path: Path) -> Iterator[LivedRoom]:
    with LivedRoom(tmp_path) as room:
        room.state.mkdir(mode=0o700)
        (room.state / "rooms.toml").write_text(ROOMS)
        yield room


def configure(room: LivedRoom, more: str = "", template: str = "{{ seat }} in {{ room }}: {{ printer }}\n") -> None:
    folder = room.library / "configurations"
    (folder / "lab").mkdir(parents=True, exist_ok=True)
    (folder / "lab.toml").write_text(CONFIGURATION + more)
    (folder / "lab" / "printer").write_text(template)
    room.seen("fleet", lambda fleet: "lab" in fleet["configurations"] or None, "the configuration")


def with_policy(room: LivedRoom, **policy: object) -> None:
    room.change(lambda rooms: rooms["rooms"][0].update(policy=policy))


def looked(room: LivedRoom, tsi: str) -> None:
    """Wait until the one seat of a plan that is there has looked at its disk."""
    room.seen(f"sessions/{tsi}", lambda view: "planned" in [each["state"] for each in view["seats"]] or None, "a look")


def aftercare_of(room: LivedRoom, tsi: str) -> Any:
    (seat,) = room.call(f"sessions/{tsi}/aftercare")["seats"]
    return seat


def start_of(disk: Path) -> None:
    """What the system on a disk says when it starts."""
    with linux_of(disk) as root:
        host, port, token = (root / "etc/slatecast/beacon.conf").read_text().split()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as speaker:
        speaker.sendto(beacon_datagram(token), (host, int(port)))


def captured_reference(room: LivedRoom) -> None:
    """The reference machine becomes the image lab."""
    reference = room.seat("pc-01", room.reference_disk("reference"), mode="capture")
    room.call("rooms/place", {"room": "Lab", "seat": "pc-01", "machine": "pc-01"})
    reference.until("seat pc-01")
    captured = room.command("image", "capture", "pc-01", "--name", "lab")
    assert captured.output.text == "captured pc-01: image lab, version 1\n", captured.errors.text
    assert re.search(r"^\d+ things were found on the disk: the console lists them$", captured.errors.text, re.MULTILINE)
    reference.until("capture done")
    reference.terminate()
    assert reference.finish() == 0


def start_once_backed_up(room: LivedRoom, tsi: str) -> None:
    """Try to start until nothing refuses it: that may only be the backup, which is there by then."""

    def starts() -> bool:
        why = ""
        try:
            room.call(f"sessions/{tsi}/start", START)
        except AssertionError as refused:
            why = str(refused)
        assert re.fullmatch(r"(not backed up yet: pc-02 \(\d+%\))?", why), why
        return not why

    wait_until(starts, "the backup")
    room.seen("captures", lambda found: (found[-1]["is_backup"] and found[-1]["step"] == "done") or None, "its news")


def take_a_file_out(room: LivedRoom) -> None:
    """What a student had on the disk that was overwritten."""
    listed = room.command("image", "files", "backup-pc-02", "/2/home", "--library", room.library, state=False)
    assert re.search(r"^- +12000 .* essay$", listed.output.text, re.MULTILINE), listed.errors.text
    essay = room.folder / "essay"
    taken = ("image", "extract", "backup-pc-02", "/2/home/essay", essay, "--library", room.library)
    assert room.command(*taken, state=False).errors.text == ""
    assert essay.read_bytes() == STUDENTS


def compare_files(before: Path, disk: Path) -> None:
    """Every file of two disks' Linux."""
    with linux_of(before) as old, linux_of(disk) as new:
        there = sorted(path.relative_to(old) for path in old.rglob("*"))
        assert there == sorted(path.relative_to(new) for path in new.rglob("*"))
        assert not filecmp.cmpfiles(old, new, [path for path in there if (old / path).is_file()], shallow=False)[1]


def test_a_room_from_its_first_image_to_a_restored_seat(room: LivedRoom) -> None:
    serving = room.serve()
    captured_reference(room)
    (capture,) = room.call("captures")
    codes = {each["code"] for each in room.call(f"captures/{capture['capture_id']}/findings")}
    assert {"machine-id", "ssh-host-keys"} <= codes
    (image,) = room.call("images")
    assert (image["name"], image["version"], image["is_signed"]) == ("lab", 1, True)

    configure(room, "[beacon]\n")
    with_policy(room, image="lab", configuration="lab", backs_up=True, allows_restore=True)
    disk = room.reference_disk("larger", LARGER_MIB, {"home/essay": STUDENTS, "home/noise": noise(3, 40 << 20)})
    before = Path(shutil.copyfile(disk, room.folder / "before"))
    seat = room.seat("pc-02", disk)
    tsi = room.call("sessions", {"room": "Lab", "image": "lab"})["tsi"]
    looked(room, tsi)
    start_once_backed_up(room, tsi)
    seat.until("verified")
    seat.until("configured")
    seat.type("x")  # it stays on
    done = aftercare_of(room, tsi)
    assert [step["name"] for step in done["steps"] if step["is_done"]] == [
        *("grow", "hostname", "machine-id", "ssh-host-keys", "files", "beacon")
    ]
    assert (done["error"], done["booted_at"]) == ("", None)
    with linux_of(disk) as root:
        assert (root / "etc/hostname").read_text() == "lab-two\n"
        assert (root / "etc/machine-id").read_text() != "ab" * 16 + "\n"
        assert (root / "etc/ssh/ssh_host_rsa_key").read_text() != "old"
        assert (root / "etc/printer").read_text() == "pc-02 in Lab: north\n"
        assert not (root / "home").exists()
        assert shutil.disk_usage(root).total > LINUX_MIB * 1.5 * (1 << 20)
    start_of(disk)
    room.seen(f"sessions/{tsi}/aftercare", lambda found: found["seats"][0]["booted_at"], "the start of the disk")

    take_a_file_out(room)
    put_back = room.command("restore", "pc-02", "--yes", "--watch")
    assert "1 of 1 seats verified" in put_back.output.text, put_back.errors.text
    seat.until("nothing to configure")
    seat.type("x")
    compare_files(before, disk)

    seat.type("r")
    seat.type("y")
    seat.until("restore asked for")
    own = room.seen(
        "sessions", lambda all: next((s["tsi"] for s in all if s["ordered_by"] == "self-service"), None), "self-service"
    )
    room.seen(f"sessions/{own}", lambda view: view["step"] == "ended" or None, "its end")
    room.seen(f"sessions/{own}/aftercare", lambda found: len(found["seats"][0]["steps"]) == 6 or None, "its steps")
    with linux_of(disk) as root:
        assert (root / "etc/hostname").read_text() == "lab-two\n"
    assert room.terminate(serving) == 0


def test_a_full_library_and_a_seat_that_is_switched_off_hold_a_capture_up_and_lose_nothing(room: LivedRoom) -> None:
    room.library.mkdir()
    serving = room.serve(Unshared(room.library, "24m"))
    disk = room.reference_disk("reference", files={"srv/noise": noise(7, NOISE)})
    seat = room.seat("pc-02", disk, mode="capture")
    ordered = room.start("image", "capture", "pc-02", "--name", "lab", "--state", room.state)
    ordered.errors.until(f"^{FULL}$")
    seat.until(f"capture waits: {FULL}")
    room.seen("captures", lambda found: found[0]["reason"] == FULL or None, "the reason")
    seat.kill()
    again = room.seat("pc-02", disk, mode="capture")
    Unshared.enlarge(serving, room.library, "128m")
    assert ordered.finish() == 0, ordered.errors.text
    again.until("capture done")
    (ended,) = room.call("captures")
    assert (ended["step"], ended["version"]) == ("done", 1)
    assert ended["sent_bytes"] < NOISE, "less than all of it was sent after the restart"
    assert room.terminate(serving) == 0


def test_what_a_configuration_cannot_do_is_said_in_a_line(room: LivedRoom) -> None:
    room.add(room.reference_disk("reference"))
    serving = room.serve()
    configure(room, template="{{ prinetr }}\n")
    with_policy(room, image="lab", configuration="lab")
    seat = room.seat("pc-02", room.blank_disk("larger", LARGER_MIB))
    refused = room.refusal("sessions", {"room": "Lab", "image": "lab"})
    assert refused.endswith("lab.toml: files 1, for seat 'pc-02': 'prinetr' is undefined")
    scripts = '[[scripts]]\nsource = "fails"\non-error = "continue"\n[[scripts]]\nsource = "hangs"\nlimit = 1\n'
    folder = room.library / "configurations/lab"
    (folder / "fails").write_text("#!/bin/sh\necho no licence >&2\nexit 3\n")
    (folder / "hangs").write_text("#!/bin/sh\necho waiting for godot\nsleep 600\n")
    configure(room, scripts)
    tsi = room.call("sessions", {"room": "Lab", "image": "lab"})["tsi"]
    looked(room, tsi)
    room.call(f"sessions/{tsi}/start", START)
    hangs = "killed after 1 s, its limit; last said: waiting for godot"
    seat.until(f"not configured: script hangs: {hangs}")
    done = room.seen(
        f"sessions/{tsi}/aftercare",
        lambda found: found["seats"][0]["steps"] if found["seats"] and found["seats"][0]["error"] else None,
        "its failure",
    )
    *others, fails, last = [(step["name"], step["is_done"], step["text"]) for step in done]
    assert all(is_done for _, is_done, _ in others)
    assert fails == ("script fails", False, "ended with code 3; last said: no licence")
    assert last == ("script hangs", False, hangs)
    seat.terminate()
    assert seat.finish() == 0, "it was not restarted: somebody has to look"
    assert "restarting" not in seat.log.text
    assert room.terminate(serving) == 0
