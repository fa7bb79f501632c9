import os
import stat
from pathlib import Path

import pytest

from protocol.link.whole_file import replace_whole, sync_folder


def test_the_new_file_takes_the_place_of_the_old_one_and_its_mode_is_its_own(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    path.chmod(0o666)
    replace_whole(path, b"new", 0o600)
    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (b"new", 0o600)
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_is_replaced_and_what_it_names_is_not(tmp_path: Path) -> None:
    elsewhere, link = tmp_path / "elsewhere", tmp_path / "link"
    elsewhere.write_bytes(b"old")
    link.symlink_to(elsewhere)
    replace_whole(link, b"new", 0o600)
    assert (elsewhere.read_bytes(), link.read_bytes(), link.is_symlink()) == (b"old", b"new", False)


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_what_fails_leaves_the_old_file_and_nothing_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail) if step == "fsync" else monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="No space left"):
        replace_whole(path, b"new", 0o600)
    assert [each.read_bytes() for each in tmp_path.iterdir()] == [b"old"]


def test_file_and_folder_are_on_the_medium(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced = []
    real = os.fsync

    def note(descriptor: int) -> None:
        synced.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    replace_whole(tmp_path / "file", b"new", 0o600)
    assert synced == ["file", "folder"]
    with pytest.raises(FileNotFoundError):
        sync_folder(tmp_path / "nowhere")
