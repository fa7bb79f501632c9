"""Steps of labs, each a function of the lab as it stands: what it does, and what must hold afterwards.

A step takes a ``Bench``, which keeps what later steps go on with, and returns a line for the table; it raises LabError
or AssertionError when its promise is broken. Those that stand alone are tests too (``test_lab``).

Here the environment starts from its kernel, and ``slatecast cast`` writes: the shortest way to machines that start from
disks that we wrote. The whole way, with all that happens in a room, is in ``whole_way``.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.lab.disk_arguments import Bus, Disk
from tests.lab.environment_folder import environment_folder
from tests.lab.facts import Facts
from tests.lab.reference_machine import HOSTNAME, copy_disk, reference_disk
from tests.lab.site import Site
from tests.lab.virtual_machine import Firmware, Hardware, VirtualMachine

GIB: Final = 1024**3

IMAGE: Final = "lab"


@dataclass(frozen=True, slots=True)
class Pc:
    """One blank PC of the lab."""

    seat: str
    firmware: Firmware
    disk_size: int
    """[bytes]"""
    bus: Bus = Bus.VIRTIO

    @property
    def mac(self) -> str:
        """Of its network card; locally administered, the same every time."""
        return f"52:54:00:5c:00:{int(self.seat.removeprefix('pc')):02x}"


PCS: Final = (
    Pc("pc1", Firmware.BIOS, 2 * GIB),
    Pc("pc2", Firmware.UEFI, 3 * GIB, Bus.NVME),
    Pc("pc3", Firmware.SECURE_BOOT, 4 * GIB),
)


@dataclass(slots=True)
class Bench:
    """What the steps work on, and what they have made so far."""

    site: Site
    pcs: tuple[Pc, ...] = PCS
    reference: Path = Path()
    """the reference machine's own disk, as it was built: never written to"""
    environment: Path = Path()
    facts: dict[str, Facts] = field(default_factory=dict)
    """of the reference machine, by its name, and of each PC that has started from its new disk, by its seat"""

    def disk(self, pc: Pc) -> Disk:
        """The disk of a PC, made blank when it is first asked for."""
        path = self.site.folder / f"{pc.seat}.img"
        if not path.exists():
            with path.open("wb") as file:
                file.truncate(pc.disk_size)
        return Disk(path, pc.bus, serial=f"LAB-{pc.seat}")


def build_reference(bench: Bench) -> str:
    """Build the reference machine's disk, or find the one of last time."""
    bench.reference = reference_disk()
    return f"{bench.reference.stat().st_blocks * 512 / 1e6:.0f} MB"


def build_environment(bench: Bench) -> str:
    """Build the environment, or find the one of last time."""
    bench.environment = environment_folder()
    return f"initrd of {(bench.environment / 'initrd.img').stat().st_size / 1e6:.0f} MB"


def boot_reference(bench: Bench, firmware: Firmware = Firmware.BIOS) -> str:
    """Start the reference machine from a copy of its disk, and hear what it is."""
    disk = copy_disk(bench.reference, bench.site.folder / f"reference-{firmware.name}.img")
    hardware = Hardware(firmware, [Disk(disk)])
    with VirtualMachine(hardware, bench.site.folder / f"reference-{firmware.name}", name="reference") as machine:
        facts = machine.facts()
        machine.until_off()
    disk.unlink()
    assert facts.hostname == HOSTNAME
    assert not facts.failed_units, facts.failed_units
    assert facts.swap_bytes, "the swap file is not in use"
    assert_firmware(facts, firmware)
    bench.facts[HOSTNAME] = facts
    return f"{facts.hostname} is up, kernel {facts.kernel}"


def add_image(bench: Bench) -> str:
    """Bring the reference disk into the library, from the file."""
    bench.site.run("image", "add", bench.reference, "--name", IMAGE)
    shown = json.loads(bench.site.run("image", "show", IMAGE, "--json"))
    return f"{IMAGE} version {shown.get('version', 1)}"


def cast_to_blank_machines(bench: Bench) -> str:
    """Start each PC into the environment and cast to it; one after the other, since each takes a processor."""
    for pc in bench.pcs:
        report_path = bench.site.folder / f"{pc.seat}.json"
        cast = bench.site.cast(IMAGE, "--expect", 1, "--report", report_path)
        hardware = Hardware(pc.firmware, [bench.disk(pc)], mac=pc.mac)
        with bench.site.machine(pc.seat, hardware, bench.environment, cast.door()) as machine:
            cast.admit(1)
            machine.until("slatecast: verified")
            machine.picture(bench.site.folder / f"{pc.seat}-verified.png")
            assert cast.finish() == 0, cast.said
        (seat,) = json.loads(report_path.read_text())["seats"]
        assert seat["verified"], seat
        assert seat["seat"] == pc.seat
    return f"{len(bench.pcs)} machines verified"


def start_from_new_disks(bench: Bench) -> str:
    """Start each PC from its own disk, and compare what it says with the reference machine."""
    reference = bench.facts[HOSTNAME]
    for pc in bench.pcs:
        hardware = Hardware(pc.firmware, [bench.disk(pc)], mac=pc.mac)
        with VirtualMachine(hardware, bench.site.folder / pc.seat, bench.site.lab, pc.seat) as machine:
            facts = machine.facts()
            machine.until_off()
        assert facts.files_sha256 == reference.files_sha256, pc.seat
        assert facts.disk_bytes == pc.disk_size
        assert not facts.failed_units, facts.failed_units
        assert_firmware(facts, pc.firmware)
        bench.facts[pc.seat] = facts
    return f"{len(bench.pcs)} machines have the reference machine's files"


def assert_firmware(facts: Facts, firmware: Firmware) -> None:
    """Whether a machine says that it started with this firmware."""
    assert (facts.firmware, facts.secure_boot) == {
        Firmware.BIOS: ("bios", False),
        Firmware.UEFI: ("uefi", False),
        Firmware.SECURE_BOOT: ("uefi", True),
    }[firmware]
