from collections.abc import Iterator
from pathlib import Path

import pytest

from protocol.errors import DiskError
from receiver.configure.esp import EfiPartition
from tests.receiver.configure.written_disk import WrittenDisk, disk_of, real_disk, run

pytestmark = real_disk


@pytest.fixture
def esp(tmp_path: Path) -> Iterator[EfiPartition]:
    disk = disk_of(tmp_path / "disk.img", 8, "label: gpt\nstart=2048,size=8192,type=U\n", {1: "vfat"})
    (tmp_path / "loader").write_bytes(b"loader")
    with disk.opened() as target:
        table = target.table()
        node = table.partitions[0].node
        run("mmd", "-i", node, "::/EFI", "::/EFI/debian")
        run("mcopy", "-i", node, str(tmp_path / "loader"), "::/EFI/debian/shimx64.efi")
        found = EfiPartition.of(target, table)
        assert found is not None
        yield found


def test_what_lies_in_it_whatever_the_case(esp: EfiPartition) -> None:
    assert esp.names("EFI") == ["debian/"]
    assert esp.names("efi/DEBIAN") == ["shimx64.efi"]
    assert esp.names("EFI/none") == []
    assert esp.has("EFI/Debian/SHIMX64.EFI")
    assert not esp.has("EFI/debian/grubx64.efi")
    assert esp.read("EFI/debian/shimx64.efi") == b"loader"
    assert esp.read("EFI/debian/none") is None


def test_copying_makes_the_folders_and_replaces_what_is_there(esp: EfiPartition) -> None:
    for _ in range(2):
        esp.copy("EFI/debian/shimx64.efi", "EFI/BOOT/BOOTX64.EFI")
    assert esp.read("EFI/BOOT/BOOTX64.EFI") == b"loader"
    assert [name.upper() for name in esp.names("EFI/BOOT")] == ["BOOTX64.EFI"]


def test_what_cannot_be_read_is_not_taken_for_empty(esp: EfiPartition) -> None:
    run("dd", "if=/dev/zero", f"of={esp._image}", "bs=4096", "count=1", "conv=notrunc", "status=none")
    with pytest.raises(DiskError, match="mdir"):
        esp.names("EFI")


def test_what_is_not_there_is_not_copied(esp: EfiPartition) -> None:
    with pytest.raises(DiskError, match="mcopy"):
        esp.copy("EFI/debian/none.efi", "EFI/BOOT/BOOTX64.EFI")


def test_a_disk_without_one(linux: WrittenDisk) -> None:
    with linux.opened() as target:
        assert EfiPartition.of(target, target.table()) is None
