from pathlib import Path

import pytest

from broadcaster.audit import AUDIT_FILE, AuditEvent
from broadcaster.audit_check import read_entries, verify_audit
from broadcaster.directors import was_director
from broadcaster.keys import KeyStore
from broadcaster.library.library import Library
from slatecast.cli.auditing import write_down


@pytest.fixture
def store(tmp_path: Path) -> KeyStore:
    return KeyStore.open_or_create(tmp_path / "keys")


def test_what_was_done_is_in_the_log_of_the_library(tmp_path: Path, store: KeyStore) -> None:
    library = Library.open_or_create(tmp_path / "library").root
    write_down(library, store, AuditEvent.IMAGE_ADDED, image="lab", version=3)
    write_down(library, store, AuditEvent.KEYS_ROTATED, key="image")
    entries = list(read_entries(library / AUDIT_FILE))
    assert [entry.event for entry in entries] == [AuditEvent.IMAGE_ADDED, AuditEvent.KEYS_ROTATED]
    assert (entries[0].fields["image"], entries[0].fields["version"]) == ("lab", 3)
    assert all(entry.fields["user"] and entry.fields["host"] for entry in entries)
    verdict = verify_audit(library / AUDIT_FILE, lambda key: was_director(store.trust, key))
    assert not verdict.faults


def test_without_a_library_nothing_is_made(tmp_path: Path, store: KeyStore) -> None:
    write_down(tmp_path / "library", store, AuditEvent.KEYS_ROTATED, key="director")
    assert not (tmp_path / "library").exists()


def test_a_log_that_cannot_be_written_stops_nothing(
    tmp_path: Path, store: KeyStore, caplog: pytest.LogCaptureFixture
) -> None:
    library = Library.open_or_create(tmp_path / "library").root
    (library / AUDIT_FILE).mkdir()
    write_down(library, store, AuditEvent.IMAGE_ADDED, image="lab", version=1)
    assert len(caplog.records) == 1
