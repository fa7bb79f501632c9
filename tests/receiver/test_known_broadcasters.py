import os
import stat
from pathlib import Path

import msgspec
import pytest

from protocol.errors import ConfigError
from protocol.signing import SigningKey
from protocol.trust import Trust, succeed
from receiver.known_broadcasters import MAX_KNOWN, default_file, load, remember
from tests.vectors.make_enrolment import CERTIFICATE


def trust(number: int) -> Trust:
    director = SigningKey(number.to_bytes(32, "big"))
    return Trust(director_key=director.public, image_keys=(bytes(32),), authority=CERTIFICATE.encode())


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "state" / "known-broadcasters.json"


def test_nobody_is_known_at_first(file: Path) -> None:
    assert load(file) == ()


def test_what_was_confirmed_is_there_again(file: Path) -> None:
    remember(file, trust(1))
    remember(file, trust(2))
    assert load(file) == (trust(1), trust(2))
    remember(file, trust(1))
    assert load(file) == (trust(2), trust(1))


def test_newer_keys_take_the_place_of_those_they_follow(file: Path) -> None:
    older = trust(1)
    newer = succeed(older, SigningKey((1).to_bytes(32, "big")), director_key=SigningKey(bytes(32)).public)
    remember(file, older)
    remember(file, trust(2))
    remember(file, newer)
    assert load(file) == (trust(2), newer)


def test_the_oldest_is_forgotten_first(file: Path) -> None:
    for number in range(MAX_KNOWN + 2):
        remember(file, trust(number))
    known = load(file)
    assert len(known) == MAX_KNOWN
    assert known[0] == trust(2)


def test_the_file_is_its_owners_alone(file: Path) -> None:
    remember(file, trust(1))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert list(file.parent.iterdir()) == [file]


def test_an_interrupted_write_leaves_the_old_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    remember(file, trust(1))

    def fail(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(ConfigError, match="cannot be written"):
        remember(file, trust(2))
    assert load(file) == (trust(1),)
    assert list(file.parent.iterdir()) == [file]


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_file_that_others_may_write_is_refused(file: Path, mode: int) -> None:
    remember(file, trust(1))
    file.chmod(mode)
    with pytest.raises(ConfigError, match="can be written by other users: remove it"):
        load(file)
    with pytest.raises(ConfigError, match="can be written by other users"):
        remember(file, trust(2))


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give a file away")
def test_somebody_elses_file_is_refused(file: Path) -> None:
    remember(file, trust(1))
    os.chown(file, 12345, 12345)
    with pytest.raises(ConfigError, match="can be written by other users"):
        load(file)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"[]",
        b'{"version":2,"trusts":[]}',
        b'{"version":1,"trusts":[{}]}',
        b'{"version":1,"trusts":[]}x',
        b"\xff\xfe",
        b"[" * 100_000,
        msgspec.json.encode({"version": 1, "trusts": [msgspec.structs.replace(trust(1), authority=b"no certificate")]}),
    ],
    ids=lambda content: repr(content[:30]),
)
def test_a_damaged_file_is_refused(file: Path, content: bytes) -> None:
    file.parent.mkdir()
    file.write_bytes(content)
    file.chmod(0o600)
    with pytest.raises(ConfigError, match="is damaged: remove it, and confirm the broadcaster again"):
        load(file)


def test_a_file_that_cannot_be_read_is_named(file: Path) -> None:
    file.mkdir(parents=True)
    with pytest.raises(ConfigError, match=r"known-broadcasters\.json cannot be read \(Is a directory\)"):
        load(file)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "state").write_bytes(b"")
    with pytest.raises(ConfigError, match="cannot be"):
        remember(tmp_path / "state" / "known.json", trust(1))


def test_the_place_follows_the_base_directory_specification(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/state")
    assert default_file() == Path("/state/slatecast/known-broadcasters.json")
    monkeypatch.setenv("HOME", "/home/somebody")
    for unusable in ("", "relative"):
        monkeypatch.setenv("XDG_STATE_HOME", unusable)
        assert default_file() == Path("/home/somebody/.local/state/slatecast/known-broadcasters.json")
