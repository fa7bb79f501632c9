import dataclasses
from pathlib import Path

import pytest

from dashboards.pages.capture_words import (
    ACCEPTABLE,
    CAPTURE_SIGNS,
    FINDING_SIGNS,
    backed_up_machines,
    figures_in_words,
    image_in_words,
    image_names,
    machines_there,
    name_of_backup,
    origin_in_words,
    outcome_in_words,
    places,
    plan_in_words,
    title_in_words,
    what_it_becomes,
)
from protocol.backup_names import backup_name
from protocol.capture import CaptureStep, FindingKind
from tests.dashboards.played_captures import CAPTURES
from tests.dashboards.played_desk import PlayedDesk
from tests.dashboards.played_fleet import HOSTILE_TEXT

ASKED, RUNNING, DONE = CAPTURES


def test_every_step_and_every_kind_of_finding_has_its_own_sign() -> None:
    assert set(CAPTURE_SIGNS) == set(CaptureStep)
    assert set(FINDING_SIGNS) == set(FindingKind)
    assert len({sign.icon for sign in CAPTURE_SIGNS.values()}) == len(CaptureStep)
    assert len({sign.word for sign in CAPTURE_SIGNS.values()}) == len(CaptureStep)


@pytest.mark.parametrize("code", ACCEPTABLE)
def test_what_can_be_accepted_is_what_refuses(code: str) -> None:
    source = (Path(__file__).parents[3] / "receiver/capture/disk_findings.py").read_text(encoding="utf-8")
    assert f'_refusal(\n            "{code}"' in source or f'"{code}"' in source.split("_refusal(", 1)[1]


def test_a_capture_in_words() -> None:
    assert title_in_words(ASKED, "07 in Lab") == "07 in Lab into windows"
    assert title_in_words(ASKED, "") == "seat 7 into windows"
    assert origin_in_words(ASKED) == "asked for at the machine"
    assert origin_in_words(RUNNING) == "ordered by otto"
    assert figures_in_words(ASKED) == "Samsung SSD, 500.1 GB"
    assert figures_in_words(RUNNING) == "50 % · 2.1 GB read, 1.1 GB sent · Samsung SSD, 500.1 GB"
    assert outcome_in_words(DONE) == "It is version 3 of windows."
    assert outcome_in_words(RUNNING) == ""


def test_machines_stand_on_seats_or_call_themselves_something() -> None:
    picture = PlayedDesk().fleet()
    where = places(picture)
    seat = picture.rooms[0].seats[0]
    assert where[seat.machine] == "01 in Room 1"
    assert where["guest-1"] == "laptop of the lab"
    there = [each.machine for each in machines_there(picture)]
    assert "guest-1" in there
    assert len(there) == len(set(there)) == 21
    assert backed_up_machines(picture)[backup_name(seat.machine)] == "01 in Room 1"


def test_what_a_name_becomes() -> None:
    desk = PlayedDesk()
    desk.played.captures.kept.append((backup_name("pc-1"), True))
    desk.advance(12)
    picture = desk.fleet()
    assert backup_name("pc-1") in {image.name for image in picture.images}
    assert image_names(picture) == ["lab-ubuntu", "lab-windows"]
    assert what_it_becomes(picture, "lab-ubuntu").startswith("It becomes version 3 of lab-ubuntu")
    assert what_it_becomes(picture, "new") == "It becomes the first version of new."
    assert what_it_becomes(picture, "") == ""


def test_what_is_no_machine_has_no_backup() -> None:
    assert name_of_backup("") == ""
    assert name_of_backup(HOSTILE_TEXT[:64]).startswith("backup-")


def test_a_session_of_a_backup_says_whose_it_is() -> None:
    desk = PlayedDesk()
    desk.played.back_up("Room 1", "01", 3)
    plan = desk.played.plan("Room 1", desk.played.back_up("Room 1", "01"), 3)
    desk.advance(1)
    session = desk.session(plan)
    assert session is not None
    assert image_in_words(desk.fleet(), session) == "Backup of 01 in Room 1, version 3"
    elsewhere = dataclasses.replace(session, image="backup-gone")
    assert image_in_words(desk.fleet(), elsewhere) == "backup-gone version 3"
    assert plan_in_words(desk.fleet(), session) == "Backup of 01 in Room 1, version 3"
    other = dataclasses.replace(session, image="lab")
    assert image_in_words(desk.fleet(), other) == "lab version 3"
    assert plan_in_words(desk.fleet(), other) == "lab version 3 for Room 1"
