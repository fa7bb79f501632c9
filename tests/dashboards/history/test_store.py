# ruff: noqa: ASYNC240 - the files of these tests are small, and nothing else runs in their loops
import asyncio
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from dashboards.history import schema, store
from dashboards.history.archive import Archive, Retention
from dashboards.history.store import MAX_PUT_ASIDE, History
from dashboards.history.waiting import MAX_WAITING
from tests.dashboards.history.past import OPENED, past_session
from tests.receiver.loop_device import mounted, run

pytestmark = pytest.mark.asyncio

SOON = 0.02
"""[s] between attempts"""

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root: run the tests as root")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "state" / "history.sqlite"


@pytest.fixture
def begin(file: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., History]]:
    """Opens histories, the file's unless another path is given, and closes them at the end."""
    monkeypatch.setattr(schema, "BUSY_TIMEOUT", 0.01)
    begun: list[History] = []

    def begin(path: Path = file, retention: Retention | None = None) -> History:
        kept = Retention(max_age=1e9) if retention is None else retention
        begun.append(History(path, retention=kept, clock=lambda: OPENED, retry_interval=SOON))
        return begun[-1]

    yield begin
    for history in begun:
        history.close()


Begin = Callable[..., History]


async def mended(history: History) -> None:
    """Asks until nothing is wrong any more, or says what still is."""
    with suppress(TimeoutError):
        async with asyncio.timeout(20):
            while history.problems:
                await history.sessions()
    assert not history.problems


async def numbers(history: History) -> list[int]:
    return [int(past.tsi, 16) for past in await history.sessions()]


async def test_sessions_are_there_after_a_restart(begin: Begin, file: Path) -> None:
    first = begin()
    first.record(past_session(1), {"session": "x", "seats": [1, 2]})
    first.record(past_session(2))
    assert await numbers(first) == [2, 1]
    first.close()
    again = begin()
    assert await again.session(past_session(2).tsi) == past_session(2)
    assert await again.report(past_session(1).tsi) == {"session": "x", "seats": [1, 2]}
    assert await again.report(past_session(2).tsi) is None
    assert [past.has_report for past in again.sessions_now()] == [False, True]
    assert again.problems == ()


async def test_reads_of_all_kinds(begin: Begin) -> None:
    history = begin()
    for number in range(1, 6):
        history.record(past_session(number, "Lab" if number % 2 else "Hall"))
    assert [past.room for past in await history.sessions("Lab", limit=2)] == ["Lab", "Lab"]
    assert len(await history.sessions(limit=-5)) == 1
    assert len(await history.sessions(limit=10**9, before=OPENED + 180)) == 2
    assert [run.room for run in await history.seat_history("aa:bb:cc:dd:ee:01", 2)] == ["Lab", "Hall"]
    for hostile in ("\ud800", "'; DROP TABLE seats", "x" * 1_000_000, "\x00"):
        assert await history.sessions(hostile) == []
        assert await history.session(hostile) is None
        assert await history.report(hostile) is None
        assert await history.seat_history(hostile) == []
    assert not history.problems


async def test_a_report_may_come_before_its_session(begin: Begin) -> None:
    history = begin()
    tsi = past_session().tsi
    history.record_report(tsi, {"a": 1})
    assert await history.report(tsi) == {"a": 1}
    assert await history.sessions() == []
    history.record(past_session())
    assert await history.report(tsi) == {"a": 1}
    history.close()
    assert await begin().report(tsi) == {"a": 1}


async def test_what_is_no_report_is_told(begin: Begin) -> None:
    history = begin()
    history.record(past_session(), {"a": object()})
    history.record_report(past_session().tsi, {"a": object()})
    assert await numbers(history) == [1]
    assert "came as the report of session 0000000000000001 is none" in history.problems[0]


async def test_what_is_old_is_forgotten(begin: Begin) -> None:
    history = begin(retention=Retention(max_sessions=2))
    for number in range(1, 5):
        history.record(past_session(number))
    assert await numbers(history) == [4, 3]


async def test_a_locked_file_keeps_sessions_waiting(begin: Begin, file: Path) -> None:
    history = begin()
    await history.sessions()
    with closing(sqlite3.connect(file, isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        history.record(past_session(1), {"a": 1})
        assert await numbers(history) == [1]
        assert await history.report(past_session(1).tsi) == {"a": 1}
        assert await history.session(past_session(1).tsi) is not None
        assert await history.seat_history("aa:bb:cc:dd:ee:01") != []
        (problem,) = history.problems
        assert problem == (
            f"The history {file} cannot be used: another program holds it: end that; ended sessions that wait in"
            " memory: 1."
        )
        holder.execute("ROLLBACK")
    await mended(history)
    history.close()
    assert await numbers(begin()) == [1]


async def test_memory_is_bounded_while_nothing_can_be_written(begin: Begin, file: Path) -> None:
    file.parent.write_text("in the way", encoding="utf-8")
    history = begin()
    for number in range(1, MAX_WAITING + 4):
        history.record(past_session(number))
    assert len(await history.sessions(limit=1000)) == MAX_WAITING
    assert "cannot be used" in history.problems[0]
    assert history.problems[1] == "The history has lost 3 sessions that could not be written in time."


async def test_a_damaged_file_is_put_aside(begin: Begin, file: Path) -> None:
    file.parent.mkdir()
    file.write_bytes(b"no database" * 1000)
    history = begin()
    history.record(past_session())
    assert await numbers(history) == [1]
    aside = file.with_name("history.sqlite.damaged-20260921T141320Z-1")
    assert aside.read_bytes() == b"no database" * 1000
    assert history.problems == (f"The history was damaged: it is kept as {aside.name}, and a new one has begun.",)
    history.close()
    assert await numbers(begin()) == [1]


async def test_damage_that_is_met_later(begin: Begin, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    history = begin()
    for number in range(1, 15):
        history.record(past_session(number, seat_count=50))
    history.close()
    data = bytearray(file.read_bytes())
    data[-20 * 4096 :] = b"\xa5" * (20 * 4096)
    file.write_bytes(data)
    monkeypatch.setattr(schema, "_check", lambda _: None)
    again = begin()
    again.record(past_session(77))
    for number in range(1, 15):
        await again.session(past_session(number).tsi)
    assert "The history was damaged" in again.problems[0]
    again.record(past_session(78))
    assert 78 in await numbers(again)
    again.close()
    assert 78 in await numbers(begin())


async def test_a_disk_that_damages_everything_is_not_filled(
    begin: Begin, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def damaged(_: Path) -> Archive:
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(b"")
        error = sqlite3.DatabaseError("malformed")
        error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise error

    monkeypatch.setattr(store, "open_engine", damaged)
    history = begin()
    for number in range(20):
        history.record(past_session(number))
        await history.sessions()
    while len(history.problems) <= MAX_PUT_ASIDE:
        await history.sessions()
    assert len(list(file.parent.glob("*.damaged-*"))) == MAX_PUT_ASIDE
    assert "it is damaged" in history.problems[-1]
    assert len(await history.sessions()) == 20


async def test_a_newer_file_is_left_alone_and_nothing_is_lost(begin: Begin, file: Path) -> None:
    begin().close()
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()
    history = begin()
    history.record(past_session())
    assert await numbers(history) == [1]
    assert "a newer slatecast wrote it: start that one, or move the file elsewhere" in history.problems[0]
    file.rename(file.with_suffix(".newer"))
    await mended(history)
    assert await numbers(history) == [1]


async def test_a_file_that_is_moved_away_is_begun_anew(begin: Begin, file: Path) -> None:
    history = begin()
    history.record(past_session(1))
    assert await numbers(history) == [1]
    file.rename(file.with_suffix(".old"))
    history.record(past_session(2))
    assert await numbers(history) == [2]
    assert file.exists()


async def test_a_session_that_cannot_be_written_does_not_hold_the_others(
    begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = Archive.write

    def refusing(self: Archive, *args: object) -> bool:
        if args[1] == past_session(1).tsi:
            raise OverflowError
        return write(self, *args)  # type: ignore[arg-type]  # handed on as they came

    monkeypatch.setattr(Archive, "write", refusing)
    history = begin()
    history.record(past_session(1))
    history.record(past_session(2))
    assert await numbers(history) == [2]
    assert history.problems == ("The history could not keep something: OverflowError in what was to be written.",)


async def test_a_disk_that_hangs_holds_nobody(begin: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "READ_PATIENCE", 0.02)
    monkeypatch.setattr(store, "CLOSE_PATIENCE", 0.02)
    goes_on = threading.Event()

    def hanging(path: Path) -> object:
        goes_on.wait()
        return schema.open_engine(path)

    monkeypatch.setattr(store, "open_engine", hanging)
    history = begin()
    history.record(past_session())
    assert await numbers(history) == [1]
    assert [past.tsi for past in history.sessions_now()] == [past_session().tsi]
    assert "the disk does not answer" in history.problems[0]
    history.close()
    goes_on.set()
    monkeypatch.setattr(store, "CLOSE_PATIENCE", 10.0)
    history.close()


async def test_after_the_end_nothing_is_asked_of_the_file(begin: Begin) -> None:
    history = begin()
    history.close()
    history.record(past_session())
    assert await numbers(history) == [1]
    history.close()


@pytest.mark.system
@needs_root
async def test_a_full_disk_keeps_sessions_waiting(begin: Begin, tmp_path: Path) -> None:
    with mounted("tmpfs", tmp_path / "small", "-t", "tmpfs", "-o", "size=2m") as folder:
        history = begin(folder / "history.sqlite")
        history.record(past_session(1))
        assert await numbers(history) == [1]
        assert not history.problems
        fill(folder / "ballast")
        history.record(past_session(2, seat_count=500))
        assert await numbers(history) == [2, 1]
        assert "cannot be used: the disk" in history.problems[0]
        assert "ended sessions that wait in memory: 1" in history.problems[0]
        (folder / "ballast").unlink()
        await mended(history)
        history.close()
        again = begin(folder / "history.sqlite")
        assert await numbers(again) == [2, 1]
        again.close()


def fill(path: Path) -> None:
    """Take all the room that there is."""
    with suppress(OSError), path.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


@pytest.mark.system
@needs_root
async def test_a_read_only_disk_keeps_sessions_waiting(begin: Begin, tmp_path: Path) -> None:
    with mounted("tmpfs", tmp_path / "small", "-t", "tmpfs", "-o", "size=1m") as folder:
        first = begin(folder / "history.sqlite")
        first.record(past_session(1))
        await first.sessions()
        first.close()
        run("mount", "-o", "remount,ro", str(folder))
        history = begin(folder / "history.sqlite")
        history.record(past_session(2))
        assert 2 in await numbers(history)
        assert "cannot be used: it" in history.problems[0]
        run("mount", "-o", "remount,rw", str(folder))
        await mended(history)
        assert await numbers(history) == [2, 1]
        history.close()


async def test_whatever_opening_raises_is_tried_again(begin: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    errors: list[Exception] = [KeyError("x"), RuntimeError("y")]

    def failing(path: Path) -> object:
        if errors:
            raise errors.pop(0)
        return schema.open_engine(path)

    monkeypatch.setattr(store, "open_engine", failing)
    history = begin()
    history.record(past_session())
    assert await numbers(history) == [1]
    await mended(history)
    history.close()
    assert await numbers(begin()) == [1]
