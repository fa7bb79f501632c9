from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcaster.audit import AuditEvent
from dashboards.pages.audit_words import _TOLD, audit_line


def entry(event: str, **fields: str | int) -> dict[str, Any]:
    return {"number": 7, "time": "1970-01-01T00:01:00.000Z", "event": event, "fields": fields}


def test_an_order_tells_who_gave_it_and_where() -> None:
    line = audit_line(entry("order given", session="ab" * 8, operator="anna", seat="14", user="slatecast", host="srv"))
    assert (line.number, line.at, line.who, line.session) == (7, 60.0, "anna", "ab" * 8)
    assert line.what == "14 was ordered to overwrite its disk"


def test_without_an_operator_it_is_the_user_of_the_system() -> None:
    line = audit_line(entry("image added", image="lab", version=3, user="root", host="srv"))
    assert (line.who, line.what) == ("root on srv", "lab version 3 was added to the library")


def test_what_came_of_a_seat() -> None:
    line = audit_line(entry("seat ended", seat="07", outcome="failed", reason="disk error"))
    assert line.what == "07: failed (disk error)"
    assert line.details == "seat: 07, outcome: failed, reason: disk error"


def test_what_came_of_a_capture() -> None:
    fields = {"machine": "pc-1", "image": "lab", "operator": "anna", "capture": "0" * 16}
    assert audit_line(entry("capture ordered", **fields)).what == "the disk of pc-1 was ordered into the library as lab"
    assert audit_line(entry("capture ended", **fields, outcome="failed", reason="the library is full")).what == (
        "the capture of pc-1 into lab ended without an image: failed (the library is full)"
    )


def test_every_event_of_the_log_has_words() -> None:
    assert set(_TOLD) == {event.value for event in AuditEvent}


def test_what_another_version_wrote_is_shown_as_it_stands() -> None:
    assert audit_line(entry("room painted", colour="blue")).what == "room painted"
    assert audit_line(entry("cast started")).what == "? version ? was started for ? seats"


@pytest.mark.parametrize("value", ["{image}", "{0}", "{", "%s", "\u202eabc"])
def test_values_are_not_looked_at_again(value: str) -> None:
    assert audit_line(entry("cast ended", reason=value)).what == f"the session ended: {value}".replace("\u202e", "")


@given(st.dictionaries(st.text(max_size=10), st.one_of(st.none(), st.integers(), st.text(), st.lists(st.text()))))
def test_no_entry_is_too_odd(odd: dict[str, Any]) -> None:
    audit_line(odd)
    audit_line({"event": "cast started", "fields": odd})
