from typing import Any

import pytest

from broadcaster.host import attendance
from broadcaster.host.attendance import LEASE, Attendance
from protocol.messages import Presence
from tests import sample_messages


def presence(number: int, machine: str = "aa:bb", **changes: Any) -> Presence:
    fields = {"receiver_id": f"{number:032x}", "seat": f"seat {number}", "machine": machine, **changes}
    return sample_messages.presence(number, **fields)


@pytest.fixture
def room() -> Attendance:
    return Attendance()


def test_who_says_so_is_there_and_nothing_changes_when_he_repeats_it(room: Attendance) -> None:
    assert room.hear(presence(1), 0.0)
    assert not room.hear(presence(1), 5.0)
    assert room.hear(presence(1, seat="another"), 6.0)
    (one,) = room.there()
    assert (one.seat, one.came_at, one.heard_at) == ("another", 0.0, 6.0)
    assert room.get(one.receiver_id) is one


def test_who_leaves_or_falls_silent_is_gone(room: Attendance) -> None:
    room.hear(presence(1), 0.0)
    room.hear(presence(2), 1.0)
    assert room.hear(presence(1, is_online=False), 2.0)
    assert not room.hear(presence(1, is_online=False), 2.0)
    assert not room.expire(1.0 + LEASE)
    assert room.expire(1.1 + LEASE)
    assert not len(room)


def test_silence_counts_only_while_somebody_could_be_heard(room: Attendance) -> None:
    room.hear(presence(1), 0.0)
    room.excuse_silence(100.0)
    assert not room.expire(100.0 + LEASE)


def test_of_two_that_claim_a_machine_the_last_counts(room: Attendance) -> None:
    room.hear(presence(2), 0.0)
    assert room.claimed_twice() == []
    room.hear(presence(1), 1.0)
    room.hear(presence(2), 2.0)
    assert room.claimed_twice() == ["aa:bb"]
    found = room.at("aa:bb")
    assert found is not None
    assert found.receiver_id == presence(1).receiver_id
    assert room.at("cc:dd") is None


def test_who_has_no_name_for_its_machine_is_known_by_its_seat(room: Attendance) -> None:
    room.hear(presence(1, machine=""), 0.0)
    assert room.at("seat 1") is not None


def test_invented_receivers_drive_out_the_most_silent(room: Attendance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attendance, "MAX_ADMITTED", 2)
    for number in (1, 2):
        room.hear(presence(number), float(number))
    room.hear(presence(1), 3.0)
    room.hear(presence(3), 4.0)
    assert [each.seat for each in room.there()] == ["seat 1", "seat 3"]


def test_where_its_exporter_is_comes_with_it(room: Attendance) -> None:
    room.hear(presence(1, metrics="192.0.2.7:9101"), 0.0)
    (one,) = room.there()
    assert one.metrics == "192.0.2.7:9101"


def test_a_machine_that_was_started_again_is_no_other_one() -> None:
    attendance = Attendance()
    attendance.hear(presence(1, machine="pc"), 0.0)
    attendance.hear(presence(2, machine="pc"), 9.0)
    attendance.hear(presence(2, machine="pc"), 14.0)
    assert not attendance.is_claimed_by_another(presence(1).receiver_id)
    assert not attendance.is_claimed_by_another(presence(2).receiver_id)
    attendance.hear(presence(1, machine="pc"), 15.0)
    assert attendance.is_claimed_by_another(presence(1).receiver_id)
    assert attendance.is_claimed_by_another(presence(2).receiver_id)
    assert not attendance.is_claimed_by_another(presence(3).receiver_id)
