"""State files that only we may read."""

import os
import stat
from pathlib import Path

import pytest

from dashboards.access.private_files import MAX_LENGTH, read_private, remove_private, write_private
from protocol.errors import ConfigError


def test_written_file_is_ours_alone_and_nothing_is_left_beside(tmp_path: Path) -> None:
    path = tmp_path / "state" / "file"
    os.umask(0)
    try:
        write_private(path, b"one")
        write_private(path, b"two")
    finally:
        os.umask(0o022)
    assert read_private(path) == b"two"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert list(path.parent.iterdir()) == [path]


def test_no_file(tmp_path: Path) -> None:
    assert read_private(tmp_path / "file") is None
    remove_private(tmp_path / "file")


def test_removed(tmp_path: Path) -> None:
    write_private(tmp_path / "file", b"x")
    remove_private(tmp_path / "file")
    assert not list(tmp_path.iterdir())


def test_a_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x")
    path.chmod(0o640)
    with pytest.raises(ConfigError, match="chmod 600"):
        read_private(path)


def test_a_link_is_refused(tmp_path: Path) -> None:
    write_private(tmp_path / "file", b"x")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_private(tmp_path / "link")


def test_what_is_no_file_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    with pytest.raises(ConfigError, match="not a regular file"):
        read_private(tmp_path / "pipe")


def test_an_endless_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_private(path, b"")
    os.truncate(path, MAX_LENGTH + 1)
    with pytest.raises(ConfigError, match="longer than"):
        read_private(path)


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    write_private(path, b"old")

    def fail(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(ConfigError, match="No space left"):
        write_private(path, b"new")
    assert [each.read_bytes() for each in tmp_path.iterdir()] == [b"old"]
