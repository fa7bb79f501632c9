import os
from pathlib import Path

import pytest

from protocol.errors import ConfigError
from protocol.signing import SigningKey
from protocol.trust import MAX_TRUST_LENGTH, Trust, encode_trust, succeed
from slatecast.cli.trust_file import read_trust, write_trust
from tests.certificates import certificate

KEY = SigningKey(bytes(32))
TRUST = Trust(director_key=KEY.public, image_keys=(KEY.public,), authority=certificate())


def test_a_trust_is_carried_in_a_file(tmp_path: Path) -> None:
    write_trust(tmp_path / "trust", TRUST, force=False)
    assert read_trust(tmp_path / "trust") == TRUST
    assert [path.name for path in tmp_path.iterdir()] == ["trust"]


def test_a_file_is_replaced_only_if_asked(tmp_path: Path) -> None:
    write_trust(tmp_path / "trust", TRUST, force=False)
    newer = succeed(TRUST, KEY)
    with pytest.raises(ConfigError, match="--force replaces it"):
        write_trust(tmp_path / "trust", newer, force=False)
    assert read_trust(tmp_path / "trust") == TRUST
    write_trust(tmp_path / "trust", newer, force=True)
    assert read_trust(tmp_path / "trust") == newer


@pytest.mark.parametrize(
    "contents", [b"", b"{}", b"\xff\xfe", b"[" * 5000, b" " * (MAX_TRUST_LENGTH + 9), encode_trust(TRUST)[:-1]]
)
def test_what_is_no_trust_file(tmp_path: Path, contents: bytes) -> None:
    (tmp_path / "trust").write_bytes(contents)
    with pytest.raises(ConfigError, match="'slatecast keys export-trust' makes one") as raised:
        read_trust(tmp_path / "trust")
    assert "\n" not in str(raised.value)


def test_what_cannot_be_read_or_written(tmp_path: Path) -> None:
    for path in (tmp_path / "missing", tmp_path):
        with pytest.raises(ConfigError, match="cannot be read"):
            read_trust(path)
    for path in (tmp_path / "missing" / "trust", Path("/proc/trust-of-slatecast")):
        with pytest.raises(ConfigError, match="cannot be written"):
            write_trust(path, TRUST, force=False)


def test_a_full_stick_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_trust(tmp_path / "trust", TRUST, force=False)

    def full(_: int) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ConfigError, match="No space left"):
        write_trust(tmp_path / "trust", succeed(TRUST, KEY), force=True)
    assert read_trust(tmp_path / "trust") == TRUST
    assert [path.name for path in tmp_path.iterdir()] == ["trust"]
