"""What a look at a disk finds that may not be written; the device here cannot be."""

import random
from pathlib import Path

import pytest

from protocol.errors import DiskError, TargetError
from receiver.blockdevice import DiskDevice
from receiver.disk_layout import incomplete_marker
from receiver.preview import preview
from receiver.target import inspect_target
from tests.receiver.loop_device import loop_device, needs_root
from tests.receiver.memory_device import MemoryDevice
from tests.simulator.image import draw_image

IMAGE = draw_image(random.Random(7), 60, 0.5)
SIZE = IMAGE.manifest.header.disk_size


def found(device: MemoryDevice | DiskDevice) -> tuple[list[int], list[tuple[int, int]]]:
    """The blocks that it tells, and how far it said that it was."""
    sbns: list[int] = []
    told: list[tuple[int, int]] = []
    preview(device, IMAGE.manifest, sbns.extend, lambda done, total: told.append((done, total)), lambda: False)
    return sorted(sbns), told


def test_a_disk_that_is_the_image_lacks_nothing_and_is_not_touched() -> None:
    device = MemoryDevice(SIZE, content=IMAGE.disk)
    sbns, told = found(device)
    assert sbns == list(range(len(IMAGE.manifest)))
    assert told[-1][0] == told[-1][1] > 0
    assert device.operations == 0
    assert device.platter() == IMAGE.disk


def test_what_has_changed_is_missing() -> None:
    changed = (0, 5, len(IMAGE.manifest) - 1)
    device = MemoryDevice(SIZE, content=IMAGE.disk)
    for sbn in changed:
        device.corrupt(IMAGE.manifest[sbn].offset)
    assert found(device)[0] == [sbn for sbn in range(len(IMAGE.manifest)) if sbn not in changed]
    assert device.operations == 0


def test_a_foreign_disk_is_not_worth_a_scan() -> None:
    device = MemoryDevice(SIZE, content=b"\xff" * SIZE)
    assert found(device) == ([], [(0, 0)])


def test_a_disk_with_the_marker_of_this_image_is_searched_whole() -> None:
    marker = incomplete_marker(IMAGE.manifest)
    device = MemoryDevice(SIZE, content=marker + b"\xff" * (SIZE - len(marker)))
    assert found(device)[1][-1] != (0, 0)


def test_it_stops_when_it_is_told() -> None:
    sbns: list[int] = []
    device = MemoryDevice(SIZE, content=IMAGE.disk)
    preview(device, IMAGE.manifest, sbns.extend, lambda done, total: None, lambda: True)
    assert sbns == []


def test_a_disk_that_is_too_small_is_refused() -> None:
    with pytest.raises(TargetError, match="too small"):
        found(MemoryDevice(SIZE - 4096))


def test_through_the_descriptor_that_it_gets_nothing_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / "disk"
    path.write_bytes(IMAGE.disk)
    with DiskDevice.open_to_read(path) as device:
        assert found(device)[0] == list(range(len(IMAGE.manifest)))
        with pytest.raises(DiskError, match="Bad file descriptor"):
            device.write_at(0, b"x")
        with pytest.raises(DiskError, match="Bad file descriptor"):
            device.zero_range(0, 4096)
        with pytest.raises(TargetError, match="in use"):
            DiskDevice.open(path)
        DiskDevice.open_to_read(path).close()
    assert path.read_bytes() == IMAGE.disk
    DiskDevice.open(path).close()


def test_a_disk_that_somebody_writes_to_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "disk"
    path.write_bytes(bytes(4096))
    with DiskDevice.open(path), pytest.raises(TargetError, match="in use"):
        DiskDevice.open_to_read(path)


@needs_root
@pytest.mark.system
def test_a_block_device_that_is_looked_at_is_not_in_use(tmp_path: Path) -> None:
    path = tmp_path / "disk"
    path.write_bytes(bytes(1 << 20))
    with loop_device(path) as node:
        with DiskDevice.open_to_read(node):
            assert not inspect_target(node).use
            DiskDevice.open_to_read(node).close()
        with DiskDevice.open(node), pytest.raises(TargetError, match="in use"):
            DiskDevice.open_to_read(node)
