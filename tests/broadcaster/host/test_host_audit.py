import asyncio
from pathlib import Path

import pytest

from broadcaster.audit import AUDIT_FILE, AuditLog
from broadcaster.audit_check import read_entries, verify_audit
from broadcaster.host.host_audit import HostAudit
from broadcaster.waiting_room import WaitingRoom
from tests.broadcaster.applicants import Candidate
from tests.sample_messages import DIRECTOR


def apply(room: WaitingRoom, candidate: Candidate) -> None:
    room.offered(candidate.exchange)
    applicant = room.confirmed(candidate.receiver_id, candidate.confirm, 0.0)
    assert applicant is not None
    pairing = applicant.exchange.pairing
    if pairing is not None:
        room.judged(applicant, pairing.key(candidate.hello.pairing), 0.0)
    room.announce(applicant)


def test_who_was_let_in_and_by_whom(tmp_path: Path) -> None:
    log = AuditLog(tmp_path / AUDIT_FILE, DIRECTOR)
    audit = HostAudit(log)
    room = WaitingRoom(audit.happened)
    by_token, by_anna, refused = Candidate(1, token="4711", theirs="4711"), Candidate(2), Candidate(3)
    for candidate in (by_token, by_anna, refused):
        apply(room, candidate)
    audit.deciding("anna")
    room.accept(by_anna.receiver_id)
    room.refuse(refused.receiver_id)
    asyncio.run(audit.close())
    assert verify_audit(log.path, lambda key: key == DIRECTOR.public).is_good
    assert [entry.fields for entry in read_entries(log.path)] == [
        {"receiver": by_token.receiver_id, "seat": "seat-1", "how": "token"},
        {"receiver": by_anna.receiver_id, "seat": "seat-2", "how": "operator", "operator": "anna"},
    ]


def test_a_log_that_cannot_be_written_stops_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    audit = HostAudit(AuditLog(tmp_path / "missing" / AUDIT_FILE, DIRECTOR))
    room = WaitingRoom(audit.happened)
    apply(room, Candidate(1))
    room.accept(Candidate(1).receiver_id)
    asyncio.run(audit.close())
    assert "No such file" in caplog.text
