from pathlib import Path

import pytest

from protocol.disk.clean_checks import why_not_clean
from tests.broadcaster.library.disks import MIB, needs, needs_root, noise, run, run_mounted, sparse_file

pytestmark = pytest.mark.system


def make_ext4(path: Path) -> None:
    run("mkfs.ext4", "-q", "-F", str(sparse_file(path, 32 * MIB)))


@needs("dumpe2fs", "e2fsprogs")
@pytest.mark.parametrize("filesystem", ["ext2", "ext4"])
def test_a_clean_ext_is_believed(tmp_path: Path, filesystem: str) -> None:
    run(f"mkfs.{filesystem}", "-q", "-F", str(sparse_file(tmp_path / "fs", 8 * MIB)))
    assert why_not_clean(filesystem, tmp_path / "fs") is None


@needs("debugfs", "e2fsprogs")
@pytest.mark.parametrize("change", ["feature needs_recovery", "set_super_value state 0", "set_super_value state 3"])
def test_a_dirty_ext_is_not(tmp_path: Path, change: str) -> None:
    make_ext4(tmp_path / "fs")
    run("debugfs", "-w", "-R", change, str(tmp_path / "fs"))
    assert "not cleanly unmounted" in str(why_not_clean("ext4", tmp_path / "fs"))


@needs("mkntfs", "ntfs-3g")
def test_a_hibernated_windows_is_not_believed(tmp_path: Path) -> None:
    disk = sparse_file(tmp_path / "fs", 16 * MIB)
    run("mkntfs", "--quick", "--force", str(disk))
    assert why_not_clean("ntfs", disk) is None
    (tmp_path / "hiberfil").write_bytes(b"hibr" + bytes(8188))
    run("ntfscp", "-f", str(disk), str(tmp_path / "hiberfil"), "hiberfil.sys")
    assert "hibernated" in str(why_not_clean("ntfs", disk))


@needs_root
@pytest.mark.slow
@pytest.mark.parametrize(
    ("filesystem", "length", "make"),
    [
        pytest.param("ext4", 32 * MIB, ("mkfs.ext4", "-q", "-F"), marks=needs("dumpe2fs", "e2fsprogs")),
        pytest.param("xfs", 320 * MIB, ("mkfs.xfs", "-q"), marks=needs("xfs_logprint", "xfsprogs")),
        pytest.param("btrfs", 128 * MIB, ("mkfs.btrfs", "-q"), marks=needs("btrfs", "btrfs-progs")),
    ],
)
def test_a_disk_copied_while_mounted_is_not_believed(
    tmp_path: Path, filesystem: str, length: int, make: tuple[str, ...]
) -> None:
    disk = sparse_file(tmp_path / "fs", length)
    run(*make, str(disk))
    (tmp_path / "noise").write_bytes(noise(1, MIB))
    # btrfs puts a sync into its log tree only after a first commit.
    write = f"cat {tmp_path}/noise >> file; sync --file-system .; cat {tmp_path}/noise >> file; sync file"
    run_mounted(disk, "rw", f"{write}; cp --sparse=always {disk} {tmp_path}/copy")
    assert why_not_clean(filesystem, disk) is None
    assert why_not_clean(filesystem, tmp_path / "copy") is not None


def test_fat_has_nothing_to_ask(tmp_path: Path) -> None:
    assert why_not_clean("vfat", tmp_path / "missing") is None


@pytest.mark.parametrize(("filesystem", "package"), [("ext4", "e2fsprogs"), ("xfs", "xfsprogs"), ("ntfs", "ntfs-3g")])
def test_without_the_tool_nothing_is_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, filesystem: str, package: str
) -> None:

    monkeypatch.setattr("protocol.disk.clean_checks.find_tool", lambda _name: None)
    assert f"apt install {package}" in str(why_not_clean(filesystem, tmp_path))
