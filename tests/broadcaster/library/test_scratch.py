from contextlib import suppress
from pathlib import Path

import pytest

from broadcaster.library.library import Library
from broadcaster.library.scratch import scratch_folder
from protocol.errors import LibraryError
from tests.broadcaster.library.disks import tree


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library.open_or_create(tmp_path / "library")


def test_nothing_is_left(library: Library) -> None:
    empty = tree(library.root)
    with suppress(KeyboardInterrupt), scratch_folder(library) as folder:
        (folder / "disk").write_bytes(b"x")
        assert folder.stat().st_mode & 0o077 == 0
        raise KeyboardInterrupt
    assert not folder.exists()
    assert tree(library.root) == empty


def test_what_a_crash_left_goes_and_work_in_progress_stays(library: Library) -> None:
    left = library.root / "scratch" / "left"
    left.mkdir(parents=True)
    (left / "disk").write_bytes(b"x")
    with scratch_folder(library) as one:
        assert not left.exists()
        (one / "disk").write_bytes(b"x")
        with scratch_folder(library) as other:
            assert other != one
            assert (one / "disk").exists()
        assert (one / "disk").exists()
    assert not (library.root / "scratch").exists()


def test_a_link_in_its_place_is_not_followed(library: Library, tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (library.root / "scratch").mkdir()
    (library.root / "scratch" / "link").symlink_to(tmp_path / "precious")
    with scratch_folder(library):
        pass
    assert (tmp_path / "precious").exists()


def test_a_library_that_cannot_be_written(library: Library) -> None:
    (library.root / "scratch").write_bytes(b"a file")
    with pytest.raises(LibraryError), scratch_folder(library):
        pass
