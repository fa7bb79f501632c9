import subprocess
import sys
from pathlib import Path

import pytest

from protocol.disk.mounts import MOUNTABLE, ROOT_SUBVOLUMES, mounted
from protocol.disk.private_mounts import Check, in_private_mounts
from protocol.disk.system_tools import loop_device
from protocol.errors import RefusedError
from tests.broadcaster.library.disks import MIB, needs, needs_root, run, sparse_file
from tests.receiver.loop_device import wait_until_free

pytestmark = pytest.mark.system


def test_every_file_system_that_images_know_free_space_of_can_be_looked_into() -> None:
    assert set(MOUNTABLE) >= {"ext2", "ext3", "ext4", "xfs", "btrfs", "ntfs", "vfat", "exfat"}


def options_of(disk: Path, filesystem: str, *, is_writable: bool = False) -> set[str]:
    """How the kernel says that it has mounted it."""

    def work(_check: Check) -> set[str]:
        with (
            loop_device(disk, 0, disk.stat().st_size, is_writable=is_writable) as device,
            mounted(device, filesystem, is_writable=is_writable) as folder,
        ):
            return set(run("findmnt", "--noheadings", "--output", "OPTIONS", str(folder)).strip().split(","))

    return in_private_mounts(work)


@needs_root
@pytest.mark.parametrize("filesystem", ["ext2", "ext4", "xfs", "btrfs"])
def test_it_is_read_as_it_is_and_does_no_harm(tmp_path: Path, filesystem: str) -> None:
    sizes = {"btrfs": 130, "xfs": 300}
    disk = sparse_file(tmp_path / "disk", sizes.get(filesystem, 8) * MIB)
    run(f"mkfs.{filesystem}", "-q", str(disk))
    before = disk.read_bytes()
    assert {"ro", "nodev", "nosuid", "noexec"} <= options_of(disk, filesystem)
    assert disk.read_bytes() == before
    assert {"rw", "nodev", "nosuid", "noexec"} <= options_of(disk, filesystem, is_writable=True)


@needs_root
def test_of_btrfs_the_volume_that_holds_all_others_is_shown(tmp_path: Path) -> None:
    disk = sparse_file(tmp_path / "disk", 130 * MIB)
    run("mkfs.btrfs", "-q", str(disk))

    def make(_check: Check) -> None:
        with (
            loop_device(disk, 0, 130 * MIB, is_writable=True) as device,
            mounted(device, "btrfs", is_writable=True) as top,
        ):
            run("btrfs", "subvolume", "create", str(top / "@"))
            run("btrfs", "subvolume", "set-default", str(top / "@"))

    def look(_check: Check) -> list[str]:
        with loop_device(disk, 0, 130 * MIB) as device, mounted(device, "btrfs") as top:
            return [path.name for path in top.iterdir()]

    in_private_mounts(make)
    assert in_private_mounts(look) == ["@"]
    assert {"", "@", "@rootfs", "root"} <= set(ROOT_SUBVOLUMES)


@needs_root
@pytest.mark.parametrize("filesystem", ["ext4", "ntfs"])
def test_what_is_no_such_file_system_is_refused_in_one_line(tmp_path: Path, filesystem: str) -> None:
    disk = sparse_file(tmp_path / "disk", 8 * MIB)
    with pytest.raises(RefusedError, match=f"the {filesystem} cannot be mounted: ") as caught:
        options_of(disk, filesystem)
    assert "\n" not in str(caught.value)


KILLED = """
import sys
from pathlib import Path
from protocol.disk.mounts import mounted
from protocol.disk.private_mounts import in_private_mounts
from protocol.disk.system_tools import loop_device

def work(check):
    path = Path(sys.argv[1])
    with loop_device(path, 0, path.stat().st_size) as device, mounted(device, sys.argv[2]):
        print(device, flush=True)
        sys.stdin.read()

in_private_mounts(work)
"""


@needs_root
@needs("mkntfs", "ntfs-3g")
@pytest.mark.parametrize("filesystem", ["ext4", "ntfs"])
def test_killed_it_leaves_no_mount_no_device_and_no_program(tmp_path: Path, filesystem: str) -> None:
    disk = sparse_file(tmp_path / "disk", 8 * MIB)
    run("mkfs.ext4", "-q", str(disk)) if filesystem == "ext4" else run("mkntfs", "--quick", "--force", str(disk))
    command = [sys.executable, "-c", KILLED, str(disk), filesystem]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        device = process.stdout.readline().strip()
        assert run("losetup", "--associated", str(disk)).startswith(device)
        process.kill()
    wait_until_free(disk)
    assert str(device) not in run("findmnt", "--noheadings", "--output", "SOURCE")
