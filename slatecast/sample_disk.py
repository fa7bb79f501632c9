"""A disk to try slatecast with: GPT, an EFI system partition, and ext4 with a part of this machine's own /usr.

Built without root from Debian's own tools, none of which need a mount: sfdisk, mkfs.vfat, mtools, mkfs.ext4. The file
is sparse, there is free space between and behind the partitions, and the same machine gives the same files each time.
The disk appears under its name only when it is complete.
"""

import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from protocol.disk.system_tools import find_tool, last_line, tool_environment
from protocol.errors import ConfigError, RefusedError

MIB: Final = 1 << 20

DEFAULT_DISK_SIZE: Final = 2048 * MIB
DEFAULT_USED_BYTES: Final = 300 * MIB
"""[bytes] chosen: enough for some seconds of casting, little enough to be built in less than ten."""

EFI_START: Final = 1 * MIB
EFI_LENGTH: Final = 64 * MIB
"""[bytes] FAT32 needs 65,525 clusters of 512 bytes, 33 MiB."""

SYSTEM_START: Final = 128 * MIB
FREE_BEHIND: Final = 64 * MIB
"""[bytes] behind the last partition, the backup partition table included."""

SHARE_FOR_FILES: Final = 0.75
"""Part of the ext4 partition that files may fill: the rest is its journal, its inodes and its reserve of 5 %."""

ALLOCATION_UNIT: Final = 4096

SOURCES: Final = (Path("/usr/bin"), Path("/usr/share"), Path("/usr/lib"))
"""Executables, texts and libraries: each gives a third, so that the data compress as those of a real system do."""

TOOLS: Final = {"sfdisk": "fdisk", "mkfs.vfat": "dosfstools", "mcopy": "mtools", "mkfs.ext4": "e2fsprogs"}
"""Each tool and the Debian package that has it."""

SECTOR: Final = 512


def build_sample_disk(path: Path, *, disk_size: int = DEFAULT_DISK_SIZE, used_bytes: int = DEFAULT_USED_BYTES) -> None:
    """Write a sample disk of ``disk_size`` bytes with about ``used_bytes`` bytes of files to ``path``.

    Raises:
        ConfigError: the files would not fit on such a disk.
        RefusedError: a tool is not installed or fails, or the folder of ``path`` takes no such file.
    """
    system_length = (disk_size - FREE_BEHIND - SYSTEM_START) // MIB * MIB
    if disk_size % SECTOR or used_bytes > system_length * SHARE_FOR_FILES:
        least = (SYSTEM_START + FREE_BEHIND + int(used_bytes / SHARE_FOR_FILES)) // MIB + 1
        raise ConfigError(f"{used_bytes // MIB} MiB of files need a disk of whole sectors with at least {least} MiB")
    for tool, package in TOOLS.items():
        if find_tool(tool) is None:
            raise RefusedError(f"the sample disk needs {tool}: apt install {package}, or give an image of your own")
    try:
        with tempfile.TemporaryDirectory(prefix=".sample-disk-", dir=path.parent) as folder:
            disk = Path(folder, "disk")
            with disk.open("wb") as file:
                file.truncate(disk_size)
            _partition(disk, system_length)
            _fill_efi_partition(disk, Path(folder))
            _fill_system_partition(disk, system_length, Path(folder, "files"), used_bytes)
            disk.replace(path)
    except OSError as error:
        raise RefusedError(f"{path}: the sample disk cannot be written: {error.strerror or error}") from None


def _partition(disk: Path, system_length: int) -> None:
    table = (
        "label: gpt\n"
        f"start={EFI_START // SECTOR}, size={EFI_LENGTH // SECTOR}, type=U, name=EFI\n"
        f"start={SYSTEM_START // SECTOR}, size={system_length // SECTOR}, type=L, name=system\n"
    )
    _run("sfdisk", "--quiet", "--no-reread", "--no-tell-kernel", str(disk), stdin=table)


def _fill_efi_partition(disk: Path, folder: Path) -> None:
    first = str(EFI_START // SECTOR)
    # One sector per cluster: with more, so small a file system has too few clusters to be FAT32, and mtools refuses it.
    geometry = ("-F", "32", "-s", "1", "-h", first, "--offset", first)
    _run("mkfs.vfat", *geometry, "-n", "EFI", str(disk), str(EFI_LENGTH // 1024))
    readme = folder / "README.TXT"
    readme.write_text("A sample disk of slatecast: it holds files to cast, and boots nothing.\r\n")
    _run("mcopy", "-i", f"{disk}@@{EFI_START}", str(readme), "::/")


def _fill_system_partition(disk: Path, length: int, files: Path, used_bytes: int) -> None:
    for source in SOURCES:
        _copy_files(source, files, used_bytes // len(SOURCES))
    layout = f"offset={SYSTEM_START},root_owner=0:0"
    _run("mkfs.ext4", "-q", "-F", "-L", "system", "-E", layout, "-d", str(files), str(disk), f"{length // 1024}k")


def _copy_files(source: Path, files: Path, budget: int) -> None:
    """Copy files of ``source`` in the order of their names until ``budget`` bytes are all but used up."""
    for path, length in _regular_files(source):
        allocated = -(-length // ALLOCATION_UNIT) * ALLOCATION_UNIT
        if allocated > budget:
            if budget < MIB:
                return
            continue
        target = files / path.relative_to("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        with suppress(PermissionError, FileNotFoundError):
            shutil.copyfile(path, target)
            budget -= allocated


def _regular_files(folder: Path) -> Iterator[tuple[Path, int]]:
    """Each file below ``folder`` with its length in bytes; what cannot be looked at is left out."""
    for parent, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            path = Path(parent, name)
            try:
                status = path.lstat()
            except OSError:
                continue
            if stat.S_ISREG(status.st_mode):
                yield path, status.st_size


def _run(tool: str, *arguments: str, stdin: str = "") -> None:
    ended = subprocess.run(
        [find_tool(tool) or tool, *arguments],
        check=False,
        input=stdin,
        capture_output=True,
        text=True,
        errors="replace",
        env=tool_environment(),
    )
    if ended.returncode != 0:
        raise RefusedError(f"the sample disk cannot be built: {tool}: {last_line(ended.stderr)}")
