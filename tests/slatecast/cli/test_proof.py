from pathlib import Path

import pytest

from protocol.errors import ConfigError
from protocol.signing import SigningKey
from protocol.trust import encode_trust
from slatecast.cli.proof import believed_trust, one_line
from tests.sample_messages import DIRECTOR
from tests.slatecast.cli.trusted import trust_of


def test_the_director_of_the_named_trust_is_believed(tmp_path: Path) -> None:
    (tmp_path / "room.json").write_bytes(encode_trust(trust_of(DIRECTOR)))
    assert believed_trust(tmp_path / "room.json", tmp_path / "nowhere") == trust_of(DIRECTOR)


def test_else_the_director_of_the_keys(tmp_path: Path) -> None:
    (tmp_path / "trust.json").write_bytes(encode_trust(trust_of(DIRECTOR)))
    assert believed_trust(None, tmp_path) == trust_of(DIRECTOR)


def test_a_named_trust_comes_before_the_keys(tmp_path: Path) -> None:
    other = SigningKey(b"o" * 32)
    (tmp_path / "trust.json").write_bytes(encode_trust(trust_of(DIRECTOR)))
    (tmp_path / "other.json").write_bytes(encode_trust(trust_of(other)))
    assert believed_trust(tmp_path / "other.json", tmp_path) == trust_of(other)


def test_without_either_it_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--trust"):
        believed_trust(None, tmp_path)
    with pytest.raises(ConfigError, match="cannot be read"):
        believed_trust(tmp_path / "missing.json", tmp_path)
    (tmp_path / "trust.json").write_bytes(b"junk")
    with pytest.raises(ConfigError, match="no trust file"):
        believed_trust(None, tmp_path)


@pytest.mark.parametrize("text", ["a\nb", "\x1b[31m", "\u202e", "\u2028", "\udc80", "\0"])
def test_what_could_disturb_a_terminal_is_escaped(text: str) -> None:
    assert one_line(text).isprintable()
    assert one_line("Platz 7, Übung") == "Platz 7, Übung"
