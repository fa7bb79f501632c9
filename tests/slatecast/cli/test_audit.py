import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from broadcaster.audit import AUDIT_FILE, AuditEvent, AuditLog
from protocol.errors import ConfigError
from protocol.signing import SigningKey
from protocol.trust import encode_trust
from slatecast.cli.audit import audit
from slatecast.cli.context import Context
from tests.sample_messages import DIRECTOR
from tests.slatecast.cli.trusted import trust_of

NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def heads(tmp_path: Path) -> list[str]:
    """The heads of a log of two entries in a library, with the public side of the director's keys beside it."""
    (tmp_path / "trust.json").write_bytes(encode_trust(trust_of(DIRECTOR)))
    log = AuditLog(tmp_path / AUDIT_FILE, DIRECTOR)
    return [
        log.append(AuditEvent.CAST_STARTED, {"image": "classroom", "expected_seats": 2}, NOW),
        log.append(AuditEvent.CAST_ENDED, {"reason": "", "seat": "hostile\nseat"}, NOW),
    ]


def run(tmp_path: Path, *arguments: str) -> Result:
    context = Context(library=tmp_path, keys=tmp_path)
    return CliRunner().invoke(audit, arguments, obj=context, standalone_mode=False)


def test_a_good_log_says_so(tmp_path: Path, heads: list[str]) -> None:
    for options in ((), ("--head", heads[0]), ("--head", heads[1].upper())):
        result = run(tmp_path, "verify", *options)
        assert result.return_value == 0
        assert result.stdout == f"ok  {tmp_path / AUDIT_FILE}: 2 entries, head {heads[1]}\n"


def test_a_log_that_was_cut_off_is_bad(tmp_path: Path, heads: list[str]) -> None:
    path = tmp_path / AUDIT_FILE
    path.write_bytes(path.read_bytes().splitlines(keepends=True)[0])
    assert run(tmp_path, "verify").return_value == 0
    result = run(tmp_path, "verify", "--head", heads[1])
    assert result.return_value == 5
    assert "its end was cut off" in result.stdout


def test_an_altered_copy_is_bad(tmp_path: Path, heads: list[str]) -> None:
    copy = tmp_path / "copy.jsonl"
    copy.write_bytes((tmp_path / AUDIT_FILE).read_bytes().replace(b"classroom", b"cloakroom"))
    result = run(tmp_path, "verify", str(copy))
    assert result.return_value == 5
    assert "BAD entry 1 was altered" in result.stdout
    assert result.stdout.splitlines()[-1] == f"BAD {copy}: this is not the log that the broadcaster wrote"


def test_a_half_written_end_is_noted(tmp_path: Path, heads: list[str]) -> None:
    path = tmp_path / AUDIT_FILE
    path.write_bytes(path.read_bytes()[:-20])
    result = run(tmp_path, "verify")
    assert result.return_value == 0
    assert result.stdout.startswith("note: after entry 1 there are ")


def test_another_trust_can_be_named(tmp_path: Path, heads: list[str]) -> None:
    (tmp_path / "other.json").write_bytes(encode_trust(trust_of(SigningKey(b"o" * 32))))
    assert run(tmp_path, "verify", "--trust", str(tmp_path / "other.json")).return_value == 5


@pytest.mark.parametrize("head", ["", "abc", "z" * 64, "0" * 63])
def test_what_is_no_head_is_refused(tmp_path: Path, heads: list[str], head: str) -> None:
    assert isinstance(run(tmp_path, "verify", "--head", head).exception, ConfigError)


def test_show_prints_one_line_an_entry(tmp_path: Path, heads: list[str]) -> None:
    first, second = run(tmp_path, "show").stdout.splitlines()
    assert first == "     1 2026-03-01T00:00:00.000Z cast started: expected seats 2, image classroom"
    assert second.endswith("cast ended: seat hostile\N{REPLACEMENT CHARACTER}seat")


def test_show_prints_json(tmp_path: Path, heads: list[str]) -> None:
    entries = json.loads(run(tmp_path, "show", "--json").stdout)
    assert [entry["event"] for entry in entries] == ["cast started", "cast ended"]
    assert entries[1]["previous"] == heads[0]


@pytest.mark.parametrize("command", ["verify", "show"])
def test_without_a_log_it_says_so(tmp_path: Path, command: str) -> None:
    (tmp_path / "trust.json").write_bytes(encode_trust(trust_of(DIRECTOR)))
    result = run(tmp_path, command)
    assert isinstance(result.exception, ConfigError)
    assert "there is none" in str(result.exception)
