import os
from pathlib import Path

import pytest

from protocol.disk.partitions import PartitionTable, read_partition_table
from protocol.disk.source import open_source
from protocol.errors import SourceError
from tests.broadcaster.library.disks import MIB, gpt_disk, needs, needs_root, partition_disk, put_ext4, run, sparse_file

pytestmark = [pytest.mark.system, needs("sfdisk", "fdisk"), needs("mkfs.vfat", "dosfstools"), needs("mcopy", "mtools")]


def read(disk: Path) -> PartitionTable:
    with open_source(disk, disk.parent, lambda _what, _done, _total: None) as source:
        return read_partition_table(source)


def test_gpt_with_file_systems(tmp_path: Path) -> None:
    table = read(gpt_disk(tmp_path))
    efi, root = table.partitions
    assert (table.kind, table.overlapping) == ("gpt", False)
    assert (efi.number, efi.offset, efi.length, efi.filesystem, efi.label) == (1, MIB, 16 * MIB, "vfat", "EFI")
    assert (root.number, root.offset, root.length, root.filesystem) == (2, 17 * MIB, 32 * MIB, "ext4")
    assert efi.type == "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"


def test_mbr_with_logical_partitions_leaves_the_extended_one_out(tmp_path: Path) -> None:
    disk = sparse_file(tmp_path / "disk1", 64 * MIB)
    primary = "1: size=8MiB, type=c\n2: size=40MiB, type=5\n3: start=56MiB, type=83\n"
    partition_disk(disk, f"label: dos\n{primary}5: start=10MiB, size=8MiB, type=83\n")
    table = read(disk)
    assert (table.kind, table.overlapping) == ("dos", False)
    assert [partition.number for partition in table.partitions] == [1, 5, 3]
    assert [partition.type for partition in table.partitions] == ["c", "83", "83"]


@pytest.mark.parametrize("tool", ["mkfs.vfat", "mkfs.ext4"])
def test_a_bare_file_system_is_one_partition(tmp_path: Path, tool: str) -> None:
    disk = sparse_file(tmp_path / "disk.img", 16 * MIB)
    run(tool, str(disk))
    table = read(disk)
    whole = table.partitions[0]
    assert (table.kind, len(table.partitions)) == ("none", 1)
    assert (whole.number, whole.offset, whole.length) == (0, 0, 16 * MIB)
    assert whole.filesystem == tool.removeprefix("mkfs.")


def test_neither_table_nor_file_system(tmp_path: Path) -> None:
    table = read(sparse_file(tmp_path / "disk.img", MIB, {0: b"nothing that anybody knows"}))
    assert (table.kind, table.partitions[0].filesystem) == ("none", "")


@pytest.mark.parametrize("kept", [63 * MIB, 30 * MIB, MIB])
@pytest.mark.parametrize("label", ["gpt", "dos"])
def test_a_disk_that_was_cut_short_is_refused(tmp_path: Path, label: str, kept: int) -> None:
    disk = sparse_file(tmp_path / "disk.img", 64 * MIB)
    partition_disk(disk, f"label: {label}\nsize=16MiB\n,\n")
    os.truncate(disk, kept)
    with pytest.raises(SourceError, match="cut short"):
        read(disk)


def test_a_gpt_disk_that_lost_only_its_free_end_is_refused_too(tmp_path: Path) -> None:
    disk = sparse_file(tmp_path / "disk.img", 64 * MIB)
    partition_disk(disk, "label: gpt\nsize=16MiB\n")
    os.truncate(disk, 48 * MIB)
    with pytest.raises(SourceError, match="cut short"):
        read(disk)


def test_an_old_file_system_under_the_table_makes_everything_doubtful(tmp_path: Path) -> None:
    disk = sparse_file(tmp_path / "disk.img", 64 * MIB)
    run("mkfs.ext4", "-q", "-F", str(disk))
    table_only = sparse_file(tmp_path / "table.img", 64 * MIB)
    partition_disk(table_only, "label: dos\nsize=16MiB\n")
    with disk.open("r+b") as file:
        file.write(table_only.read_bytes()[:512])
    assert read(disk).overlapping


@needs_root
@pytest.mark.system
def test_sectors_of_4096_bytes(tmp_path: Path) -> None:
    disk = sparse_file(tmp_path / "disk.img", 64 * MIB)
    device = run("losetup", "--find", "--show", "--sector-size", "4096", str(disk)).strip()
    try:
        partition_disk(Path(device), "label: gpt\nstart=256, size=8192\n")
    finally:
        run("losetup", "--detach", device)
    (tmp_path / "files").mkdir()
    put_ext4(disk, MIB, 32 * MIB, tmp_path / "files")
    partition = read(disk).partitions[0]
    assert (partition.offset, partition.length, partition.filesystem) == (MIB, 32 * MIB, "ext4")
