import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broadcaster import audit_check
from broadcaster.audit import AUDIT_FILE, MAX_ENTRY_LENGTH, AuditEvent, AuditLog
from broadcaster.audit_check import AuditVerdict, read_entries, verify_audit
from protocol.errors import ConfigError
from protocol.signing import SigningKey

NOW = datetime(2026, 3, 1, tzinfo=UTC)
DIRECTOR = SigningKey(bytes(range(32)))
STRANGER = SigningKey(bytes(32))
EVENTS = (AuditEvent.CAST_STARTED, AuditEvent.RECEIVER_ADMITTED, AuditEvent.ORDER_GIVEN, AuditEvent.CAST_ENDED)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[bytes], list[str]]:
    """The lines of a log of four entries, and their digests."""
    path = tmp_path_factory.mktemp("audit") / AUDIT_FILE
    heads = [AuditLog(path, DIRECTOR).append(event, {"seat": "seat-1", "n": 7}, NOW) for event in EVENTS]
    return path.read_bytes().splitlines(keepends=True), heads


def judged(folder: Path, log: bytes, head: str | None = None) -> AuditVerdict:
    path = folder / AUDIT_FILE
    path.write_bytes(log)
    return verify_audit(path, lambda key: key == DIRECTOR.public, head)


def test_a_whole_log_is_good(tmp_path: Path, whole: tuple[list[bytes], list[str]]) -> None:
    lines, heads = whole
    for head in (None, *heads):
        verdict = judged(tmp_path, b"".join(lines), head)
        assert verdict.is_good
        assert (verdict.entries, verdict.head, verdict.faults, verdict.notes) == (4, heads[-1], [], [])


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_removed_entry_is_found(tmp_path: Path, whole: tuple[list[bytes], list[str]], number: int) -> None:
    lines = whole[0][:number] + whole[0][number + 1 :]
    assert judged(tmp_path, b"".join(lines)).faults == [f"entry {number + 1} is missing"]


def test_entries_that_are_missing_are_counted(tmp_path: Path, whole: tuple[list[bytes], list[str]]) -> None:
    assert judged(tmp_path, whole[0][3]).faults == ["entries 1 to 3 are missing"]


@pytest.mark.parametrize("kept", [0, 1, 3])
def test_a_cut_off_end_is_found_by_the_head_of_a_report(
    tmp_path: Path, whole: tuple[list[bytes], list[str]], kept: int
) -> None:
    lines, heads = whole
    assert judged(tmp_path, b"".join(lines[:kept])).is_good
    verdict = judged(tmp_path, b"".join(lines[:kept]), heads[-1])
    assert "its end was cut off" in verdict.faults[0]


def test_reordered_entries_are_found(tmp_path: Path, whole: tuple[list[bytes], list[str]]) -> None:
    one, two, three, four = whole[0]
    assert not judged(tmp_path, one + three + two + four).is_good
    assert not judged(tmp_path, one + two + four + three).is_good


def test_a_repeated_entry_is_found(tmp_path: Path, whole: tuple[list[bytes], list[str]]) -> None:
    one, two, *_ = whole[0]
    assert judged(tmp_path, one + two + two).faults == ["entry 2 stands after entry 2: repeated, reordered or put in"]


def test_an_entry_of_a_stranger_is_found(tmp_path: Path, whole: tuple[list[bytes], list[str]]) -> None:
    path = tmp_path / AUDIT_FILE
    path.write_bytes(b"".join(whole[0]))
    AuditLog(path, STRANGER).append(AuditEvent.CAST_STARTED, {}, NOW)
    (fault,) = verify_audit(path, lambda key: key == DIRECTOR.public).faults
    assert fault.startswith("entry 5 is signed by ")


def test_entries_of_another_log_are_found(tmp_path: Path, whole: tuple[list[bytes], list[str]]) -> None:
    path = tmp_path / AUDIT_FILE
    for _ in range(3):
        AuditLog(path, DIRECTOR).append(AuditEvent.IMAGE_ADDED, {}, NOW)
    verdict = judged(tmp_path, b"".join(path.read_bytes().splitlines(keepends=True)[:2] + whole[0][2:]))
    assert verdict.faults == ["entry 3 does not follow the entry before it: one of them was altered"]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_altered_byte_is_found(tmp_path: Path, whole: tuple[list[bytes], list[str]], data: st.DataObject) -> None:
    log = bytearray(b"".join(whole[0]))
    position = data.draw(st.integers(0, len(log) - 2))  # without the last line feed it is still the same log
    log[position] ^= data.draw(st.integers(1, 255))
    assert not judged(tmp_path, bytes(log)).is_good


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_removed_or_added_bytes_are_found(
    tmp_path: Path, whole: tuple[list[bytes], list[str]], data: st.DataObject
) -> None:
    log = b"".join(whole[0])
    start = data.draw(st.integers(0, len(log) - 2))
    stop = data.draw(st.integers(start, len(log) - 2))
    log_then = log[:start] + data.draw(st.binary(min_size=stop == start, max_size=20)) + log[stop:]
    assert log_then == log or not judged(tmp_path, log_then).is_good


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(log=st.binary(max_size=2000))
def test_any_bytes_are_judged(tmp_path: Path, log: bytes) -> None:
    verdict = judged(tmp_path, log)
    assert verdict.entries == 0
    assert verdict.is_good == (b"\n" not in log)
    assert list(read_entries(tmp_path / AUDIT_FILE)) == []


def test_a_removed_half_line_is_found(tmp_path: Path, whole: tuple[list[bytes], list[str]]) -> None:
    path = tmp_path / AUDIT_FILE
    path.write_bytes(whole[0][0] + whole[0][1][:50])
    AuditLog(path, DIRECTOR).append(AuditEvent.CAST_ENDED, {}, NOW)
    one, half, torn, ended = path.read_bytes().splitlines(keepends=True)
    assert judged(tmp_path, one + half + torn + ended).is_good
    assert not judged(tmp_path, one + torn + ended).is_good
    assert not judged(tmp_path, one + half[5:] + torn + ended).is_good
    assert not judged(tmp_path, one + half + b"\n" + torn + ended).is_good


def test_the_last_entry_is_found_when_it_is_altered(tmp_path: Path, whole: tuple[list[bytes], list[str]]) -> None:
    """No entry after it names its digest: only the signature tells."""
    *before, last = whole[0]
    altered = last.replace(b'"seat-1"', b'"seat-2"')
    assert judged(tmp_path, b"".join([*before, altered])).faults == [
        "entry 4 was altered: its signature does not match"
    ]
    for spelling in (last.replace(b'"seat":', b'"seat": '), last.replace(b"seat-1", b"se\\u0061t-1")):
        assert spelling != last
        assert not judged(tmp_path, b"".join([*before, spelling])).is_good


def test_a_destroyed_entry_is_not_excused_by_a_half_line_behind_it(
    tmp_path: Path, whole: tuple[list[bytes], list[str]]
) -> None:
    path = tmp_path / AUDIT_FILE
    path.write_bytes(whole[0][0] + whole[0][1].replace(b"{", b"[") + whole[0][2][:50])
    AuditLog(path, DIRECTOR).append(AuditEvent.CAST_ENDED, {}, NOW)
    verdict = verify_audit(path, lambda key: key == DIRECTOR.public)
    assert verdict.faults == ["what stands before entry 2 is no entry: it was altered or destroyed"]


def test_an_endless_line_costs_no_memory(tmp_path: Path, whole: tuple[list[bytes], list[str]]) -> None:
    junk = b"x" * (5 * MAX_ENTRY_LENGTH)
    assert not judged(tmp_path, whole[0][0] + junk + b"\n" + whole[0][1]).is_good


def test_many_faults_are_cut_short(tmp_path: Path, whole: tuple[list[bytes], list[str]]) -> None:
    verdict = judged(tmp_path, whole[0][1] * 50)
    assert verdict.fault_count == 50
    assert len(verdict.faults) == audit_check.MAX_FAULTS + 1
    assert verdict.faults[-1] == "and 30 more"


@pytest.mark.parametrize("kind", ["missing", "folder", "pipe"])
def test_what_is_no_log_is_told_in_one_line(tmp_path: Path, kind: str) -> None:
    path = tmp_path / AUDIT_FILE
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    with pytest.raises(ConfigError, match="cannot be read"):
        verify_audit(path, lambda key: True)


def test_entries_are_read_whatever_they_are_worth(tmp_path: Path, whole: tuple[list[bytes], list[str]]) -> None:
    path = tmp_path / AUDIT_FILE
    path.write_bytes(whole[0][2] + b"junk\n" + whole[0][0])
    assert [entry.number for entry in read_entries(path)] == [3, 1]
