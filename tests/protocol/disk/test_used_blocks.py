import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from protocol.disk.partitions import Partition, read_partition_table
from protocol.disk.source import open_source
from protocol.disk.system_tools import need_tool
from protocol.disk.used_blocks import UsedBlocks, find_used_blocks, parse_domain_map
from protocol.errors import SourceError
from tests.broadcaster.library.disks import (
    MIB,
    gpt_disk,
    needs,
    needs_root,
    noise,
    partition_disk,
    put_ext4,
    put_file_system,
    run,
    run_mounted,
    sample_folder,
    sparse_file,
)

DOMAIN_MAP = """\
# Domain logfile created by unset_name v0.3.23
# Source: e.img
# current_pos  current_status
0x00800000     ?
#      pos        size  status
0x00000000  0x00100000  +
0x00100000  0x00200000  ?
0x00300000  0x00080000  +
0x00380000  0x00480000  ?
"""


def find(disk: Path) -> list[tuple[Partition, UsedBlocks]]:
    with open_source(disk, disk.parent, lambda _what, _done, _total: None) as source:
        table = read_partition_table(source)
        return [(partition, find_used_blocks(source, partition, disk.parent)) for partition in table.partitions]


def test_reads_a_domain_map() -> None:
    half = MIB // 2
    assert list(parse_domain_map(DOMAIN_MAP.splitlines())) == [
        (0, MIB, False),
        (MIB, 3 * MIB, True),
        (3 * MIB, 3 * MIB + half, False),
        (3 * MIB + half, 8 * MIB, True),
    ]
    assert list(parse_domain_map([])) == []
    with pytest.raises(ValueError, match="invalid literal"):
        list(parse_domain_map(["this is nothing"]))


@pytest.mark.system
def test_unknown_file_systems_are_kept_whole(tmp_path: Path) -> None:
    ((partition, used),) = find(sparse_file(tmp_path / "disk.img", MIB, {0: noise(1, 4096)}))
    assert used.method == "all non-zero chunks (no known file system)"
    assert used.used_bytes(partition) == MIB


@pytest.mark.system
def test_swap_keeps_its_header_only(tmp_path: Path) -> None:
    disk = sparse_file(tmp_path / "disk.img", 4 * MIB)
    disk.chmod(0o600)
    run("mkswap", str(disk))
    ((_, used),) = find(disk)
    assert used.method == "swap header"
    assert list(used.free.ranges()) == [(65536, 4 * MIB)]


@pytest.mark.system
def test_without_partclone_everything_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = sparse_file(tmp_path / "disk.img", 8 * MIB)
    run("mkfs.ext4", "-q", "-F", str(disk))
    monkeypatch.setattr("protocol.disk.used_blocks.find_tool", lambda _name: None)
    ((_, used),) = find(disk)
    assert used.method == "all non-zero chunks (partclone.extfs is not installed: apt install partclone)"
    assert len(used.free) == 0


@pytest.mark.system
@needs("partclone.extfs", "partclone")
def test_ordinary_users_ask_bare_file_systems_but_not_partitions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    bare = sparse_file(tmp_path / "bare.img", 8 * MIB)
    run("mkfs.ext4", "-q", "-F", str(bare))
    ((_, used),) = find(bare)
    assert used.method == "partclone.extfs"
    assert all("takes root" in used.method for _, used in find(gpt_disk(tmp_path)))


@pytest.mark.system
@needs("partclone.extfs", "partclone")
def test_a_bare_file_system_that_was_cut_short_is_refused(tmp_path: Path) -> None:
    disk = sparse_file(tmp_path / "disk.img", 8 * MIB)
    run("mkfs.ext4", "-q", "-F", str(disk))
    os.truncate(disk, 4 * MIB)
    with pytest.raises(SourceError, match="cut short: its file system is 4194304 bytes longer"):
        find(disk)


@pytest.mark.system
@needs_root
@needs("partclone.extfs", "partclone")
def test_a_file_system_longer_than_its_partition_is_kept_whole(tmp_path: Path) -> None:
    disk = sparse_file(tmp_path / "disk.img", 32 * MIB)
    partition_disk(disk, "label: gpt\nstart=2048, size=8MiB\n")
    put_ext4(disk, MIB, 16 * MIB, sample_folder(tmp_path / "files"))
    ((_, used),) = find(disk)
    assert used.method == "all non-zero chunks (the file system is longer than its partition)"
    assert len(used.free) == 0


def _fill_fat(path: Path, files: Path) -> None:
    run("mkfs.vfat", str(path))
    run("mcopy", "-i", str(path), *(str(file) for file in sorted(files.iterdir())), "::")


def _fill_ntfs(path: Path, files: Path) -> None:
    run("mkntfs", "--quick", "--force", str(path))
    for file in sorted(files.iterdir()):
        run("ntfscp", "-f", str(path), str(file), file.name)


def _fill_mounted(*make: str) -> Callable[[Path, Path], None]:
    def fill(path: Path, files: Path) -> None:
        run(*make, str(path))
        run_mounted(path, "rw", f"cp {files}/* .")

    return fill


def _read_fat(path: Path, name: str) -> bytes:
    run("mcopy", "-i", str(path), f"::{name}", str(path.parent))
    return (path.parent / name).read_bytes()


def _read_ntfs(path: Path, name: str) -> bytes:
    return subprocess.run([need_tool("ntfscat"), path, name], check=True, capture_output=True).stdout


def _read_mounted(path: Path, name: str) -> bytes:
    run_mounted(path, "ro", f"cp {name} {path.parent}/")
    return (path.parent / name).read_bytes()


@pytest.mark.system
@pytest.mark.slow
@needs_root
@needs("partclone.extfs", "partclone")
@pytest.mark.parametrize(
    ("partclone", "length", "fill", "read"),
    [
        pytest.param(
            "extfs", 32, _fill_mounted("mkfs.ext4", "-q", "-E", "nodiscard"), _read_mounted,
            marks=needs("mkfs.ext4", "e2fsprogs"),
        ),
        pytest.param(
            "vfat", 32, _fill_fat, _read_fat, marks=[needs("mkfs.vfat", "dosfstools"), needs("mcopy", "mtools")]
        ),
        pytest.param("ntfs", 32, _fill_ntfs, _read_ntfs, marks=needs("mkntfs", "ntfs-3g")),
        pytest.param("xfs", 320, _fill_mounted("mkfs.xfs", "-qK"), _read_mounted, marks=needs("mkfs.xfs", "xfsprogs")),
        pytest.param(
            "btrfs", 128, _fill_mounted("mkfs.btrfs", "-qK"), _read_mounted, marks=needs("mkfs.btrfs", "btrfs-progs")
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_free_space_is_free_and_files_are_not(
    tmp_path: Path,
    partclone: str,
    length: int,
    fill: Callable[[Path, Path], None],
    read: Callable[[Path, str], bytes],
) -> None:
    """Blanks all that is called free: what was deleted is gone, and the file system still holds its files."""
    files = sample_folder(tmp_path / "files")
    junk_at = length * 7 // 8 * MIB
    file_system = sparse_file(tmp_path / "fs", length * MIB, {junk_at: noise(9, 2 * MIB)})
    fill(file_system, files)
    disk = sparse_file(tmp_path / "disk.img", (length + 4) * MIB)
    partition_disk(disk, f"label: gpt\nstart=2048, size={length}MiB\n")
    put_file_system(disk, MIB, file_system)

    ((partition, used),) = find(disk)

    assert used.method == f"partclone.{partclone}"
    assert used.used_bytes(partition) < partition.length // 2
    with file_system.open("r+b") as blanked:
        blanked.seek(junk_at)
        assert noise(9, 2 * MIB)[:4096] in blanked.read(2 * MIB)
        for start, stop in used.free.ranges():
            blanked.seek(start - MIB)
            blanked.write(bytes(stop - start))
        assert blanked.tell() <= length * MIB
        blanked.seek(junk_at)
        assert not any(blanked.read(2 * MIB))
    for file in files.iterdir():
        assert read(file_system, file.name) == file.read_bytes()
