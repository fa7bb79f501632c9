from collections.abc import Iterator
from dataclasses import replace
from math import isnan
from pathlib import Path

import pytest
import zstandard
from sqlalchemy import update

from dashboards.history.archive import (
    MAX_CELL,
    USUAL_RETENTION,
    Archive,
    Retention,
    packed_report,
    unpacked_report,
)
from dashboards.history.records import PastSession
from dashboards.history.schema import open_engine
from dashboards.history.tables import TIMELINES
from tests.dashboards.history.past import OPENED, past_session

HOSTILE = "'; DROP TABLE sessions; --\x00\n<script>alert(1)</script>\u202e"


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    archive = Archive(open_engine(tmp_path / "history.sqlite"))
    yield archive
    archive.close()


def write(archive: Archive, past: PastSession, report: bytes | None = None) -> None:
    assert archive.write(past, past.tsi, report, USUAL_RETENTION, past.ended_at)


def test_a_session_comes_back_whole(archive: Archive) -> None:
    write(archive, past_session())
    assert archive.session(past_session().tsi) == past_session()
    assert archive.session("00" * 8) is None


def test_a_list_is_without_seats_and_the_newest_first(archive: Archive) -> None:
    for number in (2, 3, 1):
        write(archive, past_session(number, "Lab" if number < 3 else "Hall"))
    listed = archive.sessions("", 10, None)
    assert [int(past.tsi, 16) for past in listed] == [3, 2, 1]
    assert listed[2] == replace(past_session(), seats=(), happenings=(), samples=())
    assert [int(past.tsi, 16) for past in archive.sessions("Lab", 10, None)] == [2, 1]
    assert [int(past.tsi, 16) for past in archive.sessions("", 1, None)] == [3]
    assert [int(past.tsi, 16) for past in archive.sessions("", 10, OPENED + 120)] == [1]


def test_a_later_record_replaces_the_seats_and_leaves_the_report(archive: Archive) -> None:
    write(archive, past_session(seat_count=5), packed_report({"a": 1}))
    write(archive, past_session(seat_count=1, end_reason="again"))
    found = archive.session(past_session().tsi)
    assert found is not None
    assert (len(found.seats), found.end_reason, found.has_report) == (1, "again", True)


def test_a_report_needs_its_session(archive: Archive) -> None:
    tsi = past_session().tsi
    assert not archive.write(None, tsi, packed_report({"a": 1}), USUAL_RETENTION, OPENED)
    write(archive, past_session())
    assert archive.write(None, tsi, packed_report({"a": 1}), USUAL_RETENTION, OPENED)
    assert archive.write(None, tsi, packed_report({"a": 2}), USUAL_RETENTION, OPENED)
    assert unpacked_report(archive.report(tsi) or b"") == {"a": 2}
    assert archive.report("00" * 8) is None


def test_the_history_of_a_machine(archive: Archive) -> None:
    for number in (1, 2):
        write(archive, past_session(number))
    runs = archive.seat_history("aa:bb:cc:dd:ee:01", 10)
    assert [(int(run.tsi, 16), run.room, run.image, run.seat.outcome) for run in runs] == [
        (2, "Lab", "windows-11", "failed"),
        (1, "Lab", "windows-11", "failed"),
    ]
    assert not archive.seat_history("", 10)


@pytest.mark.parametrize(
    ("retention", "kept"),
    [
        (Retention(max_age=90.0), [3, 2]),
        (Retention(max_sessions=1), [3]),
        (Retention(max_age=1e9, max_sessions=9), [3, 2, 1]),
    ],
)
def test_what_is_old_is_forgotten_with_all_that_hangs_on_it(
    archive: Archive, retention: Retention, kept: list[int]
) -> None:
    for number in (1, 2):
        write(archive, past_session(number), packed_report({}))
    newest = past_session(3)
    archive.write(newest, newest.tsi, packed_report({}), retention, newest.ended_at)
    assert [int(past.tsi, 16) for past in archive.sessions("", 10, None)] == kept
    assert [int(run.tsi, 16) for run in archive.seat_history("aa:bb:cc:dd:ee:01", 10)] == kept
    assert (archive.report(past_session(1).tsi) is None) == (1 not in kept)


def test_hostile_texts_are_texts(archive: Archive) -> None:
    past = past_session(room=HOSTILE, image=HOSTILE, ordered_by=HOSTILE)
    write(archive, replace(past, seats=(replace(past.seats[0], name=HOSTILE, machine=HOSTILE, reason=HOSTILE),)))
    assert archive.sessions(HOSTILE, 10, None)[0].image == HOSTILE
    assert archive.seat_history(HOSTILE, 10)[0].seat.reason == HOSTILE


def test_numbers_that_are_none_do_not_lose_the_timeline(archive: Archive) -> None:
    past = past_session()
    write(archive, replace(past, samples=(replace(past.samples[0], loss_ratio=float("nan")),)))
    found = archive.session(past.tsi)
    assert found is not None
    assert isnan(found.samples[0].loss_ratio)


@pytest.mark.parametrize(
    "cell",
    [b"", b"x", zstandard.compress(b"\xff"), zstandard.compress(b'[{"at": "x"}]'), zstandard.compress(b"[" * 100_000)],
)
def test_a_timeline_that_cannot_be_read_is_an_empty_one(archive: Archive, cell: bytes, tmp_path: Path) -> None:
    write(archive, past_session())
    engine = open_engine(tmp_path / "history.sqlite")
    with engine.begin() as connection:
        connection.execute(update(TIMELINES).values(happenings=cell, samples=cell))
    engine.dispose()
    found = archive.session(past_session().tsi)
    assert found is not None
    assert (found.happenings, found.samples, len(found.seats)) == ((), (), 2)
    assert unpacked_report(cell) is None


def test_a_cell_that_would_fill_the_memory_is_not_taken_apart() -> None:
    assert unpacked_report(zstandard.compress(b"1" * (MAX_CELL + 1))) is None


def test_a_report_without_a_form_in_json() -> None:
    with pytest.raises(TypeError):
        packed_report({"a": object()})
