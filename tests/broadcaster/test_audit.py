import errno
import fcntl
import json
import os
import stat
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broadcaster import audit
from broadcaster.audit import (
    BEFORE_THE_FIRST,
    MAX_ENTRY_LENGTH,
    MAX_FIELDS,
    AuditEvent,
    AuditLog,
    decode_entry,
    line_digest,
    signed_bytes,
)
from broadcaster.audit_check import verify_audit
from protocol import signing
from protocol.errors import LibraryError, SessionStateError
from protocol.signing import Purpose, SigningKey

NOW = datetime(2026, 3, 1, 12, 0, 0, 250_000, tzinfo=UTC)
DIRECTOR = SigningKey(bytes(range(32)))

APPEND_MANY = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from broadcaster.audit import AuditEvent, AuditLog
from protocol.signing import SigningKey
log = AuditLog(Path(sys.argv[1]), SigningKey(bytes(range(32))))
for number in range(40):
    log.append(AuditEvent.ORDER_GIVEN, {"writer": sys.argv[2], "number": number}, datetime.now(UTC))
"""


def log_in(folder: Path) -> AuditLog:
    return AuditLog(folder / audit.AUDIT_FILE, DIRECTOR)


def lines_of(log: AuditLog) -> list[bytes]:
    return log.path.read_bytes().splitlines()


def is_good(log: AuditLog) -> bool:
    return verify_audit(log.path, lambda key: key == DIRECTOR.public).is_good


def test_an_entry_is_a_signed_line_that_names_the_one_before(tmp_path: Path) -> None:
    log = log_in(tmp_path)
    first = log.append(AuditEvent.CAST_STARTED, {"image": "classroom", "version": 3}, NOW)
    second = log.append(AuditEvent.CAST_ENDED, {}, NOW.astimezone(timezone(timedelta(hours=5))))
    one, two = lines_of(log)
    assert (line_digest(one), line_digest(two)) == (first, second)
    entry, next_entry = decode_entry(one), decode_entry(two)
    assert entry is not None
    assert next_entry is not None
    assert (entry.number, entry.previous, next_entry.number, next_entry.previous) == (1, BEFORE_THE_FIRST, 2, first)
    assert entry.time == next_entry.time == "2026-03-01T12:00:00.250Z"
    assert (entry.event, entry.fields) == ("cast started", {"image": "classroom", "version": 3})
    signing.verify(DIRECTOR.public, Purpose.AUDIT, signed_bytes(entry), entry.signature)
    assert json.loads(one)["number"] == 1


def test_nobody_else_may_read_it(tmp_path: Path) -> None:
    log = log_in(tmp_path)
    log.append(AuditEvent.CAST_STARTED, {}, NOW)
    assert stat.S_IMODE(log.path.stat().st_mode) == 0o600


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(max_size=500) | st.sampled_from(["a\nb", "\u2028", "\u202e", "\x1b[2J", "\udc80", "\0"]))
def test_hostile_texts_stay_one_line(tmp_path: Path, text: str) -> None:
    log = log_in(tmp_path)
    log.path.unlink(missing_ok=True)
    log.append(AuditEvent.RECEIVER_ADMITTED, {"seat": text}, NOW)
    (line,) = log.path.read_text(encoding="utf-8").splitlines()  # splits at U+2028 and the like, too
    entry = decode_entry(line.encode())
    assert entry is not None
    assert str(entry.fields["seat"]).isprintable()
    assert is_good(log)


def test_the_longest_entry_is_read_back(tmp_path: Path) -> None:
    log = log_in(tmp_path)
    fields = {f"field {number:02}": "\N{GRINNING FACE}" * 500 for number in range(MAX_FIELDS)}
    log.append(AuditEvent.SEAT_ENDED, fields, NOW)
    log.append(AuditEvent.SEAT_ENDED, fields, NOW)
    assert max(map(len, lines_of(log))) < MAX_ENTRY_LENGTH
    assert is_good(log)


def test_misuse_is_told(tmp_path: Path) -> None:
    log = log_in(tmp_path)
    with pytest.raises(SessionStateError):
        log.append(AuditEvent.CAST_ENDED, {str(number): number for number in range(MAX_FIELDS + 1)}, NOW)
    with pytest.raises(SessionStateError):
        log.append(AuditEvent.CAST_ENDED, {}, NOW.replace(tzinfo=None))
    assert not log.path.exists()


@pytest.mark.parametrize("cut", [1, 10, 200])
def test_a_half_written_line_stays_and_is_told(tmp_path: Path, cut: int) -> None:
    log = log_in(tmp_path)
    log.append(AuditEvent.CAST_STARTED, {}, NOW)
    log.append(AuditEvent.CAST_ENDED, {}, NOW)
    whole = log.path.read_bytes()
    torn = whole[: -1 - cut]
    log.path.write_bytes(torn)
    assert verify_audit(log.path, lambda key: True).notes
    log.append(AuditEvent.IMAGE_ADDED, {}, NOW)
    assert log.path.read_bytes().startswith(torn + b"\n")
    entries = [decode_entry(line) for line in lines_of(log)]
    assert [entry and entry.event for entry in entries] == ["cast started", None, "torn line", "image added"]
    verdict = verify_audit(log.path, lambda key: key == DIRECTOR.public)
    assert verdict.is_good
    assert verdict.notes == [
        f"before entry 2 there are {len(torn.splitlines()[1])} bytes of an entry that was not finished"
    ]


def test_an_entry_that_lacks_its_line_feed_only_is_an_entry(tmp_path: Path) -> None:
    log = log_in(tmp_path)
    log.append(AuditEvent.CAST_STARTED, {}, NOW)
    log.path.write_bytes(log.path.read_bytes()[:-1])
    log.append(AuditEvent.CAST_ENDED, {}, NOW)
    assert len(lines_of(log)) == 2
    assert is_good(log)


def test_zeros_that_a_power_cut_left_are_half_a_line(tmp_path: Path) -> None:
    log = log_in(tmp_path)
    log.append(AuditEvent.CAST_STARTED, {}, NOW)
    with log.path.open("ab") as file:
        file.write(bytes(4096))
    log.append(AuditEvent.CAST_ENDED, {}, NOW)
    assert is_good(log)


def test_an_altered_last_entry_is_not_taken_for_half_a_line(tmp_path: Path) -> None:
    log = log_in(tmp_path)
    log.append(AuditEvent.CAST_STARTED, {"image": "classroom"}, NOW)
    log.path.write_bytes(log.path.read_bytes().replace(b'"classroom"', b"classroom"))
    log.append(AuditEvent.CAST_ENDED, {}, NOW)
    assert not is_good(log)


def test_a_file_of_another_kind_is_left_alone(tmp_path: Path) -> None:
    log = log_in(tmp_path)
    log.path.write_bytes(b"x" * (audit._WINDOW + 1))
    with pytest.raises(LibraryError, match="no audit log"):
        log.append(AuditEvent.CAST_STARTED, {}, NOW)
    assert log.path.stat().st_size == audit._WINDOW + 1


@pytest.mark.parametrize("kind", ["link", "pipe", "folder", "no folder"])
def test_what_is_no_file_is_refused_in_one_line(tmp_path: Path, kind: str) -> None:
    log = log_in(tmp_path)
    match kind:
        case "link":
            log.path.symlink_to(tmp_path / "elsewhere")
        case "pipe":
            os.mkfifo(log.path)
        case "folder":
            log.path.mkdir()
        case _:
            log = log_in(tmp_path / "missing")
    with pytest.raises(LibraryError) as caught:
        log.append(AuditEvent.CAST_STARTED, {}, NOW)
    assert str(caught.value).count("\n") == 0
    assert not (tmp_path / "elsewhere").exists()


def test_a_full_disk_is_told_and_leaves_no_half_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = log_in(tmp_path)
    log.append(AuditEvent.CAST_STARTED, {}, NOW)
    before = log.path.read_bytes()
    real_write = os.write
    writes = iter([True, False])

    def write(descriptor: int, data: bytes) -> int:
        if next(writes):
            return real_write(descriptor, data[:100])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", write)
    with pytest.raises(LibraryError, match="lacks 'cast ended': No space left on device"):
        log.append(AuditEvent.CAST_ENDED, {}, NOW)
    monkeypatch.undo()
    assert log.path.read_bytes() == before
    log.append(AuditEvent.CAST_ENDED, {}, NOW)
    assert is_good(log)


def test_who_holds_the_lock_for_ever_stops_nobody(tmp_path: Path) -> None:
    log = log_in(tmp_path)
    log.append(AuditEvent.CAST_STARTED, {}, NOW)
    with log.path.open("rb") as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)
        with pytest.raises(LibraryError, match="another program holds it"):
            log.append(AuditEvent.CAST_ENDED, {}, NOW, patience=0.03)


def test_threads_take_turns(tmp_path: Path) -> None:
    log = log_in(tmp_path)

    def write() -> None:
        for _ in range(10):
            log.append(AuditEvent.ORDER_GIVEN, {}, NOW)

    threads = [threading.Thread(target=write) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(lines_of(log)) == 30
    assert is_good(log)


@pytest.mark.system
def test_processes_take_turns(tmp_path: Path) -> None:
    log = log_in(tmp_path)
    command = [sys.executable, "-c", APPEND_MANY, str(log.path)]
    writers = [subprocess.Popen([*command, name]) for name in ("one", "two")]
    assert [writer.wait(60) for writer in writers] == [0, 0]
    assert len(lines_of(log)) == 80
    assert is_good(log)
