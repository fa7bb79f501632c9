import random
from pathlib import Path

import pytest

from broadcaster.library.adding import add_image
from broadcaster.library.disk_view import DiskView
from broadcaster.library.library import Library
from protocol.errors import IntegrityError
from protocol.manifest import CHUNK_SIZE
from tests.broadcaster.library.disks import noise, sparse_file

SIZE = 9 * CHUNK_SIZE + 4096


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    contents = {0: noise(1, CHUNK_SIZE + 5), 4 * CHUNK_SIZE - 7: noise(2, 100), SIZE - 512: noise(3, 512)}
    return sparse_file(tmp_path / "disk", SIZE, contents)


@pytest.fixture
def library(tmp_path: Path, disk: Path) -> Library:
    library = Library.open_or_create(tmp_path / "library")
    add_image(library, disk, "lab")
    return library


def test_any_part_is_as_it_was(library: Library, disk: Path) -> None:
    view = DiskView(library, library.load("lab"))
    raw = disk.read_bytes()
    assert view.size == SIZE
    assert view.read(0, SIZE) == raw
    rng = random.Random(20261121)
    for _ in range(100):
        offset, length = rng.randrange(SIZE), rng.randrange(3 * CHUNK_SIZE)
        assert view.read(offset, length) == raw[offset : offset + length]
    assert view.read(SIZE, 10) == view.read(SIZE + 10, 10) == view.read(0, 0) == b""


def test_a_damaged_chunk_is_told_and_not_given(library: Library) -> None:
    manifest = library.load("lab")
    path = library.store._path(manifest[0].raw_digest)
    Path(path).write_bytes(b"x")
    view = DiskView(library, manifest)
    with pytest.raises(IntegrityError, match="image lab, version 1: chunk 0"):
        view.read(10, 1)
    assert len(view.read(CHUNK_SIZE, 5)) == 5
