"""What the firmware starts from now on: one boot entry for the disk's system, and a loader where it looks by itself.

Firmware forgets entries, and those of the last image may name partitions that are no more; entries that an earlier run
made are removed. EFI/BOOT/BOOTX64.EFI is what it starts without an entry, for disks that move to another PC too.
A PC that was started by BIOS has no entries: it starts the disk by its boot code.
"""

import re
from dataclasses import dataclass
from typing import Final

from protocol.configuration import BootStep, FirstBoot
from protocol.errors import DiskError
from receiver.configure.esp import EfiPartition
from receiver.configure.outcome import Outcome, done, skipped
from receiver.configure.place import Place
from receiver.configure.running import Stopping, run_well
from receiver.configure.target_disk import TargetDisk

OWN_LABEL: Final = "slatecast"
"""Entries whose label begins so are ours, and stale once they are not the one that is wanted."""

FALLBACK: Final = "EFI/BOOT/BOOTX64.EFI"

_LOADERS: Final = ("shimx64.efi", "grubx64.efi", "systemd-bootx64.efi", "bootmgfw.efi")
"""Of a system, the best first: a shim is what Secure Boot lets start."""

_ENTRY: Final = re.compile(r"^Boot([0-9A-F]{4})(\*?) (.*)$", re.MULTILINE)
_ORDER: Final = re.compile(r"^BootOrder: ([0-9A-F,]+)$", re.MULTILINE)
_PATH: Final = re.compile(
    r"(?:HD|PciRoot|VenHw|VenMsg|BBS|FvVol|Fv|MemoryMapped|Uri|MAC|ACPI|Pci|USB|AcpiEx|VenMedia)\("
)
_NETWORK: Final = re.compile(r"MAC\(|IPv[46]\(|Uri\(")


@dataclass(frozen=True)
class Entry:
    """A boot entry of the firmware."""

    number: str
    """four hex digits"""
    label: str
    path: str
    """device path, as efibootmgr writes it"""

    @property
    def is_network(self) -> bool:
        """Whether it boots from the network."""
        return _NETWORK.search(self.path) is not None


def repair_boot(place: Place, step: BootStep) -> Outcome:
    """Carry it out; raises RefusedError or DiskError."""
    disk = place.disk
    esp = EfiPartition.of(disk, disk.table())
    if esp is None:
        return skipped("no EFI partition: the disk starts by its boot code, in BIOS")
    told = []
    loader = _loader(esp)
    if not loader:
        raise DiskError(disk.device, "looking for a loader", "the EFI partition has none that is known")
    if step.fallback and not esp.has(FALLBACK):
        _copy_fallback(esp, loader)
        told.append(f"{FALLBACK} made from {loader}")
    if place.machine.has_efi:
        told += _set_entries(disk, esp, step, loader)
    else:
        told.append("this PC was started by BIOS: no boot entries")
    return done("; ".join(told)) if place.machine.has_efi or len(told) > 1 else skipped("; ".join(told))


def _loader(esp: EfiPartition) -> str:
    """The loader of the system on the disk."""
    folders = [name.rstrip("/") for name in esp.names("EFI") if name.endswith("/")]
    own = [name for name in folders if name.upper() != "BOOT"]
    places = [f"EFI/{name}" for name in own] + ["EFI/Microsoft/Boot"] * any(name.lower() == "microsoft" for name in own)
    for wanted in _LOADERS:
        for folder in places:
            if esp.has(f"{folder}/{wanted}"):
                return f"{folder}/{wanted}"
    return FALLBACK if esp.has(FALLBACK) else ""


def _copy_fallback(esp: EfiPartition, loader: str) -> None:
    folder, _, name = loader.rpartition("/")
    if name == "shimx64.efi":
        # A shim starts what lies beside it.
        for beside in ("grubx64.efi", "mmx64.efi"):
            if esp.has(f"{folder}/{beside}"):
                esp.copy(f"{folder}/{beside}", f"EFI/BOOT/{beside}")
    esp.copy(loader, FALLBACK)


def _set_entries(disk: TargetDisk, esp: EfiPartition, step: BootStep, loader: str) -> list[str]:
    stopping, told = disk.stopping, []
    wanted = loader.replace("/", "\\")
    entries, _ = _read(stopping)
    ours = [each for each in entries if _is_wanted(each, step.label, esp, wanted)]
    for each in entries:
        is_own = each.label == step.label or each.label.startswith(OWN_LABEL)
        if is_own and each not in ours[:1]:
            run_well(stopping, "efibootmgr", "--quiet", "--bootnum", each.number, "--delete-bootnum")
            told.append(f"stale entry {each.label!r} removed")
    if not ours:
        where = ("--disk", disk.device, "--part", str(esp.number), "--loader", f"\\{wanted}", "--label", step.label)
        run_well(stopping, "efibootmgr", "--quiet", "--create-only", *where)
        told.append(f"entry {step.label!r} made")
    entries, order = _read(stopping)
    ours = [each for each in entries if _is_wanted(each, step.label, esp, wanted)]
    if not ours:
        raise DiskError(disk.device, "efibootmgr", "the firmware did not keep the boot entry")
    new_order = _ordered(order, entries, ours[0], step.first)
    if new_order != order:
        run_well(stopping, "efibootmgr", "--quiet", "--bootorder", ",".join(new_order))
        told.append(f"{step.first.value} first" if step.first is not FirstBoot.KEEP else "added to the order")
    if step.next_disk:
        run_well(stopping, "efibootmgr", "--quiet", "--bootnext", ours[0].number)
        told.append("starts next from the disk")
    return told or ["boot entries are as they should be"]


def _read(stopping: Stopping) -> tuple[list[Entry], list[str]]:
    """The firmware's entries, and their order."""
    said = run_well(stopping, "efibootmgr", "--verbose")
    entries = []
    for number, _, rest in _ENTRY.findall(said):
        label, _, path = rest.partition("\t")
        entries.append(Entry(number, label, path))
    order = _ORDER.search(said)
    return entries, order[1].split(",") if order else []


def _is_wanted(entry: Entry, label: str, esp: EfiPartition, loader: str) -> bool:
    path = entry.path.lower()
    identity = esp.uuid if esp.uuid.count("-") > 1 else f"mbr,0x{esp.uuid.partition('-')[0].lstrip('0')}"
    return entry.label == label and identity in path and loader.lower() in path


def _ordered(order: list[str], entries: list[Entry], ours: Entry, first: FirstBoot) -> list[str]:
    known = {each.number for each in entries}
    rest = [number for number in order if number in known and number != ours.number]
    network = [each.number for each in entries if each.is_network]
    match first:
        case FirstBoot.NETWORK:
            leading = [number for number in rest if number in network] or network
            return [*leading, ours.number, *(number for number in rest if number not in leading)]
        case FirstBoot.DISK:
            return [ours.number, *rest]
        case _:
            return order if ours.number in order else [*rest, ours.number]
