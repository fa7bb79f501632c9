from pathlib import Path

import pytest

from protocol.errors import DiskError, RefusedError
from receiver.configure.running import Stopping
from receiver.configure.target_disk import TargetDisk
from tests.receiver.configure.written_disk import MIB, WrittenDisk, disk_of, linux_tree, real_disk, run

pytestmark = real_disk


def devices_of(path: Path) -> str:
    return run("losetup", "--associated", str(path))


def test_partitions_of_a_file_and_nothing_left_behind(linux: WrittenDisk) -> None:
    with linux.opened() as disk:
        (partition,) = disk.table().partitions
        assert partition.filesystem == "ext4"
        assert Path(partition.node).is_block_device()
        with disk.mounted(partition) as folder:
            options = run("findmnt", "--noheadings", "--output", "OPTIONS", str(folder))
            assert {"nodev", "nosuid", "noexec", "rw"} <= set(options.strip().split(","))
    assert not folder.exists()
    assert devices_of(linux.path) == ""


def test_partitions_whose_numbers_have_gaps(tmp_path: Path) -> None:
    script = "label: gpt\n/x1: start=20480,size=2048\n/x14: start=2048,size=2048\n/x15: start=8192,size=2048\n"
    disk = disk_of(tmp_path / "disk.img", 16, script, {})
    with disk.opened() as target:
        assert [each.number for each in target.table().partitions] == [14, 15, 1]
        assert all(Path(each.node).is_block_device() for each in target.table().partitions)


def test_the_root_of_a_linux(linux: WrittenDisk) -> None:
    with linux.opened() as disk:
        with disk.linux_root() as root:
            assert root.has("etc/os-release")
        assert not disk.has_windows()
        with pytest.raises(RefusedError, match="holds a Windows"), disk.windows_root():
            pass


@pytest.mark.parametrize("subvolume", ["", "@"])
def test_the_root_of_a_linux_on_btrfs(tmp_path: Path, subvolume: str) -> None:
    disk = disk_of(tmp_path / "disk.img", 130, "label: gpt\nstart=2048\n", {1: "btrfs"})
    with disk.mounted() as folder:
        if subvolume:
            run("btrfs", "subvolume", "create", str(folder / subvolume))
        (folder / subvolume / "etc").mkdir()
        (folder / subvolume / "etc/os-release").write_text("ID=suse\n")
    with disk.opened() as target, target.linux_root() as root:
        assert root.read("etc/os-release") == b"ID=suse\n"


def test_the_root_of_a_windows_is_found_whatever_the_case(windows: WrittenDisk) -> None:
    with windows.opened() as disk:
        with disk.windows_root() as root:
            root.write("windows/panther/x", b"1")
        assert disk.has_windows()
        with pytest.raises(RefusedError, match="holds a Linux"), disk.linux_root():
            pass
    with windows.mounted() as folder:
        assert (folder / "WINDOWS/panther/x").read_bytes() == b"1"


def test_a_hibernated_windows_is_not_written_to(windows: WrittenDisk) -> None:
    with windows.mounted() as folder:
        (folder / "hiberfil.sys").write_bytes(b"hibr" + bytes(4092))
    with windows.opened() as disk:
        with pytest.raises(DiskError, match="hibernated"), disk.windows_root():
            pass
        assert disk.has_windows()
    assert devices_of(windows.path) == ""


def test_a_damaged_file_system_is_told_and_left(tmp_path: Path) -> None:
    disk = disk_of(tmp_path / "disk.img", 34, "label: gpt\nstart=2048,size=65536\n", {1: "ext4"}, None)
    with disk.path.open("r+b") as file:
        file.seek(MIB + 4096)
        file.write(bytes(16384))  # the group descriptors
    with disk.opened() as target, pytest.raises(DiskError, match="mount failed"), target.linux_root():
        pass
    assert devices_of(disk.path) == ""


def test_a_folder_that_is_in_use_is_let_go_and_told(linux: WrittenDisk) -> None:
    with linux.opened() as disk:
        (partition,) = disk.table().partitions
        with pytest.raises(DiskError, match="unmounting"), disk.mounted(partition) as folder:
            holder = (folder / "etc/hostname").open("rb")
        holder.close()


def test_steps_that_are_stopped_leave_nothing_mounted(linux: WrittenDisk) -> None:
    stopping = Stopping()
    with TargetDisk.opened(str(linux.path), stopping) as disk, disk.linux_root() as root:
        folder = root.folder
        stopping.stop()
    assert not folder.exists()
    assert devices_of(linux.path) == ""


def test_a_linux_tree_is_what_the_steps_look_for(tmp_path: Path) -> None:
    assert (linux_tree(tmp_path) / "etc/os-release").is_file()
