"""Disks with a file system that can be made smaller, and something behind it that has to move. Needs root."""

import os
import subprocess
from pathlib import Path
from typing import Final

from protocol.disk.system_tools import loop_device
from tests.broadcaster.library.disks import MIB, partition_disk, run, sparse_file

BOOT_CODE: Final = b"what the BIOS starts"
PLACES: Final = {1: (1 * MIB, 8 * MIB), 2: (9 * MIB, 320 * MIB), 3: (329 * MIB, 40 * MIB)}
"""[bytes] offset and length of each partition"""

DISK_SIZE: Final = 400 * MIB

_GPT: Final = """label: gpt
size=8MiB, type=U, name=EFI
size=320MiB, name="Basic data partition", attrs="GUID:63"
size=40MiB, type=DE94BBA4-06D1-4D40-A16A-BFD50179D6AC, name=Recovery, attrs="RequiredPartition"
"""
_DOS: Final = "label: dos\nsize=8MiB, type=c\nsize=320MiB, type=83, bootable\nsize=40MiB, type=27\n"

_MAKERS: Final = {
    "ext4": ("mkfs.ext4", "-q", "-F"),
    "ntfs": ("mkntfs", "-q", "-F", "-f", "-p", "18432", "-H", "255", "-S", "63"),
    "btrfs": ("mkfs.btrfs", "-q", "-f"),
    "xfs": ("mkfs.xfs", "-q", "-f"),
}
_MOUNTED: Final = """
    folder=$(mktemp -d); mount -t "$2" "$1" "$folder"; cd "$folder"
    seq 1 40000 > numbers; mkdir -p home/anna; head -c 5M /dev/urandom > home/anna/thesis; ln -s /etc/passwd home/link
    ln -s ../../../../../../etc home/out; mkfifo home/pipe 2>/dev/null || true; sha256sum home/anna/thesis > sum
    cd /; umount "$folder"; rmdir "$folder"
"""


def small_disk(path: Path, filesystem: str, *, table: str = "gpt") -> Path:
    """A disk of 400 MiB whose second partition holds some files, and the third a recovery partition or swap."""
    sparse_file(path, DISK_SIZE)
    partition_disk(path, _GPT if table == "gpt" else _DOS)
    with path.open("r+b") as file:
        file.write(BOOT_CODE)
    with loop_device(path, *PLACES[2], is_writable=True) as device:
        run(*_MAKERS[filesystem], str(device))
        kind = {"ntfs": "ntfs-3g"}.get(filesystem, filesystem)
        subprocess.run(["unshare", "--mount", "sh", "-euc", _MOUNTED, "sh", str(device), kind], check=True)
    with loop_device(path, *PLACES[3], is_writable=True) as device:
        run(*_MAKERS["ntfs"], str(device)) if filesystem == "ntfs" else run("mkswap", str(device))
    return path


def bytes_at(path: Path, offset: int, length: int) -> bytes:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return os.pread(descriptor, length, offset)
    finally:
        os.close(descriptor)
