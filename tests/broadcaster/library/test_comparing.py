from pathlib import Path

import msgspec
import pytest

from broadcaster.library.adding import add_image
from broadcaster.library.comparing import compare_manifests
from broadcaster.library.library import Library
from protocol.errors import LibraryError
from protocol.manifest import CHUNK_SIZE, Manifest
from tests.broadcaster.library.disks import noise


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library.open_or_create(tmp_path / "library")


def version(library: Library, tmp_path: Path, *chunks: bytes) -> Manifest:
    source = tmp_path / "disk.img"
    source.write_bytes(b"".join(chunks))
    return add_image(library, source, "lab").manifest


A, B, C = (noise(seed, CHUNK_SIZE) for seed in (1, 2, 3))
ZERO = bytes(CHUNK_SIZE)


def test_the_same_version_has_not_changed(library: Library, tmp_path: Path) -> None:
    manifest = version(library, tmp_path, A, B)
    assert compare_manifests(manifest, manifest).ranges == ()


def test_changed_chunks_that_touch_are_one_range_and_the_last_may_be_short(library: Library, tmp_path: Path) -> None:
    old = version(library, tmp_path, A, B, C, A[:4096])
    new = version(library, tmp_path, A, C, B, B[:4096])
    found = compare_manifests(old, new)
    assert found.ranges == ((CHUNK_SIZE, 2 * CHUNK_SIZE + 4096),)
    assert found.changed_bytes == 2 * CHUNK_SIZE + 4096
    assert found.stored_bytes == sum(chunk.stored_length for chunk in new if chunk.chunk_id)


def test_what_has_become_zero_has_changed_and_stores_nothing(library: Library, tmp_path: Path) -> None:
    old, new = version(library, tmp_path, A, B, C), version(library, tmp_path, A, ZERO, C)
    found = compare_manifests(old, new)
    assert (found.ranges, found.stored_bytes) == (((CHUNK_SIZE, CHUNK_SIZE),), 0)
    back = compare_manifests(new, old)
    assert (back.ranges, back.stored_bytes > 0) == (((CHUNK_SIZE, CHUNK_SIZE),), True)


def test_a_disk_that_has_grown(library: Library, tmp_path: Path) -> None:
    found = compare_manifests(version(library, tmp_path, A), version(library, tmp_path, A, ZERO, B))
    assert found.ranges == ((2 * CHUNK_SIZE, CHUNK_SIZE),)


def test_versions_of_other_chunks_cannot_be_compared(library: Library, tmp_path: Path) -> None:
    manifest = version(library, tmp_path, A)
    coarse = Manifest(msgspec.structs.replace(manifest.header, chunk_size=2 * CHUNK_SIZE), b"")
    with pytest.raises(LibraryError, match="are cut into chunks"):
        compare_manifests(coarse, manifest)
