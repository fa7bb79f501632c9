import errno
from pathlib import Path

import pytest

from broadcaster.environment import replacing
from broadcaster.environment.replacing import check_replaceable, replace_folder
from protocol.errors import ConfigError
from tests.broadcaster.environment.small_environment import small_environment


def folder(path: Path, content: str) -> Path:
    path.mkdir()
    (path / "vmlinuz").write_text(content)
    return path


@pytest.fixture(params=["exchange", "step aside"])
def _way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "step aside":
        monkeypatch.setattr(replacing, "_exchange", cannot)


def cannot(_first: Path, _second: Path) -> None:
    raise OSError(errno.EINVAL, "not on this file system")


@pytest.mark.usefixtures("_way")
def test_the_new_one_takes_the_place_and_the_old_one_is_gone(tmp_path: Path) -> None:
    new, output = folder(tmp_path / "new", "new"), folder(tmp_path / "output", "old")
    replace_folder(new, output)
    assert (output / "vmlinuz").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["output"]


def test_a_place_that_is_free(tmp_path: Path) -> None:
    replace_folder(folder(tmp_path / "new", "new"), tmp_path / "output")
    assert [path.name for path in tmp_path.iterdir()] == ["output"]


def test_the_old_one_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = folder(tmp_path / "output", "old")
    monkeypatch.setattr(replacing, "_exchange", cannot)
    with pytest.raises(FileNotFoundError):
        replace_folder(tmp_path / "new", output)
    assert (output / "vmlinuz").read_text() == "old"


def test_an_exchange_that_fails_changes_nothing(tmp_path: Path) -> None:
    output = folder(tmp_path / "output", "old")
    with pytest.raises(FileNotFoundError):
        replace_folder(tmp_path / "new", output)
    assert (output / "vmlinuz").read_text() == "old"


def test_what_may_be_replaced(tmp_path: Path) -> None:
    check_replaceable(tmp_path / "free")
    check_replaceable(tmp_path)
    small_environment(tmp_path / "older")
    check_replaceable(tmp_path / "older")


def test_what_may_not_be_replaced(tmp_path: Path) -> None:
    small_environment(tmp_path / "older")
    (tmp_path / "older/thesis.odt").touch()
    with pytest.raises(ConfigError, match=r"holds thesis.odt: give a folder that is free"):
        check_replaceable(tmp_path / "older")
    with pytest.raises(ConfigError, match="is a file"):
        check_replaceable(tmp_path / "older/thesis.odt")
