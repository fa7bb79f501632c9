"""Opens the file of the history: makes it, brings an older schema up to the present one, and names what is wrong.

Migrations are Alembic's, in ``migrations/versions``; each runs in a transaction of its own. Write-ahead logging lets
other programs read while we write (sqlite.org/wal.html). Everything here blocks and belongs to the history's thread.
"""

import os
import sqlite3
import threading
from enum import Enum
from pathlib import Path
from typing import Any, Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import StaticPool

from protocol.errors import RefusedError

BUSY_TIMEOUT: Final = 2.0
"""[s] Another program that reads or copies the file holds its lock for milliseconds; after that it is told and tried
again, and meanwhile whoever reads the history waits behind it."""

_MODE: Final = 0o600

_MIGRATING: Final = threading.Lock()
"""Alembic keeps the migration that runs in a global of the process; a second one at a time would get its connection."""


class Trouble(Enum):
    """What kind of thing went wrong with the file."""

    DAMAGED = "damaged"
    """it can be put aside"""
    PASSING = "passing"
    """locked, no space, a disk error: the opened file is good, and writing has to wait"""
    UNUSABLE = "unusable"
    """read-only, no folder, no right: it has to be opened anew"""
    UNFIT = "unfit"
    """for what was to be written; trying again would not help"""


_KINDS: Final = {
    sqlite3.SQLITE_CORRUPT: Trouble.DAMAGED,
    sqlite3.SQLITE_NOTADB: Trouble.DAMAGED,
    sqlite3.SQLITE_BUSY: Trouble.PASSING,
    sqlite3.SQLITE_LOCKED: Trouble.PASSING,
    sqlite3.SQLITE_FULL: Trouble.PASSING,
    sqlite3.SQLITE_IOERR: Trouble.PASSING,  # a full disk too, where SQLite makes room for its shared memory
    sqlite3.SQLITE_MISMATCH: Trouble.UNFIT,
    sqlite3.SQLITE_CONSTRAINT: Trouble.UNFIT,
    sqlite3.SQLITE_TOOBIG: Trouble.UNFIT,
}
_WORDS: Final = {
    sqlite3.SQLITE_BUSY: "another program holds it: end that",
    sqlite3.SQLITE_LOCKED: "another program holds it: end that",
    sqlite3.SQLITE_READONLY: "it may only be read: give the console the right to write it",
    sqlite3.SQLITE_PERM: "it may not be opened: give the console the right to write it",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened: see that its folder is there and may be written",
    sqlite3.SQLITE_FULL: "the disk is full: make room",
    sqlite3.SQLITE_IOERR: "the disk does not read or write it: see to the disk",
}


def open_engine(path: Path) -> Engine:
    """The file at ``path``, made when it is not there, with the present schema.

    Raises:
        RefusedError: its schema is newer than this program, or it is another program's.
        DBAPIError, OSError: see ``trouble_of``.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not path.exists():
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _MODE))
    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        poolclass=StaticPool,
        connect_args={"timeout": BUSY_TIMEOUT, "check_same_thread": False},
    )
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    try:
        with engine.connect() as connection:
            _check(connection)
            _migrate(connection)
    except BaseException:
        engine.dispose()
        raise
    return engine


def trouble_of(error: Exception) -> tuple[Trouble, str]:
    """What kind of error it is, and what is wrong and to be done, in words that follow the file's name."""
    if isinstance(error, OSError):
        return Trouble.UNUSABLE, f"{error.strerror or error}: mend that"
    original = error.orig if isinstance(error, DBAPIError) else error
    code = getattr(original, "sqlite_errorcode", None)
    if code is None:
        return Trouble.UNFIT, f"{type(error).__name__} in what was to be written"
    primary = code & 0xFF
    kind = _KINDS.get(primary, Trouble.UNUSABLE)
    if primary == sqlite3.SQLITE_IOERR:
        # Which operation it was, for whoever looks after the disk.
        return kind, f"{_WORDS[primary]} ({getattr(original, 'sqlite_errorname', 'no name')})"
    return kind, _WORDS.get(primary, f"{original}: mend that")


def scripts() -> ScriptDirectory:
    """The migrations."""
    return ScriptDirectory.from_config(_config())


_PRAGMAS: Final = (
    "journal_mode = WAL",
    # A power cut may lose the last session, and never damages the file (sqlite.org/pragma.html#pragma_synchronous).
    "synchronous = NORMAL",
    "foreign_keys = ON",
    # A file of any origin must not run what its author put into its schema, and what is damaged must be told before it
    # misleads (sqlite.org/security.html).
    "trusted_schema = OFF",
    "cell_size_check = ON",
    "mmap_size = 0",
)


def _prepare(connection: Any, _record: object) -> None:
    try:
        # The driver opens transactions when it thinks fit, and never for changes of tables; SQLAlchemy says when.
        connection.isolation_level = None
        for pragma in _PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")
    except BaseException:
        # Nobody else knows of it yet; left open it would lock out the next attempt until it is collected.
        connection.close()
        raise


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN")


def _check(connection: Connection) -> None:
    """Raises sqlite3.DatabaseError where the file contradicts itself."""
    verdict = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar_one()
    connection.rollback()
    if verdict != "ok":
        damaged = sqlite3.DatabaseError(str(verdict))
        damaged.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise damaged


def _migrate(connection: Connection) -> None:
    known = scripts()
    present = MigrationContext.configure(connection).get_current_revision()
    is_empty = not connection.exec_driver_sql("SELECT 1 FROM sqlite_master LIMIT 1").first()
    connection.rollback()
    if present == known.get_current_head():
        return
    if present is None and not is_empty:
        raise RefusedError("it is not a history of slatecast: move it elsewhere")
    if present is not None and present not in {script.revision for script in known.walk_revisions()}:
        raise RefusedError("a newer slatecast wrote it: start that one, or move the file elsewhere")
    config = _config()
    config.attributes["connection"] = connection
    with _MIGRATING:
        command.upgrade(config, "head")
    connection.commit()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", "dashboards.history:migrations")
    config.set_main_option("path_separator", "os")
    return config
