"""Real disks in files, made by the tools that make disks: sfdisk, mkfs, mkswap, qemu-img."""

import os
import random
import shutil
import subprocess
from pathlib import Path

import pytest

from protocol.disk.system_tools import find_tool, need_tool
from protocol.manifest import CHUNK_SIZE

MIB = 1024 * 1024
SECTOR = 512

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="loop devices and mounts take root: sudo make test")


def needs(tool: str, package: str) -> pytest.MarkDecorator:
    """Skip where a tool is missing; the reason says how to get it."""
    return pytest.mark.skipif(find_tool(tool) is None, reason=f"{tool} is not installed: apt install {package}")


def noise(seed: int, length: int) -> bytes:
    """Incompressible bytes, the same ones every time."""
    return random.Random(seed).randbytes(length)


def sparse_file(path: Path, size: int, contents: dict[int, bytes] | None = None) -> Path:
    """A file with holes: ``contents`` by offset, nothing elsewhere."""
    with path.open("wb") as file:
        file.truncate(size)
        for offset, data in (contents or {}).items():
            file.seek(offset)
            file.write(data)
    return path


def partition_disk(path: Path, script: str) -> None:
    """Write a partition table in sfdisk's language; offsets and sizes as there."""
    subprocess.run([need_tool("sfdisk"), "--quiet", str(path)], input=script, text=True, check=True)


def run(tool: str, *arguments: str) -> str:
    """Run a tool that must succeed; returns what it printed."""
    ran = subprocess.run([need_tool(tool), *arguments], check=True, capture_output=True, text=True)
    return ran.stdout


def run_mounted(file_system: Path, mode: str, script: str) -> None:
    """Run a shell script in the root folder of a mounted file system, then unmount it. Needs root.

    The mount lives in a namespace of its own: no other process can keep it alive, and it never outlives the script.
    """
    mount_point = file_system.parent / "mount"
    mount_point.mkdir(exist_ok=True)
    whole = f'mount -o "loop,$1" "$2" "$3"; (cd "$3"; {script}); umount "$3"'
    run("unshare", "--mount", "sh", "-euc", whole, "sh", mode, str(file_system), str(mount_point))


def sample_folder(path: Path) -> Path:
    """A folder with a few files of known contents, half a MiB together."""
    path.mkdir()
    (path / "noise").write_bytes(noise(1, 400_000))
    (path / "text").write_text("slatecast\n" * 10_000)
    return path


def put_ext4(disk: Path, offset: int, length: int, folder: Path) -> None:
    """Make an ext4 with the contents of ``folder`` at ``offset`` of a disk file, leaving old bytes where it is free."""
    options = f"offset={offset},nodiscard,lazy_itable_init=1"
    run("mkfs.ext4", "-q", "-F", "-d", str(folder), "-E", options, str(disk), f"{length // 1024}k")


def put_file_system(disk: Path, offset: int, file_system: Path) -> None:
    """Copy a file system that was made in a file of its own into its place on a disk."""
    with disk.open("r+b") as target:
        target.seek(offset)
        target.write(file_system.read_bytes())


OLD_BYTES_AT = 43 * MIB
OLD_BYTES = noise(2, 5 * MIB)
"""What was on ``gpt_disk`` before its ext4 was made, and lies in its free space now."""


def gpt_disk(folder: Path) -> Path:
    """GPT with an EFI partition (FAT) and an ext4 with OLD_BYTES in its free space."""
    disk = sparse_file(folder / "gpt.img", 64 * MIB)
    partition_disk(disk, "label: gpt\nstart=2048, size=16MiB, type=uefi\nsize=32MiB, type=linux\n")
    fat = sparse_file(folder / "efi.fat", 16 * MIB)
    run("mkfs.vfat", "-n", "EFI", str(fat))
    run("mcopy", "-i", str(fat), str(sample_folder(folder / "files") / "noise"), "::BOOT")
    put_file_system(disk, MIB, fat)
    with disk.open("r+b") as file:
        file.seek(OLD_BYTES_AT)
        file.write(OLD_BYTES)
    put_ext4(disk, 17 * MIB, 32 * MIB, folder / "files")
    shutil.rmtree(folder / "files")
    fat.unlink()
    return disk


def chunks_of(path: Path) -> list[bytes]:
    """A disk file cut into chunks."""
    data = path.read_bytes()
    return [data[at : at + CHUNK_SIZE] for at in range(0, len(data), CHUNK_SIZE)]


def tree(root: Path) -> dict[str, bytes]:
    """Every file and folder under ``root`` with its contents, to see whether anything at all has changed."""
    return {
        str(path.relative_to(root)): path.read_bytes() if path.is_file() else b""
        for path in root.rglob("*")
        if path.name != "write.lock"
    }
