import asyncio
import contextlib
import fcntl
import logging
import os
import socket
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from broadcaster import cast_audit
from broadcaster.audit import AUDIT_FILE, LOCK_PATIENCE, AuditEntry, AuditEvent, AuditLog
from broadcaster.audit_check import read_entries, verify_audit
from broadcaster.cast_audit import CastAudit, note, utc_now, who_orders
from broadcaster.report_check import check_seats, check_whole
from protocol.certificate import certificate_digest
from protocol.errors import TransportError
from tests.broadcaster.proved_report import unsigned_report
from tests.certified import signed_certificate, signer
from tests.sample_messages import DIRECTOR, MANIFEST_DIGEST, TSI, announcement

NOW = datetime(2026, 3, 1, tzinfo=UTC)
SEAT_1 = signer(1).receiver_id


def log_in(folder: Path) -> AuditLog:
    return AuditLog(folder / AUDIT_FILE, DIRECTOR)


def entries_of(log: AuditLog) -> list[AuditEntry]:
    assert verify_audit(log.path, lambda key: key == DIRECTOR.public).is_good
    return list(read_entries(log.path))


def is_director(key: bytes) -> bool:
    return key == DIRECTOR.public


def test_a_cast_is_written_down_from_beginning_to_end(tmp_path: Path) -> None:
    log = log_in(tmp_path)
    with CastAudit(log, DIRECTOR, lambda: NOW) as audit:
        audit.started(announcement(), expected_seats=4)
        audit.admitted(SEAT_1, "seat-1", "operator")
        audit.ordered(SEAT_1, "seat-1")
        audit.ordered(SEAT_1, "seat-1")
        report = asyncio.run(audit.finished(unsigned_report(1, 2)))
    entries = entries_of(log)
    assert [entry.event for entry in entries] == [
        "cast started",
        "receiver admitted",
        "order given",
        *["seat ended"] * 3,
        "cast ended",
    ]
    started, admitted, ordered, seat_1, *_, ended = (entry.fields for entry in entries)
    assert started == {
        "session": TSI,
        **who_orders(),
        "image": "classroom",
        "version": 3,
        "manifest_digest": MANIFEST_DIGEST.hex(),
        "expected_seats": 4,
        "resumed": 0,
    }
    assert admitted == {"session": TSI, "receiver": SEAT_1, "seat": "seat-1", "how": "operator"}
    assert ordered == {"session": TSI, "receiver": SEAT_1, "seat": "seat-1"}
    assert seat_1 == {
        "session": TSI,
        "receiver": SEAT_1,
        "seat": "seat-1",
        "outcome": "verified",
        "reason": "",
        "certificate_digest": certificate_digest(signed_certificate(1).certificate),
    }
    assert (ended["session"], ended["seats_verified"]) == (TSI, 2)
    assert verify_audit(log.path, is_director, report.audit_head).is_good
    assert not check_whole(report, is_director)
    assert all(seat.is_good for seat in check_seats(report, is_director))


def test_a_cast_that_fails_is_ended_as_well(tmp_path: Path) -> None:
    log = log_in(tmp_path)
    with contextlib.suppress(TransportError), CastAudit(log, DIRECTOR) as audit:
        audit.started(announcement(), expected_seats=1, is_resumed=True)
        raise TransportError("no network")
    started, ended = entries_of(log)
    assert started.fields["resumed"] == 1
    assert (ended.event, ended.fields) == ("cast ended", {"session": TSI, "reason": "no network"})


def test_what_was_not_started_is_not_ended(tmp_path: Path) -> None:
    log = log_in(tmp_path)
    with CastAudit(log, DIRECTOR):
        pass
    assert not log.path.exists()


def test_a_log_that_cannot_be_written_stops_no_cast(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    log = log_in(tmp_path)
    log.path.mkdir()
    with caplog.at_level(logging.WARNING), CastAudit(log, DIRECTOR) as audit:
        audit.started(announcement(), expected_seats=4)
        audit.ordered(SEAT_1, "seat-1")
        report = asyncio.run(audit.finished(unsigned_report(1, 2)))
    (record,) = caplog.records
    assert record.getMessage().startswith(f"the cast goes on, but the audit log {log.path} lacks 'cast started'")
    assert report.audit_head == ""
    assert not check_whole(report, is_director)


def test_entries_that_were_lost_are_counted(tmp_path: Path) -> None:
    log = log_in(tmp_path)
    log.path.mkdir()
    with CastAudit(log, DIRECTOR, lambda: NOW) as audit:
        audit.started(announcement(), expected_seats=4)
        audit._writer.submit(log.path.rmdir).result()
        report = asyncio.run(audit.finished(unsigned_report(1, 2)))
    assert entries_of(log)[-1].fields["entries_lost"] == 1
    assert verify_audit(log.path, is_director, report.audit_head).is_good


class StubbornLog(AuditLog):
    """One whose lock somebody holds for ever."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, DIRECTOR)
        self.waited: list[float] = []

    def append(
        self, event: AuditEvent, fields: Mapping[str, str | int], now: datetime, *, patience: float = LOCK_PATIENCE
    ) -> str:
        self.waited.append(patience)
        with self.path.open("wb") as holder:
            fcntl.flock(holder, fcntl.LOCK_EX)
            return super().append(event, fields, now, patience=0.0)


def test_who_holds_the_lock_is_waited_for_once(tmp_path: Path) -> None:
    log = StubbornLog(tmp_path / AUDIT_FILE)
    with CastAudit(log, DIRECTOR) as audit:
        audit.started(announcement(), expected_seats=4)
        report = asyncio.run(audit.finished(unsigned_report(1, 2)))
    assert report.audit_head == ""
    assert log.waited == [LOCK_PATIENCE, 0.0, 0.0, 0.0, 0.0]


def test_the_end_of_a_cast_does_not_wait_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cast_audit, "AUDIT_PATIENCE", 0.02)
    is_over = threading.Event()
    with CastAudit(log_in(tmp_path), DIRECTOR) as audit:
        audit._writer.submit(is_over.wait)
        report = asyncio.run(audit.finished(unsigned_report(1, 2)))
        is_over.set()
    assert report.audit_head == ""
    assert not check_whole(report, is_director)


def test_a_single_event_is_noted_or_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    log = log_in(tmp_path)
    assert note(log, AuditEvent.IMAGE_ADDED, NOW, {"image": "classroom"})
    assert entries_of(log)[0].fields == {"image": "classroom"}
    log.path.unlink()
    log.path.mkdir()
    assert note(log, AuditEvent.IMAGE_REMOVED, NOW, {}) == ""
    assert "lacks 'image removed'" in caplog.text


def test_who_orders_is_the_user_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUDO_USER", "anna")
    monkeypatch.setattr(os, "getuid", lambda: 0)
    assert who_orders() == {"user": "root (sudo by anna)", "host": socket.gethostname()}
    monkeypatch.setattr(os, "getuid", lambda: 4_000_000)
    assert who_orders()["user"] == "4000000"


def test_time_is_told_with_its_zone() -> None:
    assert utc_now().tzinfo is UTC


def test_who_ordered_at_the_console_is_named_with_every_wipe(tmp_path: Path) -> None:
    log = log_in(tmp_path)
    with CastAudit(log, DIRECTOR, lambda: NOW, operator="anna") as audit:
        audit.started(announcement(), expected_seats=2)
        audit.operator = "bert"
        audit.ordered(SEAT_1, "seat-1")
        asyncio.run(audit.finished(unsigned_report(1)))
    started, ordered, *_ = entries_of(log)
    assert (started.event, started.fields["operator"]) == (AuditEvent.CAST_STARTED, "anna")
    assert (ordered.event, ordered.fields["operator"]) == (AuditEvent.ORDER_GIVEN, "bert")
