"""Disks that take a write and keep something else: the read-back finds it, mends it once, and calls a liar damaged."""

import shutil
from pathlib import Path

import pytest

from protocol.manifest import CHUNK_SIZE
from tests.broadcaster.library.disks import MIB
from tests.end_to_end.room import Room, is_bootable, wait_until
from tests.faults.conftest import OpenDisk
from tests.faults.storage_daemon import sound

pytestmark = [pytest.mark.system, pytest.mark.slow]

DAMAGED = 5
EARLY_CHUNK = 1 * MIB
"""Offset of the first chunk behind the edges: it is on the disk long before the read-back."""


@pytest.mark.parametrize("is_loop_device", [False, True], ids=["file", "block device"])
def test_a_byte_that_turns_on_the_medium_is_found_and_mended(
    room: Room, open_disk: OpenDisk, is_loop_device: bool
) -> None:
    source = room.source()
    wanted = source.read_bytes()
    # The byte is turned below the operating system, where only a read past every cache can see it.
    disk = open_disk(room.target("seat"), sound(), is_loop_device=is_loop_device)
    cast = room.cast(source, "--rate", "16M")
    receiver = room.receive(disk.path, cast.door())
    chunk = wanted[EARLY_CHUNK : EARLY_CHUNK + CHUNK_SIZE]
    wait_until(lambda: read(disk.medium, EARLY_CHUNK) == chunk, "the first chunk")
    turned = EARLY_CHUNK + CHUNK_SIZE // 2
    with disk.medium.open("r+b") as medium:
        medium.seek(turned)
        medium.write(bytes([wanted[turned] ^ 1]))
    assert read(disk.medium, EARLY_CHUNK) != chunk
    assert (cast.finish(), receiver.finish()) == (0, 0)
    assert disk.medium.read_bytes() == wanted


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed: apt-get install strace")
def test_a_disk_that_loses_writes_again_and_again_is_damaged(room: Room) -> None:
    source, target = room.source(), room.target("seat")
    cast = room.cast(source)
    argv = ("-m", "slatecast", "receive", "--once", "--target", target, "--server", cast.door(), "--interface", "lo")
    # From the 10th of each thread on no write reaches the disk, and each is said to have taken a whole chunk.
    lost = f"pwrite64:retval={CHUNK_SIZE}:when=10+"
    receiver = room.start_python("-m", "tests.faults.under_strace", lost, target, "--", *argv)
    assert cast.finish() == DAMAGED
    assert receiver.finish() == DAMAGED
    assert "is damaged and marked incomplete" in receiver.errors.text
    assert not is_bootable(target)


def read(medium: Path, offset: int) -> bytes:
    with medium.open("rb") as file:
        file.seek(offset)
        return file.read(CHUNK_SIZE)
