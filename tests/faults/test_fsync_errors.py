"""An fsync that fails is the end of the disk: no second try, no sector 0, whichever fsync of the cast it is.

The kernel forgets the pages that it could not write, so a second fsync would say that all is well.
"""

import errno
import shutil
from pathlib import Path

import pytest

from tests.broadcaster.library.disks import MIB
from tests.end_to_end.room import Room, is_bootable
from tests.faults.conftest import OpenDisk
from tests.faults.storage_daemon import failing

pytestmark = [pytest.mark.system, pytest.mark.slow]

FAILED = 4
FSYNCS = ["marker in sector 0", "blank edges", "body", "edges but sector 0", "sector 0"]
"""What each fsync of one cast brings to the disk, in order."""


def test_an_fsync_that_fails_once_is_final_whichever_it_is(room: Room, open_disk: OpenDisk) -> None:
    source, old = room.source(seed=1), room.source("old", seed=2).read_bytes()
    disks = []
    for number in range(len(FSYNCS)):
        medium = room.folder / f"seat-{number}.disk"
        medium.write_bytes(old)
        disks.append(open_disk(medium, failing("flush", errno.EIO, after_flushes=number, is_once=True)))
    cast = room.cast(source, "--expect", len(disks))
    broker = cast.door()
    receivers = [room.receive(disk.path, broker, seat=f"seat-{n}") for n, disk in enumerate(disks)]
    assert cast.finish(60) == FAILED
    for what, disk, receiver in zip(FSYNCS, disks, receivers, strict=True):
        assert receiver.finish() == FAILED, what
        assert f"{disk.path}: fsync failed: Input/output error" in receiver.errors.text, what
        # The last fsync fails with everything proved and sector 0 written; then nothing more is written to this disk.
        is_complete = what == FSYNCS[-1] and disk.medium.read_bytes() == source.read_bytes()
        assert is_complete or not is_bootable(disk.medium), what


def test_a_disk_that_fails_its_close_too_is_told_of_as_failed(room: Room, open_disk: OpenDisk) -> None:
    """FUSE and network file systems flush at close(2), and say so."""
    source = room.source()
    disk = open_disk(room.target("seat"), failing("flush", errno.EIO, after_flushes=2))
    cast = room.cast(source)
    receiver = room.receive(disk.path, cast.door())
    assert cast.finish() == FAILED
    assert receiver.finish() == FAILED
    assert f"{disk.path}: fsync failed: Input/output error" in receiver.errors.text


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed: apt-get install strace")
def test_an_fsync_is_not_tried_again_although_the_next_would_succeed(room: Room) -> None:
    source, target = room.source(), room.target("seat")
    cast = room.cast(source)
    # The first fsync of each thread fails, all others succeed.
    argv = ("-m", "slatecast", "receive", "--once", "--target", target, "--server", cast.door(), "--interface", "lo")
    receiver = room.start_python("-m", "tests.faults.under_strace", "fsync:error=EIO:when=1", target, "--", *argv)
    assert cast.finish() == FAILED
    assert receiver.finish() == FAILED
    assert f"{target}: fsync failed: Input/output error" in receiver.errors.text
    assert not is_bootable(target)
    assert is_untouched_behind_the_edges(target)


def is_untouched_behind_the_edges(target: Path) -> bool:
    """Nothing was written after the failure."""
    content = target.read_bytes()[2 * MIB : 6 * MIB]
    return content.count(content[0]) == len(content)
