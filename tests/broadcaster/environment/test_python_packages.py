import sys
from pathlib import Path

import pytest

from broadcaster.environment import python_packages
from broadcaster.environment.python_packages import PLACE, add_python, compile_all, python_version, required
from protocol.errors import LibraryError, TransportError

HERE = f"{sys.version_info.major}.{sys.version_info.minor}"


def make_root(folder: Path, version: str) -> Path:
    (folder / "usr/bin").mkdir(parents=True)
    (folder / "usr/bin/python3").symlink_to(f"python{version}")
    return folder


def test_what_the_base_needs_and_nothing_of_the_extras() -> None:
    names = set(required())
    assert {"aiohttp", "msgspec", "zstandard", "multidict", "cryptography"} <= names
    assert not names & {"slatecast", "fastapi", "nicegui", "pytest", "amqtt", "sqlalchemy"}


def test_version_of_the_environments_python(tmp_path: Path) -> None:
    assert python_version(make_root(tmp_path, "3.13")) == "3.13"


def test_no_python_there(tmp_path: Path) -> None:
    root = make_root(tmp_path, "3.13")
    (root / "usr/bin/python3").unlink()
    (root / "usr/bin/python3").symlink_to("perl")
    with pytest.raises(LibraryError, match="cannot be told"):
        python_version(root)


@pytest.mark.slow
def test_the_same_python_gets_the_installed_files_without_any_index(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(python_packages, "_fetch", lambda others, *_: pytest.fail(f"fetches {others}"))
    root = make_root(tmp_path, HERE)
    versions = add_python(root)
    place = root / PLACE
    assert versions["msgspec"] == required()["msgspec"].version
    assert (place / "aiohttp/__init__.py").read_bytes()
    assert (place / "receiver/service.py").read_bytes()
    assert (place / "broadcaster/environment/overlay/init").exists()
    assert not (place / "dashboards").exists()
    assert not list(place.rglob("__pycache__"))
    assert not list(place.rglob("direct_url.json"))  # it has a path of this machine
    assert (root / "usr/bin/slatecast").stat().st_mode & 0o111


def test_another_python_gets_the_same_versions_from_an_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fetched: list[str] = []
    monkeypatch.setattr(
        python_packages,
        "_fetch",
        lambda others, version, _place: fetched.extend(f"{each.metadata['Name']} {version}" for each in others),
    )
    add_python(make_root(tmp_path, "3.99"))
    assert "msgspec 3.99" in fetched
    assert len(fetched) == len(required())


def test_an_index_that_fails_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pip = tmp_path / "python"
    pip.write_text("#!/bin/sh\necho first >&2\necho 'ERROR: no matching distribution' >&2\nexit 1\n")
    pip.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(pip))
    with pytest.raises(TransportError, match=r"^no wheels for Python 3.99: ERROR: no matching distribution$"):
        add_python(make_root(tmp_path / "root", "3.99"))


def test_sources_go_where_there_is_a_compiled_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "usr/lib/python3/dist-packages"
    folder.mkdir(parents=True)
    for name in ("done.py", "done.pyc", "template.py"):
        (folder / name).touch()
    monkeypatch.setattr(python_packages, "run_inside", lambda *_: "")
    compile_all(tmp_path)
    assert sorted(path.name for path in folder.iterdir()) == ["done.pyc", "template.py"]
