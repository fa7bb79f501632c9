from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from broadcaster.report import SessionReport, seal_report
from protocol.errors import ConfigError
from protocol.signing import SigningKey
from protocol.trust import encode_trust, succeed
from slatecast.cli.context import Context
from slatecast.cli.report import report
from tests.broadcaster.proved_report import proved_report, unsigned_report
from tests.sample_messages import DIRECTOR
from tests.slatecast.cli.trusted import trust_of


@pytest.fixture(autouse=True)
def keys(tmp_path: Path) -> Path:
    """A folder with the public side of the director's keys."""
    folder = tmp_path / "keys"
    folder.mkdir()
    (folder / "trust.json").write_bytes(encode_trust(trust_of(DIRECTOR)))
    return folder


def verify(tmp_path: Path, content: SessionReport | bytes, *options: str) -> Result:
    file = tmp_path / "report.json"
    encoded = content if isinstance(content, bytes) else msgspec.json.format(msgspec.json.encode(content), indent=2)
    file.write_bytes(encoded)
    context = Context(library=tmp_path / "library", keys=tmp_path / "keys")
    return CliRunner().invoke(report, ["verify", str(file), *options], obj=context, standalone_mode=False)


def test_a_good_report_says_so_for_every_seat(tmp_path: Path) -> None:
    result = verify(tmp_path, proved_report())
    assert result.return_value == 0
    assert result.stdout.splitlines() == [
        "ok  absent 1: not verified: absent",
        "ok  seat-1: verified: 8388608 bytes of /dev/sda, serial S3Z8NB0K read back",
        "ok  seat-2: verified: 8388608 bytes of /dev/sda, serial S3Z8NB0K read back",
        "ok  seat-3: not verified: failed",
        "ok  report of session 0123456789abcdef, image classroom version 3: 2 of 4 seats are proved to be verified",
    ]


def test_an_altered_report_is_bad(tmp_path: Path) -> None:
    altered = msgspec.structs.replace(proved_report(), seconds=1.0)
    result = verify(tmp_path, altered)
    assert result.return_value == 5
    assert result.stdout.splitlines()[-1].startswith("BAD report of session")
    assert "altered after the cast" in result.stdout


def test_a_seat_without_its_certificate_is_bad(tmp_path: Path) -> None:
    result = verify(tmp_path, seal_report(unsigned_report(2), DIRECTOR))
    assert result.return_value == 5
    assert "BAD seat-1: is called verified, but has no certificate" in result.stdout
    assert result.stdout.splitlines()[-1].endswith("1 of 4 seats do not match")


def test_a_report_of_another_broadcaster_is_bad_unless_its_trust_is_named(tmp_path: Path) -> None:
    other = SigningKey(b"o" * 32)
    (tmp_path / "other.json").write_bytes(encode_trust(trust_of(other)))
    assert verify(tmp_path, proved_report(), "--trust", str(tmp_path / "other.json")).return_value == 5
    assert verify(tmp_path, proved_report(), "--keys", str(tmp_path / "keys")).return_value == 0


def test_a_report_of_an_earlier_director_is_good_and_says_so(tmp_path: Path, keys: Path) -> None:
    later = succeed(trust_of(DIRECTOR), DIRECTOR, director_key=SigningKey(b"o" * 32).public)
    (keys / "trust.json").write_bytes(encode_trust(later))
    result = verify(tmp_path, proved_report())
    assert result.return_value == 0
    assert "note: signed with a director key that was replaced since" in result.stdout


def test_hostile_texts_stay_one_line(tmp_path: Path) -> None:
    seats = [msgspec.structs.replace(seat, seat="a\nok  b\x1b[2J") for seat in proved_report().seats]
    result = verify(tmp_path, proved_report(seats=seats))
    assert len(result.stdout.splitlines()) == 5
    assert "\x1b" not in result.stdout


@pytest.mark.parametrize("content", [b"", b"junk", b"{}", b"\xff\xfe"])
def test_what_is_no_report_is_told_in_one_line(tmp_path: Path, content: bytes) -> None:
    error = verify(tmp_path, content).exception
    assert isinstance(error, ConfigError)
    assert "is no report of a cast" in str(error)
    assert "\n" not in str(error)


def test_a_file_that_is_not_there_is_told_in_one_line(tmp_path: Path) -> None:
    result = CliRunner().invoke(
        report,
        ["verify", str(tmp_path / "missing")],
        obj=Context(library=tmp_path, keys=tmp_path / "keys"),
        standalone_mode=False,
    )
    assert isinstance(result.exception, ConfigError)
    assert "cannot be read: No such file" in str(result.exception)
