from dataclasses import replace

import msgspec
import pytest

from dashboards.notices.events import MAX_TEXT, Event, clean
from tests.dashboards.notices.happened import ended, failed, hostile_events


def test_the_end_of_a_session_in_words() -> None:
    assert ended().subject == "Lab: 29 of 30 seats verified"
    assert ended().text == (
        "The session in room Lab with image windows-11, version 3, has ended after 12 min 34 s.\n"
        "29 of 30 seats are verified.\n"
        "Why it ended: all seats have settled\n"
        "Seat 14 failed: disk error at sector 2048\n"
        "\n"
        "2026-09-21T14:13:20Z, session 0000000000000001\n"
    )


def test_seats_that_are_not_named_are_counted() -> None:
    assert "\nand 4 more; see the session in the console.\n" in replace(ended(), verified_count=25).text


def test_a_failed_seat_in_words() -> None:
    assert failed().subject == "Lab: seat 14 failed"
    assert "Seat 14 failed: disk error at sector 2048\nThe session goes on for the other seats." in failed().text


@pytest.mark.parametrize("event", [ended(), failed()])
def test_programs_get_fields(event: Event) -> None:
    told = event.as_json()
    assert told["event"] in {"session_ended", "seat_failed"}
    assert (told["id"], told["at"], told["room"]) == (event.id, "2026-09-21T14:13:20Z", "Lab")


def test_ids_tell_events_apart() -> None:
    assert len({ended(1).id, ended(2).id, failed().id}) == 3
    assert ended().id == ended().id


@pytest.mark.parametrize("event", hostile_events(), ids=["ended", "failed"])
def test_hostile_texts_are_harmless(event: Event) -> None:
    assert event.subject.isprintable()
    assert all(line.isprintable() for line in event.text.split("\n"))
    assert not [line for line in event.text.split("\n") if line.startswith("Bcc")]
    assert len(event.text) < 20 * MAX_TEXT
    assert msgspec.json.decode(msgspec.json.encode(event.as_json()))["text"] == event.subject


def test_clean() -> None:
    assert clean("a\r\nb\x1b[31m\u200b\ud800") == "a��b�[31m��"
    assert clean("x" * (MAX_TEXT + 1)) == "x" * MAX_TEXT + "…"
