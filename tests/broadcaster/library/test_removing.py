from pathlib import Path

import pytest

from broadcaster.library.adding import add_image
from broadcaster.library.library import Library
from broadcaster.library.removing import remove_image
from broadcaster.library.verifying import verify_image
from protocol.digests import raw_digest
from protocol.errors import ConfigError, LibraryError
from protocol.manifest import CHUNK_SIZE, Manifest
from protocol.signing import SigningKey
from tests.broadcaster.library.disks import MIB, noise, sparse_file, tree

SHARED = noise(1, MIB)


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library.open_or_create(tmp_path / "library")


def add(library: Library, folder: Path, name: str, seed: int) -> Manifest:
    """An image of which four chunks are SHARED and four are its own."""
    return add_image(library, sparse_file(folder / "disk.img", 2 * MIB, {0: SHARED + noise(seed, MIB)}), name).manifest


def test_only_what_nobody_else_needs_goes(library: Library, tmp_path: Path) -> None:
    lab, exam = add(library, tmp_path, "lab", 2), add(library, tmp_path, "exam", 3)
    outcome = remove_image(library, "lab")
    assert (outcome.versions, outcome.chunk_count, outcome.freed_bytes) == ((1,), 4, MIB)
    assert library.names() == ["exam"]
    assert verify_image(library, exam) == []
    assert library.store.read(lab[7].raw_digest) is None


def test_removing_the_last_image_leaves_a_library_as_new(library: Library, tmp_path: Path) -> None:
    empty = tree(library.root)
    add(library, tmp_path, "lab", 2)
    remove_image(library, "lab")
    assert tree(library.root) == empty


def test_signatures_go_with_their_images(library: Library, tmp_path: Path) -> None:
    empty = tree(library.root)
    signer = SigningKey(bytes(32))
    for seed in (2, 3):
        disk = sparse_file(tmp_path / "disk.img", 2 * MIB, {0: noise(seed, MIB)})
        add_image(library, disk, "lab", signer=signer)
    remove_image(library, "lab", 1)
    assert not library.signature_path("lab", 1).exists()
    assert library.signature(library.load("lab", 2)) is not None
    library.signature_path("lab", 7).write_bytes(b"left over by a crash")
    remove_image(library, "lab")
    assert tree(library.root) == empty


def test_one_version_of_several(library: Library, tmp_path: Path) -> None:
    for seed in (2, 3, 4):
        add(library, tmp_path, "lab", seed)
    assert remove_image(library, "lab", 2).chunk_count == 4
    assert library.versions("lab") == [1, 3]
    assert all(verify_image(library, library.load("lab", version)) == [] for version in (1, 3))
    assert remove_image(library, "lab").versions == (1, 3)


def test_unknown_images_are_refused(library: Library, tmp_path: Path) -> None:
    add(library, tmp_path, "lab", 2)
    before = tree(library.root)
    with pytest.raises(LibraryError, match="no image 'other'"):
        remove_image(library, "other")
    with pytest.raises(LibraryError, match="no version 2"):
        remove_image(library, "lab", 2)
    with pytest.raises(ConfigError):
        remove_image(library, "../lab")
    assert tree(library.root) == before


def test_chunks_that_a_crash_left_over_go_too(library: Library, tmp_path: Path) -> None:
    add(library, tmp_path, "lab", 2)
    orphan = noise(9, CHUNK_SIZE)
    with library.writing(), library.store.batch() as batch:
        batch.write(raw_digest(orphan), orphan)
        batch.commit()
        batch.keep()
    assert remove_image(library, "lab").chunk_count == 9
    assert list(library.store.digests()) == []


def test_a_damaged_manifest_of_another_image_stops_it(library: Library, tmp_path: Path) -> None:
    """Nobody knows which chunks that image needs, so none may go."""
    add(library, tmp_path, "lab", 2)
    add(library, tmp_path, "exam", 3)
    library.manifest_path("exam", 1).write_bytes(b"torn")
    before = tree(library.root)
    with pytest.raises(LibraryError, match="manifest of exam, version 1, is damaged"):
        remove_image(library, "lab")
    assert tree(library.root) == before


def test_a_damaged_image_can_be_removed(library: Library, tmp_path: Path) -> None:
    add(library, tmp_path, "lab", 2)
    library.manifest_path("lab", 1).write_bytes(b"torn")
    assert remove_image(library, "lab").chunk_count == 8
