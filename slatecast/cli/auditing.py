"""Writes what a command did into the audit log of the library; a log that cannot be written stops no command."""

from pathlib import Path

from broadcaster.audit import AUDIT_FILE, AuditEvent, AuditLog
from broadcaster.cast_audit import note, utc_now, who_orders
from broadcaster.keys import KeyStore


def write_down(library: Path, store: KeyStore, event: AuditEvent, **fields: str | int) -> None:
    """Add one entry that says who did what; nothing where there is no library yet, as nothing was cast from it."""
    if library.is_dir():
        note(AuditLog(library / AUDIT_FILE, store.director), event, utc_now(), {**who_orders(), **fields})
