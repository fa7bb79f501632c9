"""The power goes while a real machine is being reimaged: its firmware starts a whole system from the disk, or none.

One cast to a machine in the environment is recorded flush by flush, as its virtual disk was told, and replayed up to
hundreds of moments. ``tests/faults/test_power_cuts.py`` does so without a machine; here the writes come from the kernel
of the environment, and a BIOS judges what they leave.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.broadcaster.library.disks import MIB, SECTOR, noise, partition_disk, sparse_file
from tests.faults.storage_daemon import failing, logging
from tests.faults.write_log import Cut, Write, power_cuts, read_epochs
from tests.lab.boot_sector import put_boot_sector
from tests.lab.disk_arguments import Disk
from tests.lab.environment_folder import environment_folder
from tests.lab.network import Lab
from tests.lab.site import BOOTS_ENVIRONMENT, Site
from tests.lab.virtual_machine import Firmware, Hardware, VirtualMachine

pytestmark = BOOTS_ENVIRONMENT

DISK_SIZE = 24 * MIB
CUTS_PER_EPOCH = 240
LEAST_CUTS = 200
SEED = 24
"""Of the choice of moments."""
JUDGED = 24
"""Disks that a BIOS is asked about, in all, beside every flush; each takes a second."""
OLD, NEW = "OLD SYSTEM", "NEW SYSTEM"
GPT = b"EFI PART"
MARKER = b"slatecast: INCOMPLETE DISK"
MAC = "52:54:00:5c:01:01"
EIO = 5
BAD_SECTOR = 24_000
"""In the noise, at 12 MB."""


@dataclass(frozen=True)
class Recording:
    """One cast that went well, and each write of it."""

    source: bytes = field(repr=False)
    old: bytes = field(repr=False)
    epochs: list[list[Write]] = field(repr=False)

    def cuts(self) -> Iterator[Cut]:
        return power_cuts(self.old, self.epochs, CUTS_PER_EPOCH, SEED)

    def system_on(self, disk: bytes | bytearray) -> str | None:
        """What a BIOS must start from the disk; an unfinished one has to say why nothing does.

        Firmware that overlooks sector 0 may believe a GPT, or its backup: where one is, all that it tells of is whole.
        """
        if disk == self.old:
            return OLD
        if disk == self.source:
            return NEW
        assert disk.startswith(MARKER)
        assert disk[510:SECTOR] != b"\x55\xaa"
        if disk[SECTOR : SECTOR + 8] == GPT or disk[-SECTOR : -SECTOR + 8] == GPT:
            assert disk[MIB:-MIB] in (self.old[MIB:-MIB], self.source[MIB:-MIB])
        return None


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with Lab(0) as lab, Site(tmp_path_factory.mktemp("site"), lab) as site:
        site.serve_addresses()
        yield site


def system(path: Path, word: str, seed: int) -> Path:
    """A disk that a BIOS starts; the system says ``word``."""
    sparse_file(path, DISK_SIZE, {MIB: noise(seed, 6 * MIB), 11 * MIB: noise(seed + 1, 6 * MIB)})
    partition_disk(path, "label: gpt\nstart=2048, type=linux\n")
    with path.open("r+b") as file:
        sector = put_boot_sector(file.read(SECTOR), word)
        file.seek(0)
        file.write(sector)
    return path


@pytest.fixture(scope="module")
def recording(site: Site) -> Recording:
    source, medium = system(site.folder / "new.img", NEW, 1), system(site.folder / "seat.img", OLD, 3)
    before, log = medium.read_bytes(), site.folder / "log"
    cast = site.cast(source)
    hardware = Hardware(Firmware.BIOS, [Disk(medium, fault=logging(log))], mac=MAC)
    with site.machine("pc1", hardware, environment_folder(), cast.door()) as machine:
        cast.admit(1)
        machine.until("slatecast: verified")
        assert cast.finish() == 0, cast.said
    assert medium.read_bytes() == source.read_bytes()
    return Recording(source.read_bytes(), before, read_epochs(log))


def test_at_any_moment_a_whole_system_is_on_the_disk_or_none(recording: Recording) -> None:
    found = [recording.system_on(cut.disk) for cut in recording.cuts()]
    print(f"seed {SEED}: {len(found)} moments, {len(recording.epochs)} flushes")
    assert set(found) == {OLD, None, NEW}
    assert len(found) >= LEAST_CUTS
    assert (found[0], found[-1]) == (OLD, NEW)


def test_a_bios_starts_that_system_or_none(recording: Recording, tmp_path: Path) -> None:
    cuts = sum(1 for _ in recording.cuts())
    step = cuts // JUDGED
    for number, cut in enumerate(recording.cuts()):
        is_flush = "," not in cut.name
        if is_flush or number % step == 0:
            path = tmp_path / "cut.img"
            path.write_bytes(cut.disk)
            assert started_by_bios(path, tmp_path) == recording.system_on(cut.disk), cut.name


def started_by_bios(disk: Path, folder: Path) -> str | None:
    hardware = Hardware(Firmware.BIOS, [Disk(disk)], memory=64, has_bios_on_serial=True)
    with VirtualMachine(hardware, folder) as machine:
        said = machine.until(f"{OLD}|{NEW}|No bootable device")[0]
    return said if said in (OLD, NEW) else None


def test_a_disk_with_a_bad_sector_fails_at_its_seat_and_never_starts(site: Site, tmp_path: Path) -> None:
    source, medium = system(tmp_path / "new.img", NEW, 1), system(tmp_path / "seat.img", OLD, 3)
    cast = site.cast(source)
    disk = Disk(medium, fault=failing("write", EIO, sector=BAD_SECTOR), serial="BAD")
    with site.machine("pc2", Hardware(Firmware.BIOS, [disk], mac=MAC), environment_folder(), cast.door()) as machine:
        cast.admit(1)
        reason = machine.until(r"slatecast: failed: ([^\r\n]*)[\r\n]")[1]
        assert cast.finish() == 4, cast.said
    assert "/dev/vda" in reason
    assert medium.read_bytes().startswith(MARKER)
    assert started_by_bios(medium, tmp_path) is None
