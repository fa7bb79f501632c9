"""The whole way of ``make lab``: captured, booted from the network, cast, configured, restarted, by itself.

Machines are ordered about over the console only, boot from the network by the service's own DHCP, and restart by
themselves. A step takes a ``Way``, which keeps what later steps go on with, and returns a line for the table; it raises
LabError or AssertionError when its promise is broken. To add one: write the function, put it into ``STEPS``.
"""

import os
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from protocol.backup_names import backup_name
from tests.lab.disk_arguments import Disk
from tests.lab.reference_machine import HOSTNAME, changed_disk, reference_disk
from tests.lab.served_site import Seat, ServedSite
from tests.lab.site import LEAST_MEMORY
from tests.lab.steps import GIB, IMAGE, Bench, Pc, assert_firmware, boot_reference, build_environment
from tests.lab.virtual_machine import Firmware, Hardware, VirtualMachine

ROOM: Final = "Lab"

WORKSHOP: Final = "Workshop"
"""The room in which the reference machine stands."""

REFERENCE: Final = Seat("reference", "52:54:00:5c:00:fe")

CONFIGURATION: Final = """
[grow]
[hostname]
[machine-id]
[ssh-host-keys]
[boot]
first = "network"
[beacon]
"""
"""What the guide in docs/operations.md gives to a room, and the beacon."""

STUDENTS: Final = "srv/essay"
"""A file of a student, on the disk that is backed up."""

ESSAY_SIZE: Final = 1 << 20

LARGEST_BACKUP: Final = 16 << 20
"""[bytes] A student's file and what hangs together with it; the whole disk would take 85 MB."""

LONG_PATIENCE: Final = 600.0
"""[s] For what several machines do at once on two processors, in the company of other tests."""


@dataclass(slots=True)
class Way(Bench):
    """What the steps work on, and what they have made so far."""

    site: ServedSite
    last_week: Path = Path()
    """the reference machine's disk, as it was built: never written to"""
    old_seats: frozenset[str] = frozenset({"pc1"})
    """whose disks hold last week's image, and a file of a student; those of the others are blank"""
    times: dict[str, dict[str, float]] = field(default_factory=dict)
    """[s] by seat: from power-on to what it came to"""
    library_bytes: int = 0
    """what the library took before any backup"""

    def disk(self, pc: Pc) -> Disk:
        """The disk of a PC, made when it is first asked for."""
        path = self.site.folder / f"{pc.seat}.img"
        if pc.seat in self.old_seats and not path.exists():
            changed_disk(self.last_week, path, {STUDENTS: os.urandom(ESSAY_SIZE)}, pc.disk_size)
        return Bench.disk(self, pc)


def build_reference(way: Way) -> str:
    """Build the reference machine's disk, or find the one of last time; this week it has another file."""
    way.last_week = reference_disk()
    way.reference = changed_disk(way.last_week, way.site.folder / "reference.img", {"srv/news": os.urandom(1 << 20)})
    return f"{way.reference.stat().st_blocks * 512 / 1e6:.0f} MB"


def serve(way: Way) -> str:
    """Start the service: it gives addresses, boots PCs from the network, and listens to operators."""
    way.site.serve(way.environment, {ROOM: [_place(pc) for pc in way.pcs], WORKSHOP: [REFERENCE]})
    way.site.configure(IMAGE, CONFIGURATION)
    return "ready"


def capture_reference(way: Way) -> str:
    """Boot the reference machine from the network, let it in, and capture its disk into the library."""
    way.site.boot(WORKSHOP, "capture")
    hardware = Hardware(
        Firmware.BIOS, [Disk(way.reference)], mac=REFERENCE.mac, boots_from_network=True, memory=LEAST_MEMORY
    )
    with VirtualMachine(hardware, way.site.folder / REFERENCE.name, way.site.lab, REFERENCE.name) as machine:
        machine.until("slatecast: words")
        way.site.admit(REFERENCE)
        capture = way.site.begin("image", "capture", REFERENCE.mac, "--name", IMAGE)
        machine.until("slatecast: capture done", LONG_PATIENCE)
        assert capture.finish() == 0, capture.said
    way.library_bytes = _stored(way.site.library)
    return next(line for line in capture.said.splitlines() if line.startswith("captured"))


def reimage(way: Way, pcs: Sequence[Pc] = ()) -> str:
    """Boot PCs from the network, back up and cast; they verify, configure, restart and start from their own disks."""
    pcs = pcs or way.pcs
    site, count = way.site, len(pcs)
    backs_up = any(pc.seat in way.old_seats for pc in pcs)
    site.policy(ROOM, image=IMAGE, configuration=IMAGE, backs_up=backs_up)
    site.boot(ROOM)
    with ExitStack() as running:
        machines = {pc: running.enter_context(_switched_on(way, pc)) for pc in pcs}
        for pc, machine in machines.items():
            _until(way, pc, machine, "enrolling", "slatecast: words")
        for pc, machine in machines.items():
            site.admit(_place(pc))
            _until(way, pc, machine, "joined", "slatecast: joined")
        seats = [word for pc in pcs for word in ("--seat", pc.seat)]
        wait = ["--wait", LONG_PATIENCE, "--expect", count, "--yes", "--watch"]
        session = site.begin("session", "start", IMAGE, "--room", ROOM, *seats, *wait)
        for what, pattern in (
            ("receiving", "slatecast: state receiving"),
            ("verified", "slatecast: verified"),
            ("configured", "slatecast: configured"),
            ("restarting", "slatecast: restarting"),
        ):
            for pc, machine in machines.items():
                _until(way, pc, machine, what, pattern)
                machine.picture(machine.folder / f"{what}.png")
        for pc, machine in machines.items():
            way.facts[pc.seat] = machine.facts(LONG_PATIENCE)
            _note(way, pc, "started")
            machine.until_off()
    assert session.finish() == 0, session.said
    seen = site.aftercare(site.newest_session())
    assert seen.keys() == {pc.seat for pc in pcs}, seen
    return f"{', '.join(pc.seat for pc in pcs)}: imaged, and started from its own disk"


def compare(way: Way) -> str:
    """Hold what each PC has said of itself against the reference machine, and against each other."""
    told = [way.facts[pc.seat] for pc in way.pcs]
    for pc, facts in zip(way.pcs, told, strict=True):
        assert_firmware(facts, pc.firmware)
        assert facts.hostname == _place(pc).hostname
        assert facts.disk_bytes == pc.disk_size
        assert facts.root_partition_bytes > pc.disk_size - GIB // 2, "the partition did not grow"
        assert facts.root_file_system_bytes > 0.9 * facts.root_partition_bytes, "the file system did not grow"
        assert facts.host_keys, "no host keys"
        assert facts.swap_bytes, "the swap file is not in use"
        assert not facts.failed_units, facts.failed_units
    reference = way.facts.get(HOSTNAME)
    all_facts = [*told, *([reference] if reference else [])]
    assert len({facts.files_sha256 for facts in all_facts}) == 1, "files differ"
    assert len({facts.machine_id for facts in all_facts}) == len(all_facts), "two machines have one machine-id"
    keys = [key for facts in all_facts for key in facts.host_keys]
    assert len(set(keys)) == len(keys), "two machines have one host key"
    return f"{len(told)} machines: same files, own names, machine-ids and host keys, grown file systems"


def look_into_backup(way: Way) -> str:
    """Take the student's file out of the backup of the PC that had last week's image."""
    (pc,) = (pc for pc in way.pcs if pc.seat in way.old_seats)
    name = backup_name(pc.mac)
    essay = way.site.folder / "essay"
    way.site.run("image", "extract", name, f"/3/{STUDENTS}", essay)
    assert essay.stat().st_size == ESSAY_SIZE
    stored = _stored(way.site.library) - way.library_bytes
    assert stored < LARGEST_BACKUP, f"the backup stores {stored} bytes"
    return f"{name} has the student's file; the library has grown by {stored / 1e6:.1f} MB"


def _stored(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _place(pc: Pc) -> Seat:
    return Seat(pc.seat, pc.mac, f"lab-{pc.seat}")


def _switched_on(way: Way, pc: Pc) -> VirtualMachine:
    hardware = Hardware(pc.firmware, [way.disk(pc)], mac=pc.mac, boots_from_network=True, memory=LEAST_MEMORY)
    way.times[pc.seat] = {"": time.monotonic()}
    return VirtualMachine(hardware, way.site.folder / pc.seat, way.site.lab, pc.seat)


def _until(way: Way, pc: Pc, machine: VirtualMachine, what: str, pattern: str) -> None:
    machine.until(pattern, LONG_PATIENCE)
    _note(way, pc, what)


def _note(way: Way, pc: Pc, what: str) -> None:
    times = way.times[pc.seat]
    times[what] = time.monotonic() - times[""]


def _one_after_the_other(number: int) -> Callable[[Way], str]:
    """The step of one PC: on two processors three machines at once take as long, and no one longer."""

    def step(way: Way) -> str:
        return reimage(way, way.pcs[number : number + 1]) if number < len(way.pcs) else "not asked for"

    step.__doc__ = reimage.__doc__
    return step


Step = Callable[[Way], str]

STEPS: Final[dict[str, Step]] = {
    "build the reference machine": build_reference,
    "build the environment": build_environment,
    "start the reference machine": boot_reference,
    "start the service": serve,
    "capture the reference machine": capture_reference,
    "reimage the first PC": _one_after_the_other(0),
    "reimage the second PC": _one_after_the_other(1),
    "reimage the third PC": _one_after_the_other(2),
    "compare all machines": compare,
    "look into the backup": look_into_backup,
}
"""In their order: a step uses what the ones before it have left on the way."""
