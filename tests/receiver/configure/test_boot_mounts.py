from collections.abc import Callable
from pathlib import Path

import pytest

from protocol.errors import DiskError
from receiver.configure.boot_mounts import boot_mounted
from tests.receiver.configure.written_disk import WrittenDisk, disk_of, make_filesystem, real_disk, run

pytestmark = real_disk

LAYOUT = "label: gpt\nstart=2048,size=8192\nsize=8192\nsize=8192\n"
ROOT, BOOT, EFI = 1, 2, 3


@pytest.fixture
def disk(tmp_path: Path) -> WrittenDisk:
    """Root, boot and EFI partition; all ext2, which every kernel knows."""
    tree = tmp_path / "tree"
    for name in ("etc", "boot/efi", "efi"):
        (tree / name).mkdir(parents=True)
    (tree / "etc/os-release").write_text("ID=debian\n")
    disk = disk_of(tmp_path / "disk.img", 16, LAYOUT, {ROOT: "ext2"}, tree)
    with disk.opened() as target:
        _, boot, efi = target.table().partitions
        make_filesystem("ext2", boot.node, None)
        make_filesystem("ext2", efi.node, None)
        run("e2label", efi.node, "my efi")
    with disk.mounted(BOOT) as folder:
        (folder / "vmlinuz").write_text("kernel")
        (folder / "efi").mkdir()
    with disk.mounted(EFI) as folder:
        (folder / "EFI").mkdir()
    return disk


def tag_of(disk: WrittenDisk, number: int, tag: str) -> str:
    with disk.opened() as target:
        node = target.table().partitions[number - 1].node
        return run("blkid", "--probe", "--output", "value", "--match-tag", tag, node).strip()


def there(disk: WrittenDisk, fstab: str) -> dict[str, set[str]]:
    """What is mounted in the root by this fstab, with the options that the kernel has."""
    with disk.mounted(ROOT) as folder:
        (folder / "etc/fstab").write_text(fstab)
    with disk.opened() as target, target.linux_root() as root:
        with boot_mounted(target, root):
            options = ("--noheadings", "--list", "--output", "TARGET,OPTIONS", "--submounts")
            found = dict(line.split() for line in run("findmnt", *options, str(root.folder)).splitlines())
            has_boot = f"{root.folder}/boot" in found
            assert root.read("boot/vmlinuz") == (b"kernel" if has_boot else None)
        assert root.read("boot/vmlinuz") is None
        return {
            path.removeprefix(str(root.folder)): set(flags.split(","))
            for path, flags in found.items()
            if path != str(root.folder)
        }


@pytest.mark.parametrize(
    "named",
    [
        lambda disk: f"UUID={tag_of(disk, BOOT, 'UUID').upper()}",
        lambda disk: f'UUID="{tag_of(disk, BOOT, "UUID")}"',
        lambda disk: f"/dev/disk/by-uuid/{tag_of(disk, BOOT, 'UUID')}",
        lambda disk: f"PARTUUID={tag_of(disk, BOOT, 'PART_ENTRY_UUID')}",
    ],
)
def test_what_fstab_names_is_there(disk: WrittenDisk, named: Callable[[WrittenDisk], str]) -> None:
    found = there(disk, f"{named(disk)} /boot ext4 suid,dev 0 2\nLABEL=my\\040efi /boot/efi vfat umask=0077 0 1\n")
    assert set(found) == {"/boot", "/boot/efi"}
    assert all({"rw", "nodev", "nosuid"} <= options for options in found.values())


@pytest.mark.parametrize(
    "fstab",
    [
        "",
        "UUID=5e5e5e5e-0000-0000-0000-000000000000 /boot ext4 defaults 0 2\n",
        "/dev/sda2 /boot ext4 defaults 0 2\n",
        "LABEL=my\\040efi /home ext4 defaults 0 2\n",
        "LABEL=my\\040efi /boot/../../../../../../tmp ext4 defaults 0 2\n",
        "/etc /boot none bind 0 0\n",
        "\0\xff /boot",
    ],
)
def test_whatever_else_it_says_is_left_out(disk: WrittenDisk, fstab: str) -> None:
    assert there(disk, fstab) == {}


def test_a_mount_point_that_is_a_link_stays_within_the_root(disk: WrittenDisk, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    with disk.mounted(ROOT) as folder:
        (folder / "efi").rmdir()
        (folder / "efi").symlink_to(outside)
    assert there(disk, "LABEL=my\\040efi /efi vfat defaults 0 1\n") == {}
    with disk.mounted(ROOT) as folder:
        (folder / str(outside).lstrip("/")).mkdir(parents=True)
    assert set(there(disk, "LABEL=my\\040efi /efi vfat defaults 0 1\n")) == {str(outside)}
    assert list(outside.iterdir()) == []


def test_one_that_is_damaged_is_told_before_a_script_writes_beneath_it(disk: WrittenDisk) -> None:
    fstab = f"UUID={tag_of(disk, BOOT, 'UUID')} /boot ext4 defaults 0 2\n"
    with disk.path.open("r+b") as file:
        file.seek(10240 * 512 + 4096)
        file.write(bytes(4096))  # the group descriptors
    with pytest.raises(DiskError, match="boot: mount failed"):
        there(disk, fstab)
