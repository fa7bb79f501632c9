import os
import threading
from pathlib import Path

import pytest

from broadcaster.library.private_mounts import MOUNTABLE, Check, in_private_mounts, mounted
from protocol.disk.system_tools import loop_device
from protocol.errors import ConfigError, RefusedError
from tests.broadcaster.library.disks import MIB, needs, needs_root, run, sparse_file


def mounts() -> str:
    return Path("/proc/thread-self/mounts").read_text(encoding="utf-8")


@needs_root
def test_nobody_else_sees_what_is_mounted(tmp_path: Path) -> None:
    disk = sparse_file(tmp_path / "disk", 8 * MIB)
    run("mkfs.ext4", "-q", "-F", str(disk))
    before = mounts()

    def work(_check: Check) -> tuple[list[str], str, str]:
        with loop_device(disk, 0, 8 * MIB) as device, mounted(device, "ext4") as folder:
            (line,) = [line for line in mounts().splitlines() if str(folder) in line]
            return (
                [path.name for path in folder.iterdir()],
                line.split()[3],
                Path("/proc/self/mounts").read_text(encoding="utf-8"),
            )

    names, options, seen_by_others = in_private_mounts(work)
    assert names == ["lost+found"]
    assert {"ro", "nodev", "nosuid", "noexec", "norecovery"} <= set(options.split(","))
    assert str(tmp_path) not in seen_by_others
    assert seen_by_others == before == mounts()


@needs_root
def test_what_ends_the_work_ends_its_mounts(tmp_path: Path) -> None:
    disk = sparse_file(tmp_path / "disk", 8 * MIB)
    run("mkfs.ext4", "-q", "-F", str(disk))
    folders: list[Path] = []

    def work(_check: Check) -> None:
        with loop_device(disk, 0, 8 * MIB) as device, mounted(device, "ext4") as folder:
            folders.append(folder)
            raise RefusedError("enough")

    with pytest.raises(RefusedError, match="enough"):
        in_private_mounts(work)
    assert not folders[0].exists()
    assert str(disk) not in run("losetup", "--list")


@needs_root
def test_what_is_no_such_file_system_is_refused_in_one_line(tmp_path: Path) -> None:
    disk = sparse_file(tmp_path / "disk", 8 * MIB)

    def work(_check: Check) -> None:
        with loop_device(disk, 0, 8 * MIB) as device, mounted(device, "ext4"):
            pass

    with pytest.raises(RefusedError, match="the ext4 cannot be mounted: ") as caught:
        in_private_mounts(work)
    assert "\n" not in str(caught.value)


@needs_root
def test_ctrl_c_is_told_to_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    at_work, noticed = threading.Event(), threading.Event()

    def work(check: Check) -> None:
        at_work.set()
        try:
            while True:
                check()
        except RefusedError:
            noticed.set()
            raise

    def interrupted(_future: object) -> None:
        assert at_work.wait(5)
        raise KeyboardInterrupt

    monkeypatch.setattr("concurrent.futures.Future.result", interrupted)
    with pytest.raises(KeyboardInterrupt):
        in_private_mounts(work)
    assert noticed.wait(5)


def test_without_root_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(ConfigError, match="run this as root"):
        in_private_mounts(lambda _check: None)


@needs("mkfs.ext4", "e2fsprogs")
def test_every_file_system_that_images_know_free_space_of_can_be_looked_into() -> None:
    assert set(MOUNTABLE) >= {"ext4", "xfs", "btrfs", "ntfs", "vfat", "exfat"}
