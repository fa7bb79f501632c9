import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from broadcaster.library.adding import add_image
from broadcaster.library.library import Library
from broadcaster.library.removing import is_in_use
from broadcaster.library.served_disk import served_disk
from protocol.disk.private_mounts import Check, in_private_mounts
from protocol.errors import LibraryError
from protocol.manifest import CHUNK_SIZE
from tests.broadcaster.library.disks import needs_root, noise, sparse_file

pytestmark = [
    needs_root,
    pytest.mark.system,
    pytest.mark.skipif(not Path("/dev/fuse").exists(), reason="no /dev/fuse: modprobe fuse"),
]

SIZE = 9 * CHUNK_SIZE


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    return sparse_file(tmp_path / "disk", SIZE, {0: noise(1, CHUNK_SIZE), 4 * CHUNK_SIZE: noise(2, CHUNK_SIZE)})


@pytest.fixture
def library(tmp_path: Path, disk: Path) -> Library:
    library = Library.open_or_create(tmp_path / "library")
    add_image(library, disk, "lab")
    return library


def test_the_disk_can_be_read_and_not_written_and_nothing_stays(library: Library, disk: Path) -> None:
    folders: list[Path] = []

    def work(_check: Check) -> bytes:
        with served_disk(library, library.load("lab")) as (path, complaint):
            folders.append(path.parent)
            assert path.stat().st_size == SIZE
            with pytest.raises(OSError, match="Read-only"):
                os.open(path, os.O_RDWR)
            assert complaint() == ""
            return path.read_bytes()

    assert in_private_mounts(work) == disk.read_bytes()
    assert not folders[0].exists()


def test_what_is_wrong_with_the_image_is_told(library: Library) -> None:
    manifest = library.load("lab")
    Path(library.store._path(manifest[1].raw_digest)).write_bytes(b"x")

    def work(_check: Check) -> str:
        with served_disk(library, manifest) as (path, complaint):
            with pytest.raises(OSError, match="Input/output"):
                path.read_bytes()
            return complaint()

    assert in_private_mounts(work).startswith(f"image lab, version 1: chunk 4 at byte {4 * CHUNK_SIZE} is damaged")


def test_an_image_that_went_away_meanwhile(library: Library) -> None:
    manifest = library.load("lab")
    library.manifest_path("lab", 1).unlink()

    def work(_check: Check) -> None:
        with served_disk(library, manifest):
            pass

    with pytest.raises(LibraryError, match="no image 'lab'"):
        in_private_mounts(work)


KILLED = """
import sys
from pathlib import Path
from broadcaster.library.library import Library
from protocol.disk.private_mounts import in_private_mounts
from broadcaster.library.removing import is_in_use
from broadcaster.library.served_disk import served_disk
from protocol.disk.system_tools import loop_device

library = Library.open(Path(sys.argv[1]))

def work(check):
    with served_disk(library, library.load("lab")) as (path, _), loop_device(path, 0, path.stat().st_size) as device:
        device.read_bytes()
        print(device, flush=True)
        sys.stdin.read()

in_private_mounts(work)
"""


def test_killed_it_leaves_no_mount_no_loop_device_and_no_process(library: Library) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(library.root)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        device = process.stdout.readline().decode().strip()
        backing = Path("/sys/block", Path(device).name, "loop/backing_file")
        shown = backing.read_text()
        assert shown.startswith("/")
        assert is_in_use(library, "lab", 1)
        process.kill()
    with library.manifest_path("lab", 1).open() as manifest:
        fcntl.flock(manifest, fcntl.LOCK_EX)  # until the process that shows the disk has ended
    assert not backing.exists() or backing.read_text() != shown
    assert Path(shown).parent.name not in Path("/proc/self/mounts").read_text()
