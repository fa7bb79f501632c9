"""A real machine whose disks are not the one right disk: it says so at its seat and to the console, and writes nothing.

One machine, started once; its disks are put in and pulled while it runs, as somebody at an open case would. The same
rules are tested without a machine in ``tests/receiver/test_target*.py``; here the disks are the kernel's.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.broadcaster.library.disks import MIB, noise, sparse_file
from tests.faults.storage_daemon import slow
from tests.lab.disk_arguments import Bus, Disk
from tests.lab.environment_folder import environment_folder
from tests.lab.network import Lab
from tests.lab.served_site import DOOR, Seat, ServedSite
from tests.lab.site import BOOTS_ENVIRONMENT, Command
from tests.lab.virtual_machine import Firmware, Hardware, VirtualMachine

pytestmark = BOOTS_ENVIRONMENT

ROOM: Final = "Lab"
SEAT: Final = Seat("pc1", "52:54:00:5c:02:01")
DISK_SIZE: Final = 24 * MIB
SLOW: Final = 1_000_000
"""[bytes/s] A third of what the network brings: FAULTS.md, row 29."""
MARKER: Final = b"slatecast: INCOMPLETE DISK"
REFUSED, UNFINISHED = 3, 4
"""Exit codes of ``slatecast session``."""


class Place:
    """One seat whose machine runs with a stick in it and an empty bay, and the operator's side of it."""

    def __init__(self, site: ServedSite, machine: VirtualMachine, image: Path) -> None:
        self.site, self.machine = site, machine
        self.image = image

    def put_in(self, serial: str, size: int = DISK_SIZE, **disk: Any) -> tuple[Path, int]:
        """A blank disk into the bay: its medium, and the number by which it can be pulled."""
        medium = sparse_file(self.site.folder / f"{serial}.img", size, {})
        return medium, self.machine.put_in(Disk(medium, Bus.BAY, serial, **disk))

    def reimage(self) -> Command:
        """An operator plans and starts a session for the seat."""
        return self.site.begin("session", "start", "lab", "--room", ROOM, "--expect", 1, "--yes", "--watch")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("site")
    with Lab(0) as lab, ServedSite(folder, lab) as site:
        environment = environment_folder()
        image = sparse_file(folder / "new.img", DISK_SIZE, {MIB: noise(1, 12 * MIB)})
        site.run("image", "add", image, "--name", "lab")
        site.serve(environment, {ROOM: [SEAT]})
        stick = Disk(sparse_file(folder / "stick.img", DISK_SIZE, {}), Bus.USB, "STICK")
        hardware = Hardware(Firmware.BIOS, [stick], mac=SEAT.mac, has_bay=True)
        with site.machine(SEAT.name, hardware, environment, DOOR) as machine:
            machine.until("slatecast: no target: auto: fits no disk of this machine; it has: [^;]* serial STICK")
            site.admit(SEAT)
            yield Place(site, machine, image)


def test_of_two_disks_none_is_taken(place: Place) -> None:
    (first, a), (second, b) = place.put_in("FIRST"), place.put_in("SECOND", sector_size=4096)
    place.machine.until("no target: auto: fits 2 disks, name one by serial=: [^;]* serial FIRST[^;]*; [^;]* serial SEC")
    session = place.reimage()
    assert session.finish() == REFUSED
    assert "fits 2 disks" in session.said
    place.machine.pull(a)
    place.machine.pull(b)
    place.machine.until("fits no disk of this machine")
    assert not any(first.read_bytes() + second.read_bytes())


def test_a_disk_with_other_sectors_is_refused(place: Place) -> None:
    medium, number = place.put_in("SECTORS", sector_size=4096)
    place.machine.until("target [^(]*.* serial SECTORS")
    session = place.reimage()
    place.machine.until("refused: [^:]*: has sectors of 4096 bytes")
    assert session.finish() == REFUSED
    assert "has sectors of 4096 bytes" in session.said
    place.machine.pull(number)
    place.machine.until("fits no disk of this machine")
    assert not any(medium.read_bytes())


def test_a_disk_that_can_only_be_read_is_refused(place: Place) -> None:
    _, number = place.put_in("SEALED", is_read_only=True)
    place.machine.until("fits only disks that cannot be written: [^;]* serial SEALED")
    place.machine.pull(number)
    place.machine.until("fits no disk of this machine")


def test_a_disk_that_disappears_fails_at_its_seat_and_never_starts(place: Place) -> None:
    medium, number = place.put_in("PULLED", fault=slow(), write_rate=SLOW)
    place.machine.until("target [^(]*.* serial PULLED")
    session = place.reimage()
    place.machine.until("slatecast: state receiving")
    place.machine.pull(number)
    reason = place.machine.until(r"slatecast: failed: ([^\r\n]*)")[1]
    assert session.finish() == UNFINISHED
    assert reason in session.said.replace("\n", " ")
    assert medium.read_bytes().startswith(MARKER)


def test_a_slow_disk_is_waited_for(place: Place) -> None:
    medium, _ = place.put_in("SLOW", fault=slow(), write_rate=SLOW)
    place.machine.until("target [^(]*.* serial SLOW")
    session = place.reimage()
    place.machine.until("slatecast: verified")
    assert session.finish() == 0, session.said
    assert medium.read_bytes() == place.image.read_bytes()
