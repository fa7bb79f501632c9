import os
import sqlite3
import stat
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError

from dashboards.history import schema
from dashboards.history.archive import USUAL_RETENTION, Archive, unpacked_report
from dashboards.history.schema import Trouble, open_engine, scripts, trouble_of
from protocol.errors import RefusedError
from tests.dashboards.history.past import past_session

SCHEMAS = Path(__file__).parent / "schemas"
REVISIONS = sorted(script.revision for script in scripts().walk_revisions())


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "history.sqlite"


def test_each_schema_is_kept_here() -> None:
    assert [path.stem for path in sorted(SCHEMAS.glob("*.sql"))] == REVISIONS


@pytest.mark.parametrize("revision", REVISIONS)
def test_an_older_file_is_brought_up_to_date(file: Path, revision: str) -> None:
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript((SCHEMAS / f"{revision}.sql").read_text(encoding="utf-8"))
    archive = Archive(open_engine(file))
    found = archive.session("0000000000000001")
    assert found is not None
    assert (found.seats, found.has_report) == (past_session().seats, True)
    assert found.samples == (() if revision == "0001" else past_session().samples)
    assert unpacked_report(archive.report(found.tsi) or b"") == {"session": found.tsi}
    archive.close()
    assert migrated_to(file) == REVISIONS[-1]


def migrated_to(file: Path) -> str:
    with closing(sqlite3.connect(file)) as connection:
        version: str = connection.execute("SELECT version_num FROM alembic_version").fetchone()[0]
        return version


def test_a_new_file_is_private(file: Path) -> None:
    open_engine(file).dispose()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert migrated_to(file) == REVISIONS[-1]


def test_write_ahead_log_and_keys_are_on(file: Path) -> None:
    engine = open_engine(file)
    with engine.connect() as connection:
        for pragma, value in (
            ("journal_mode", "wal"),
            ("foreign_keys", 1),
            ("trusted_schema", 0),
            ("cell_size_check", 1),
        ):
            assert connection.exec_driver_sql(f"PRAGMA {pragma}").scalar_one() == value
    engine.dispose()


def test_a_newer_file_is_left_alone(file: Path) -> None:
    open_engine(file).dispose()
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()
    with pytest.raises(RefusedError, match="a newer slatecast wrote it"):
        open_engine(file)
    assert migrated_to(file) == "9999"


def test_a_file_of_another_program_is_left_alone(file: Path) -> None:
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE sessions (x)")
    with pytest.raises(RefusedError, match="not a history of slatecast"):
        open_engine(file)


def test_a_migration_is_whole_or_not_there(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript((SCHEMAS / "0001.sql").read_text(encoding="utf-8"))
        connection.execute("CREATE TRIGGER stop BEFORE UPDATE ON alembic_version BEGIN SELECT RAISE(ABORT, 'no'); END")
    with pytest.raises(DBAPIError):
        open_engine(file)
    with closing(sqlite3.connect(file)) as connection:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        connection.execute("DROP TRIGGER stop")
    assert "timelines" not in tables
    open_engine(file).dispose()
    assert migrated_to(file) == REVISIONS[-1]


@pytest.mark.parametrize("data", [b"no database at all" * 100, b"SQLite format 3\0" + b"\xff" * 5000])
def test_what_is_no_database_is_damaged(file: Path, data: bytes) -> None:
    file.write_bytes(data)
    with pytest.raises(Exception) as caught:  # noqa: PT011 - whichever it is has to be told apart
        open_engine(file)
    assert trouble_of(caught.value)[0] is Trouble.DAMAGED


def test_a_file_that_is_half_overwritten_is_damaged(file: Path) -> None:
    archive = Archive(open_engine(file))
    past = past_session(seat_count=200)
    archive.write(past, past.tsi, None, USUAL_RETENTION, past.ended_at)
    archive.close()
    data = bytearray(file.read_bytes())
    data[8192 : len(data) - 4096] = b"\xa5" * (len(data) - 4096 - 8192)
    file.write_bytes(data)
    with pytest.raises(Exception) as caught:  # noqa: PT011 - as above
        open_engine(file)
    assert trouble_of(caught.value)[0] is Trouble.DAMAGED


def test_a_locked_file_is_told(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema, "BUSY_TIMEOUT", 0.01)
    open_engine(file).dispose()
    with closing(sqlite3.connect(file)) as holder:
        holder.execute("PRAGMA locking_mode = EXCLUSIVE")
        holder.execute("BEGIN EXCLUSIVE")
        holder.execute("UPDATE alembic_version SET version_num = version_num")
        with pytest.raises(Exception) as caught:  # noqa: PT011 - as above
            open_engine(file)
    assert trouble_of(caught.value) == (Trouble.PASSING, "another program holds it: end that")


@pytest.mark.parametrize(
    ("code", "kind", "words"),
    [
        (sqlite3.SQLITE_FULL, Trouble.PASSING, "the disk is full"),
        (sqlite3.SQLITE_IOERR | 3 << 8, Trouble.PASSING, "see to the disk"),
        (sqlite3.SQLITE_READONLY, Trouble.UNUSABLE, "may only be read"),
        (sqlite3.SQLITE_CANTOPEN, Trouble.UNUSABLE, "cannot be opened"),
        (sqlite3.SQLITE_CORRUPT | 1 << 8, Trouble.DAMAGED, ""),
        (sqlite3.SQLITE_CONSTRAINT, Trouble.UNFIT, ""),
        (sqlite3.SQLITE_ERROR, Trouble.UNUSABLE, "no such table: mend that"),
    ],
)
def test_errors_are_told_apart(code: int, kind: Trouble, words: str) -> None:
    original = sqlite3.OperationalError("no such table")
    original.sqlite_errorcode = code
    for error in (original, OperationalError("SELECT secret", {}, original), IntegrityError("", {}, original)):
        assert trouble_of(error)[0] is kind
        assert words in trouble_of(error)[1]
        assert "secret" not in trouble_of(error)[1]


def test_other_errors() -> None:
    assert trouble_of(OSError(28, os.strerror(28))) == (Trouble.UNUSABLE, "No space left on device: mend that")
    assert trouble_of(OverflowError())[0] is Trouble.UNFIT


def test_two_files_at_a_time_get_their_own_migrations(tmp_path: Path) -> None:
    files = [tmp_path / f"{number}.sqlite" for number in range(4)]
    with ThreadPoolExecutor(len(files)) as pool:
        for engine in pool.map(open_engine, files):
            engine.dispose()
    assert [migrated_to(file) for file in files] == [REVISIONS[-1]] * len(files)
