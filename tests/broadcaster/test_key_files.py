import fcntl
import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from broadcaster.key_files import AUTHORITY_KEY, DIRECTOR_KEY, IMAGE_KEY, KEY_FILES, TRUST, KeyFolder, read_key_file
from protocol.errors import ConfigError

OLD = {name: f"old {name}".encode() for name in KEY_FILES}
NEW = {name: f"new {name}".encode() for name in KEY_FILES}


class Crash(BaseException):
    """The process dies: nothing after this is executed, whatever stands in a ``finally``."""


@pytest.fixture
def folder(tmp_path: Path) -> KeyFolder:
    folder = KeyFolder(tmp_path / "keys")
    folder.prepare()
    with folder.locked():
        folder.replace(OLD)
    return folder


def contents(folder: KeyFolder) -> dict[str, bytes | None]:
    with folder.locked():
        return {name: folder.read(name) for name in KEY_FILES}


@contextmanager
def dying_at(step: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Die in the ``step``-th call that changes or syncs something; gives the names of the calls that were made."""
    calls: list[str] = []

    def deadly(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*arguments: Any, **keywords: Any) -> Any:
            if len(calls) >= step:
                raise Crash
            calls.append(name)
            return call(*arguments, **keywords)

        return wrapped

    with monkeypatch.context() as patch:
        for name in ("open", "rename", "fsync", "unlink"):
            patch.setattr(os, name, deadly(name, getattr(os, name)))
        yield calls


def test_what_is_put_in_is_there(folder: KeyFolder) -> None:
    assert contents(folder) == OLD
    with folder.locked():
        folder.replace({DIRECTOR_KEY: b"another", TRUST: b"another"})
    assert contents(folder) == {**OLD, DIRECTOR_KEY: b"another", TRUST: b"another"}
    assert {path.name for path in folder.path.iterdir()} == {*KEY_FILES, "lock"}


def test_private_files_are_their_owners_from_the_first_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    modes: dict[str, int] = {}
    real = os.open

    def watched(path: Path, flags: int, mode: int = 0o777) -> int:
        descriptor = real(path, flags, mode)
        if flags & os.O_CREAT:
            modes[Path(path).name] = stat.S_IMODE(os.fstat(descriptor).st_mode)
            assert flags & os.O_EXCL or Path(path).name == "lock"
        return descriptor

    monkeypatch.setattr(os, "open", watched)
    previous = os.umask(0)
    try:
        folder = KeyFolder(tmp_path / "deep" / "keys")
        folder.prepare()
        with folder.locked():
            folder.replace(OLD)
    finally:
        os.umask(previous)
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700
    for name in KEY_FILES:
        expected = 0o600 if name.endswith(".key") else 0o644
        assert stat.S_IMODE((folder.path / name).stat().st_mode) == expected
        assert modes[f"{name}.part" if name == TRUST else f"{name}.new"] == expected


def test_a_crash_in_any_step_leaves_the_old_set_or_the_new_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outcomes = []
    for step in range(100):
        folder = KeyFolder(tmp_path / f"keys-{step}")
        folder.prepare()
        with folder.locked():
            folder.replace(OLD)
        with dying_at(step, monkeypatch) as calls:
            try:
                with folder.locked():
                    folder.replace(NEW)
            except Crash:
                pass
            has_ended = len(calls) < step
        found = contents(folder)
        assert found in (OLD, NEW), step
        outcomes.append(found == NEW)
        assert {path.name for path in folder.path.iterdir()} == {*KEY_FILES, "lock"}
        if has_ended:
            break
    assert has_ended
    assert outcomes == sorted(outcomes)
    assert set(outcomes) == {False, True}


def test_a_crash_in_the_first_set_leaves_nothing_or_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for step in range(1, 100):
        folder = KeyFolder(tmp_path / f"keys-{step}")
        folder.prepare()
        with dying_at(step, monkeypatch) as calls:
            try:
                with folder.locked():
                    folder.replace(OLD)
            except Crash:
                pass
            has_ended = len(calls) < step
        folder.prepare()
        assert contents(folder) in (OLD, dict.fromkeys(KEY_FILES))
        if has_ended:
            return
    pytest.fail("never ended")


def test_a_crash_while_a_crash_is_mended(folder: KeyFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in KEY_FILES:
        (folder.path / f"{name}.new").write_bytes(NEW[name])
        (folder.path / f"{name}.new").chmod(0o600)
    for step in range(30):
        with dying_at(step, monkeypatch):
            try:
                with folder.locked():
                    break
            except Crash:
                pass
    assert contents(folder) == NEW


def test_a_full_disk_changes_nothing(folder: KeyFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, os.strerror(28))

    with monkeypatch.context() as patch, folder.locked():
        patch.setattr(os, "fsync", full)
        with pytest.raises(ConfigError, match="No space left"):
            folder.replace(NEW)
    assert contents(folder) == OLD


def test_one_at_a_time(folder: KeyFolder) -> None:
    with (folder.path / "lock").open("rb") as lock:
        with folder.locked(), pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)


@pytest.mark.parametrize("name", [DIRECTOR_KEY, IMAGE_KEY, AUTHORITY_KEY])
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o610, 0o601, 0o644, 0o777])
def test_a_key_that_others_can_read_is_refused(folder: KeyFolder, name: str, mode: int) -> None:
    (folder.path / name).chmod(mode)
    with folder.locked(), pytest.raises(ConfigError, match="can be read by other users: chmod 600") as raised:
        folder.read(name)
    assert "\n" not in str(raised.value)
    assert OLD[name].decode() not in str(raised.value)


@pytest.mark.parametrize("mode", [0o720, 0o702, 0o777])
def test_a_folder_that_others_can_write_is_refused(folder: KeyFolder, mode: int) -> None:
    folder.path.chmod(mode)
    with pytest.raises(ConfigError, match="can be written by other users: chmod 700"), folder.locked():
        pass


def test_what_is_no_key_file(tmp_path: Path) -> None:
    assert read_key_file(tmp_path / "missing", is_private=True) is None
    os.mkfifo(tmp_path / "pipe", 0o600)
    (tmp_path / "long").write_bytes(bytes(100_000))
    (tmp_path / "long").chmod(0o600)
    for name, text in (("pipe", "no plain file"), ("long", "longer than"), (".", "no plain file"), ("long/x", "Not a")):
        with pytest.raises(ConfigError, match=text):
            read_key_file(tmp_path / name, is_private=True)


def test_a_folder_of_other_things_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letter").write_text("dear reader")
    with pytest.raises(ConfigError, match="holds other files, 'letter' for one"):
        KeyFolder(tmp_path).prepare()
    assert [path.name for path in tmp_path.iterdir()] == ["letter"]


def test_a_folder_of_keys_may_hold_other_things(folder: KeyFolder) -> None:
    (folder.path / "notes").write_text("of the operator")
    folder.prepare()
    assert contents(folder) == OLD


def test_a_place_that_cannot_be_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "keys", Path("/proc/keys-of-slatecast")):
        with pytest.raises(ConfigError, match="keys at"):
            KeyFolder(path).prepare()


RACE = """
import sys
from pathlib import Path
from broadcaster.key_files import KEY_FILES, KeyFolder
folder = KeyFolder(Path(sys.argv[1]))
folder.prepare()
sys.stdin.read(1)
for turn in range(20):
    with folder.locked():
        assert len({folder.read(name) for name in KEY_FILES}) == 1
        folder.replace(dict.fromkeys(KEY_FILES, f"{sys.argv[2]} {turn}".encode()))
"""


@pytest.mark.system
@pytest.mark.slow
def test_processes_never_see_half_a_change(tmp_path: Path) -> None:
    command = [sys.executable, "-c", RACE, str(tmp_path / "keys")]
    processes = [subprocess.Popen([*command, str(number)], stdin=subprocess.PIPE) for number in range(3)]
    for process in processes:
        process.communicate(b"x", timeout=60)
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert len(set(contents(KeyFolder(tmp_path / "keys")).values())) == 1
