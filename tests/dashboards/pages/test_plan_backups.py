import dataclasses

import pytest

from dashboards.fleet.views import FleetView, SessionView
from dashboards.pages.plan_backups import IN_LIBRARY, MOST_NAMED, backups_of_plan, why_it_cannot, why_it_waits, words_of
from dashboards.pages.quantities import NOTHING
from protocol.backup_names import backup_name
from protocol.capture import CaptureStep
from tests.dashboards.played_captures import CAPTURES
from tests.dashboards.played_desk import PlayedDesk
from tests.dashboards.played_fleet import PlayedFleet

_, RUNNING, _ = CAPTURES


@pytest.fixture
def planned() -> tuple[FleetView, SessionView]:
    desk = PlayedDesk(PlayedFleet(seats=6, orderly=True))
    tsi = desk.played.plan("Room 1", backs_up=True)
    desk.advance(10)
    session = desk.session(tsi)
    assert session is not None
    return desk.fleet(), session


def with_backups(picture: FleetView, session: SessionView, *steps: tuple[CaptureStep, str]) -> FleetView:
    captures = tuple(
        dataclasses.replace(
            RUNNING,
            machine=seat.machine,
            is_backup=True,
            step=step,
            reason=reason,
            done=0.25,
            began_at=session.opened_at + 1,
        )
        for seat, (step, reason) in zip(session.seats, steps, strict=False)
    )
    return dataclasses.replace(picture, captures=captures)


def test_a_plan_without_backups_waits_for_none(planned: tuple[FleetView, SessionView]) -> None:
    picture, session = planned
    session = dataclasses.replace(session, backs_up=False)
    picture = with_backups(picture, session, (CaptureStep.RUNNING, ""), (CaptureStep.FAILED, "the library is full"))
    assert backups_of_plan(session, picture) == {}
    assert why_it_waits(session, picture) == why_it_cannot(session, picture) == ""
    assert words_of({}, session.seats[0].machine) == NOTHING


def test_a_plan_waits_for_backups_before_any_is_told_of(planned: tuple[FleetView, SessionView]) -> None:
    picture, session = planned
    assert why_it_waits(session, picture) == (
        "The start waits until every disk is backed up: 0 of 6 backups in the library. Open: 01, 02, 03 and 3 more."
    )


def test_a_backup_from_before_the_plan_does_not_count(planned: tuple[FleetView, SessionView]) -> None:
    picture, session = planned
    picture = with_backups(picture, session, (CaptureStep.DONE, ""))
    old = dataclasses.replace(picture.captures[0], began_at=session.opened_at - 1)
    backups = backups_of_plan(session, dataclasses.replace(picture, captures=(old,)))
    assert words_of(backups, session.seats[0].machine) == "none yet"


def test_each_seat_tells_how_far_it_is(planned: tuple[FleetView, SessionView]) -> None:
    picture, session = planned
    picture = with_backups(
        picture, session, (CaptureStep.DONE, ""), (CaptureStep.RUNNING, ""), (CaptureStep.ORDERED, "")
    )
    backups = backups_of_plan(session, picture)
    words = [words_of(backups, seat.machine) for seat in session.seats[:4]]
    assert words == [IN_LIBRARY, "25 %", "not begun", "none yet"]
    assert why_it_waits(session, picture) == (
        "The start waits until every disk is backed up: 1 of 6 backups in the library. Open: 02, 03, 04 and 2 more."
    )
    assert why_it_cannot(session, picture) == ""


def test_a_backup_that_failed_is_named_with_what_to_do(planned: tuple[FleetView, SessionView]) -> None:
    picture, session = planned
    others = [(CaptureStep.DONE, "")] * 4
    picture = with_backups(
        picture, session, (CaptureStep.FAILED, "the library is full"), (CaptureStep.REFUSED, ""), *others
    )
    assert why_it_waits(session, picture) == ""
    assert why_it_cannot(session, picture) == (
        "No backup will come of 01: the library is full; 02: refused. The plan cannot be started so: stop those "
        "seats, or drop it and make another one."
    )


def test_a_sentence_names_a_few_only(planned: tuple[FleetView, SessionView]) -> None:
    picture, session = planned
    many = [(CaptureStep.ORDERED, "")] * (MOST_NAMED + 2)
    assert "and 3 more." in why_it_waits(session, with_backups(picture, session, *many))
    many = [(CaptureStep.FAILED, "full")] * (MOST_NAMED + 1)
    assert "; and 1 more." in why_it_cannot(session, with_backups(picture, session, *many))


def test_what_the_library_has_by_now_is_backed_up(planned: tuple[FleetView, SessionView]) -> None:
    picture, session = planned
    image = picture.images[0]
    kept = [
        type(image)(
            **{name: getattr(image, name) for name in image.__struct_fields__ if name not in {"name", "created"}},
            name=backup_name(seat.machine),
            created=created,
        )
        for seat, created in zip(session.seats, ("2026-09-21T18:00:00Z", "2026-01-01T00:00:00Z"), strict=False)
    ]
    backups = backups_of_plan(session, dataclasses.replace(picture, images=tuple(kept)))
    assert [words_of(backups, seat.machine) for seat in session.seats[:2]] == [IN_LIBRARY, "none yet"]
    assert session.opened_at < 1_790_013_600.0
