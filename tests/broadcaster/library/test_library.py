import threading
from pathlib import Path

import pytest

from broadcaster.library.adding import add_image
from broadcaster.library.library import Library, parse_reference
from broadcaster.library.removing import remove_image
from protocol.errors import ConfigError, IntegrityError, LibraryError
from protocol.manifest import Manifest
from tests.broadcaster.library.disks import MIB, noise, sparse_file


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library.open_or_create(tmp_path / "library")


@pytest.fixture
def manifest(library: Library, tmp_path: Path) -> Manifest:
    return add_image(library, sparse_file(tmp_path / "disk.img", MIB, {0: noise(1, MIB)}), "lab").manifest


def chunk_file(library: Library, manifest: Manifest, sbn: int) -> Path:
    name = manifest[sbn].raw_digest.hex()
    return library.store.chunks / name[:2] / name[2:]


@pytest.mark.parametrize("left_behind", [None, "", "lost+found", "chunks"])
def test_creates_a_library_where_nothing_is(tmp_path: Path, left_behind: str | None) -> None:
    root = tmp_path / "deep" / "library"
    if left_behind is not None:
        (root / left_behind).mkdir(parents=True)
    assert Library.open_or_create(root).images() == []
    assert Library.open(root).images() == []


def test_refuses_what_is_no_library(tmp_path: Path) -> None:
    (tmp_path / "letter").write_text("dear reader")
    with pytest.raises(LibraryError, match="not a slatecast library: it has no"):
        Library.open_or_create(tmp_path)
    with pytest.raises(LibraryError, match="not a slatecast library: it is no folder"):
        Library.open(tmp_path / "letter")
    with pytest.raises(LibraryError, match="no library at"):
        Library.open(tmp_path / "missing")
    assert [path.name for path in tmp_path.iterdir()] == ["letter"]


@pytest.mark.parametrize("marker", [b"", b"{", b"[]", b"\xff", b'{"format": 2}', b'{"format": "1"}', b"{}"])
def test_refuses_other_formats_and_damaged_markers(library: Library, marker: bytes) -> None:
    (library.root / "slatecast-library.json").write_bytes(marker)
    with pytest.raises(LibraryError, match=r"not readable|is a library of format"):
        Library.open(library.root)


def test_loads_the_newest_version_or_the_one_asked_for(library: Library, tmp_path: Path) -> None:
    for seed in (1, 2, 3):
        add_image(library, sparse_file(tmp_path / "disk.img", MIB, {0: noise(seed, MIB)}), "lab")
    assert library.versions("lab") == [1, 2, 3]
    assert library.load("lab").header.version == 3
    assert library.load("lab", 2).header.version == 2
    assert [(header.name, header.version) for header in library.images()] == [("lab", 3)]
    with pytest.raises(LibraryError, match="only 1, 2, 3"):
        library.load("lab", 4)
    with pytest.raises(LibraryError, match="no image 'other'"):
        library.load("other")


@pytest.mark.parametrize("name", ["", "..", "a/b", ".hidden", "a b", "a\n", "ä", "a" * 65, "-f"])
def test_impossible_names(library: Library, name: str) -> None:
    with pytest.raises(ConfigError):
        library.load(name)
    with pytest.raises(ConfigError):
        parse_reference(name)


def test_references() -> None:
    assert parse_reference("lab") == ("lab", None)
    assert parse_reference("lab@12") == ("lab", 12)
    for wrong in ("lab@", "lab@x", "lab@-1", "lab@1@2", "lab@²", "@1", "lab@" + "9" * 5000):
        with pytest.raises(ConfigError):
            parse_reference(wrong)


def test_reads_stored_blocks(library: Library, manifest: Manifest) -> None:
    stored = b"".join(library.read_stored(manifest, sbn) for sbn in range(len(manifest)))
    assert stored == noise(1, MIB)


@pytest.mark.parametrize("damage", ["flip", "short", "long", "empty", "missing"])
def test_a_damaged_block_is_named_and_never_returned(library: Library, manifest: Manifest, damage: str) -> None:
    path = chunk_file(library, manifest, 2)
    good = path.read_bytes()
    bad = {"flip": good[:-1] + bytes([good[-1] ^ 1]), "short": good[:-1], "long": good + b"\0", "empty": b""}
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(bad[damage])
    with pytest.raises(IntegrityError, match="image lab, version 1: chunk 2 at byte 524288"):
        library.read_stored(manifest, 2)
    library.read_stored(manifest, 1)


def test_a_block_cannot_stand_in_for_another(library: Library, manifest: Manifest) -> None:
    chunk_file(library, manifest, 0).write_bytes(chunk_file(library, manifest, 1).read_bytes())
    with pytest.raises(IntegrityError):
        library.read_stored(manifest, 0)


@pytest.mark.parametrize("damage", [b"", b"SLATEMAN", b"\0" * 100])
def test_a_damaged_manifest_is_refused(library: Library, manifest: Manifest, damage: bytes) -> None:
    library.manifest_path("lab", 1).write_bytes(damage)
    with pytest.raises(LibraryError, match="manifest of lab, version 1, is damaged"):
        library.load("lab")
    with pytest.raises(LibraryError, match="manifest of lab, version 1, is damaged"):
        library.images()


def test_a_manifest_under_another_name_is_refused(library: Library, manifest: Manifest) -> None:
    library.manifest_path("lab", 1).rename(library.manifest_path("lab", 2))
    with pytest.raises(LibraryError, match="is that of image lab, version 1"):
        library.load("lab")


def test_an_image_in_use_is_not_removed(library: Library, manifest: Manifest) -> None:
    with library.in_use(manifest), library.in_use(manifest):
        with pytest.raises(LibraryError, match="in use"):
            remove_image(library, "lab")
        assert library.load("lab").digest == manifest.digest
    remove_image(library, "lab")
    with pytest.raises(LibraryError, match="just been removed"), library.in_use(manifest):
        pass


def test_writers_wait_for_each_other(library: Library) -> None:
    waiting, entered = threading.Event(), threading.Event()

    def second() -> None:
        with library.writing(waiting.set):
            entered.set()

    thread = threading.Thread(target=second)
    with library.writing():
        thread.start()
        assert waiting.wait(10)
        assert not entered.is_set()
    thread.join(10)
    assert entered.is_set()


def test_a_library_that_cannot_be_read_is_one_line(library: Library) -> None:
    (library.root / "images").rmdir()
    with pytest.raises(LibraryError, match="No such file"):
        library.images()
