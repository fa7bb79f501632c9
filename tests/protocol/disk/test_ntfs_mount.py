from pathlib import Path

import pytest

from protocol.disk.ntfs_mount import serving_ntfs
from protocol.disk.private_mounts import Check, in_private_mounts
from protocol.disk.system_tools import loop_device
from protocol.errors import RefusedError
from tests.broadcaster.library.disks import MIB, needs, needs_root, run, sparse_file

pytestmark = [pytest.mark.system, needs_root, needs("mkntfs", "ntfs-3g")]


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    path = sparse_file(tmp_path / "disk", 8 * MIB)
    run("mkntfs", "--quick", "--force", str(path))
    return path


def test_it_is_there_while_entered_and_its_program_ends(disk: Path, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()

    def work(_check: Check) -> bool:
        with loop_device(disk, 0, 8 * MIB, is_writable=True) as device:
            with serving_ntfs(device, folder, "rw,nodev"):
                (folder / "file").write_bytes(b"x")
            was_mounted = folder.is_mount()
            with serving_ntfs(device, folder, "ro"):
                assert (folder / "file").read_bytes() == b"x"
            return was_mounted

    assert not in_private_mounts(work)
    assert run("losetup", "--associated", str(disk)) == "", "nothing holds the device"


def test_why_it_cannot_be_mounted_is_the_first_thing_that_is_said(disk: Path, tmp_path: Path) -> None:
    disk.write_bytes(bytes(8 * MIB))
    folder = tmp_path / "folder"
    folder.mkdir()

    def work(_check: Check) -> None:
        with loop_device(disk, 0, 8 * MIB) as device, serving_ntfs(device, folder, "ro"):
            pass

    with pytest.raises(RefusedError, match=r"^the ntfs cannot be mounted: NTFS signature is missing"):
        in_private_mounts(work)
