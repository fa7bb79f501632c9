"""Small disks with real file systems in them, as a reference machine has them."""

import os
import random
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from protocol.disk.source import Source, open_source
from protocol.disk.system_tools import find_tool
from tests.receiver.loop_device import mounted, sparse_file

MIB = 1 << 20


def needs(tool: str, package: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(find_tool(tool) is None, reason=f"needs {tool}: apt install {package}")


def run(*command: str | Path, **options: object) -> None:
    path = find_tool(str(command[0]))
    assert path is not None, f"{command[0]} is not installed"
    subprocess.run([path, *map(str, command[1:])], check=True, capture_output=True, **options)  # type: ignore[call-overload]  # options of subprocess.run


def noise(length: int, seed: int = 1) -> bytes:
    """Bytes that do not compress, the same for a seed."""
    return random.Random(seed).randbytes(length)


def ext4_file(path: Path, size: int = 32 * MIB) -> Path:
    run("mkfs.ext4", "-q", "-b", "4096", "-O", "^has_journal", sparse_file(path, size))
    return path


@contextmanager
def opened(image: Path, scratch: Path) -> Iterator[Source]:
    with open_source(image, scratch, lambda _what, _done, _total: None) as source:
        yield source


@contextmanager
def filled(image: Path, folder: Path, *options: str) -> Iterator[Path]:
    """The file system in ``image``, mounted to be written to; what is written is on disk afterwards."""
    with mounted(str(image), folder, "-o", ",".join(("loop", *options))) as root:
        yield root
    folder.rmdir()


def put(root: Path, path: str, content: bytes | str) -> Path:
    place = root / path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content.encode() if isinstance(content, str) else content)
    return place


def swap_file(root: Path, path: str, content: bytes) -> None:
    """A swap file that holds ``content`` behind its header."""
    place = put(root, path, bytes(65536) + content)
    place.chmod(0o600)
    run("mkswap", place)
    with place.open("r+b") as file:
        file.seek(65536)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def ntfs_file(path: Path, files: dict[str, bytes], scratch: Path, size: int = 32 * MIB) -> Path:
    """An NTFS with these files, folders and all, put there without mounting it."""
    run("mkntfs", "--quick", "--force", sparse_file(path, size))
    folder = scratch / "ntfs"
    folder.mkdir()
    run("ntfs-3g", path, folder)
    try:
        for name, content in files.items():
            put(folder, name, content)
    finally:
        run("umount", folder)
        folder.rmdir()
    return path


def partitioned(path: Path, parts: list[tuple[Path, str]]) -> Path:
    """A GPT disk of these file systems, each with the type that sfdisk knows by that letter or GUID."""
    sizes = [part.stat().st_size for part, _ in parts]
    sparse_file(path, sum(sizes) + 2 * MIB)
    script = "label: gpt\n" + "".join(
        f"size={size // 512}, type={kind}\n" for size, (_, kind) in zip(sizes, parts, strict=True)
    )
    run("sfdisk", "--quiet", path, input=script.encode())
    offset = MIB
    with path.open("r+b") as disk:
        for size, (part, _) in zip(sizes, parts, strict=True):
            disk.seek(offset)
            with part.open("rb") as source:
                while block := source.read(MIB):
                    if block.strip(b"\0"):
                        disk.write(block)
                    else:
                        disk.seek(len(block), os.SEEK_CUR)
            offset += size
    return path
