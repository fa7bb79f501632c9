from pathlib import Path

import pytest

from broadcaster.library.shrink_tools import TOOLS
from protocol.disk.system_tools import loop_device
from protocol.disk_fit import SHRINKABLE
from protocol.errors import RefusedError
from tests.broadcaster.library.disks import MIB, needs, needs_root, run, sparse_file

SIZE = 64 * MIB


def test_every_file_system_that_is_said_to_shrink_has_its_tool() -> None:
    assert set(TOOLS) == set(SHRINKABLE)


@needs_root
@needs("mkntfs", "ntfs-3g")
@pytest.mark.system
@pytest.mark.parametrize(
    ("filesystem", "maker"), [("ext4", ("mkfs.ext4", "-q", "-F")), ("ntfs", ("mkntfs", "-q", "-F", "-f"))]
)
def test_as_small_as_it_says_itself_and_sound(tmp_path: Path, filesystem: str, maker: tuple[str, ...]) -> None:
    disk = sparse_file(tmp_path / "disk", SIZE)
    tool = TOOLS[filesystem]
    with loop_device(disk, 0, SIZE, is_writable=True) as device:
        run(*maker, str(device))
        tool.check(device)
        least = -(-tool.least_length(device) // MIB) * MIB
        assert 0 < least < SIZE // 2
        tool.shrink(device, least)
    with loop_device(disk, 0, least, is_writable=True) as device:
        tool.finish(device)
        tool.check(device)


@needs_root
@needs("mkntfs", "ntfs-3g")
@needs("btrfs", "btrfs-progs")
@pytest.mark.system
@pytest.mark.parametrize("filesystem", ["ext4", "ntfs", "btrfs"])
def test_what_is_damaged_is_refused_in_one_line(tmp_path: Path, filesystem: str) -> None:
    disk = sparse_file(tmp_path / "disk", SIZE)
    with (
        loop_device(disk, 0, SIZE, is_writable=True) as device,
        pytest.raises(RefusedError) as caught,
    ):
        TOOLS[filesystem].check(device)
    assert "\n" not in str(caught.value)
