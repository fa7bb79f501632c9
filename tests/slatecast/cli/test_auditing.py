import logging
from pathlib import Path

import pytest

from broadcaster.audit import AUDIT_FILE, AuditEvent
from broadcaster.audit_check import read_entries, verify_audit
from broadcaster.cast_audit import who_orders
from broadcaster.keys import KeyStore
from slatecast.cli.auditing import write_down


@pytest.fixture
def store(tmp_path: Path) -> KeyStore:
    return KeyStore.open_or_create(tmp_path / "keys")


def test_what_was_done_is_written_with_who_did_it(store: KeyStore, tmp_path: Path) -> None:
    write_down(tmp_path, store, AuditEvent.KEYS_ROTATED, key="image")
    write_down(tmp_path, store, AuditEvent.KEYS_ROTATED, key="director")
    log = tmp_path / AUDIT_FILE
    assert verify_audit(log, lambda key: key == store.director.public).is_good
    entries = list(read_entries(log))
    assert [entry.event for entry in entries] == [AuditEvent.KEYS_ROTATED] * 2
    assert [entry.fields for entry in entries] == [{**who_orders(), "key": key} for key in ("image", "director")]


def test_where_there_is_no_library_none_is_made(store: KeyStore, tmp_path: Path) -> None:
    write_down(tmp_path / "library", store, AuditEvent.KEYS_ROTATED, key="image")
    assert not (tmp_path / "library").exists()


def test_a_log_that_cannot_be_written_stops_no_command(
    store: KeyStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / AUDIT_FILE).mkdir()
    with caplog.at_level(logging.WARNING):
        write_down(tmp_path, store, AuditEvent.KEYS_ROTATED, key="image")
    (record,) = caplog.records
    assert AUDIT_FILE in record.getMessage()
    assert "\n" not in record.getMessage()
