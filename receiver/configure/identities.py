"""New identities for disk and partitions, so that two disks of a room in one machine are two; and what names them.

They follow from the seed of the seat and the session: whoever does it again finds it done, and after a power cut
between the files and the table the same files are right at once. fstab and the boot loaders' files that name a
PARTUUID are changed first, the table last. A Windows names its partitions in a boot configuration that nothing here can
write, so a disk with one keeps its identities.
"""

import uuid
from collections.abc import Mapping
from typing import Final

from blake3 import blake3

from protocol.configuration import IdentitiesStep
from protocol.errors import RefusedError
from receiver.configure.esp import EfiPartition
from receiver.configure.outcome import Outcome, done, skipped
from receiver.configure.running import run_well
from receiver.configure.target_disk import DiskTable, TargetDisk
from receiver.configure.target_root import TargetRoot

REFERRING: Final = (
    "etc/fstab",
    "etc/crypttab",
    "etc/default/grub",
    "etc/kernel/cmdline",
    "boot/grub/grub.cfg",
    "boot/grub2/grub.cfg",
    "boot/extlinux/extlinux.conf",
    "grub/grub.cfg",
    "grub2/grub.cfg",
    "extlinux/extlinux.conf",
)
"""Files of a root, or of a partition for /boot, that may name a partition by its PARTUUID."""

_ENTRY_FOLDERS: Final = ("boot/loader/entries", "loader/entries", "etc/default/grub.d")


def renew_identities(disk: TargetDisk, step: IdentitiesStep) -> Outcome:
    """Carry it out.

    Raises:
        RefusedError: a Windows is on the disk, or something names a partition that cannot be changed here.
        DiskError: a tool failed.
    """
    table = disk.table()
    disk_id, names = _wanted(table, step.seed)
    changes = {old: new for old, new in names.items() if old != new}
    if disk_id == table.disk_id and not changes:
        return skipped("the disk has its own identities already")
    if disk.has_windows():
        raise RefusedError("Windows names its partitions by these in its boot configuration: leave [identities] out")
    _refuse_entries_on_esp(disk, table, changes)
    repaired = _repair(disk, table, changes)
    quiet = ("--no-reread", "--no-tell-kernel")
    run_well(disk.stopping, "sfdisk", *quiet, "--disk-id", disk.device, disk_id)
    if table.kind == "gpt":
        for partition in table.partitions:
            guid = names[partition.uuid]
            run_well(disk.stopping, "sfdisk", *quiet, "--part-uuid", disk.device, str(partition.number), guid)
    disk.tell_kernel()
    told = f"; changed in {', '.join(repaired)}" if repaired else ""
    return done(f"the disk is {disk_id}, its {len(table.partitions)} partitions have new identities{told}")


def _wanted(table: DiskTable, seed: str) -> tuple[str, Mapping[str, str]]:
    """The disk's identity, and the PARTUUID in the place of each old one."""
    if table.kind == "gpt":
        return _guid(seed, "disk"), {each.uuid: _guid(seed, str(each.number)) for each in table.partitions}
    number = int(_guid(seed, "disk")[:8], 16) or 1
    return f"0x{number:08x}", {each.uuid: f"{number:08x}-{each.number:02x}" for each in table.partitions}


def _guid(seed: str, what: str) -> str:
    derived = blake3(f"slatecast identity {seed} {what}".encode()).digest()
    return str(uuid.UUID(bytes=derived[:16], version=4))


def _repair(disk: TargetDisk, table: DiskTable, changes: Mapping[str, str]) -> list[str]:
    """Change what names a partition; gives the paths."""
    changed = []
    for partition in table.partitions:
        if partition.is_linux:
            with disk.mounted(partition) as folder, TargetRoot(folder) as root:
                entries = [f"{place}/{name}" for place in _ENTRY_FOLDERS for name in root.names(place)]
                for path in (*REFERRING, *entries):
                    content = root.read(path)
                    new = None if content is None else _changed(content, changes)
                    if new is not None and new != content:
                        root.write(path, new)
                        changed.append(f"/{path}")
                root.sync()
    return changed


def _changed(content: bytes, changes: Mapping[str, str]) -> bytes:
    for old, new in changes.items():
        if old:
            for spelled in (old, old.upper()):
                content = content.replace(spelled.encode(), new.encode())
    return content


def _refuse_entries_on_esp(disk: TargetDisk, table: DiskTable, changes: Mapping[str, str]) -> None:
    esp = EfiPartition.of(disk, table)
    if esp is None:
        return
    for path in (*(f"loader/entries/{name}" for name in esp.names("loader/entries")), "loader/loader.conf"):
        content = esp.read(path)
        if content is not None and _changed(content, changes) != content:
            raise RefusedError(f"{path} of the EFI partition names a PARTUUID: let it name the UUID of the file system")
