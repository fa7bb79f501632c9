import msgspec
import pytest

from broadcaster.host import places as module
from broadcaster.host.places import Places, machine_of
from tests.broadcaster.host.test_hosting import HOSTING
from tests.sample_messages import presence, receiver_id

PLAN = msgspec.structs.replace(HOSTING, comers={}, released=())


def test_a_plan_is_for_its_machines_and_shows_who_stands_where() -> None:
    places = Places(PLAN)
    assert (places.is_for("aa:bb"), places.is_for("ee:ff")) == (True, False)
    assert places.receiver_at("aa:bb") is None
    assert places.came(receiver_id(1), "aa:bb")
    assert not places.came(receiver_id(1), "aa:bb")
    seat = places.seat_of(receiver_id(1))
    assert seat is not None
    assert seat.seat == "1"
    assert places.seat_of(receiver_id(2)) is None
    assert [each.machine for each in places.seats] == ["aa:bb", "cc:dd"]


def test_after_a_restart_the_new_receiver_stands_there_and_the_old_one_is_still_named() -> None:
    places = Places(PLAN)
    places.came(receiver_id(1), "aa:bb")
    assert places.came(receiver_id(2), "aa:bb")
    assert places.receiver_at("aa:bb") == receiver_id(2)
    assert places.seat_of(receiver_id(1)) == places.seat_of(receiver_id(2))


def test_what_another_session_takes_over_is_no_longer_ours_and_still_shown() -> None:
    places = Places(PLAN)
    places.came(receiver_id(1), "aa:bb")
    assert places.release("aa:bb")
    assert not places.release("aa:bb")
    assert not places.release("ee:ff")
    assert not places.is_for("aa:bb")
    assert places.seat_of(receiver_id(1)) is not None


def test_all_of_it_is_kept() -> None:
    places = Places(PLAN)
    places.came(receiver_id(1), "aa:bb")
    places.release("cc:dd")
    places.change(ordered_by="bert", expected_seats=1)
    kept = places.hosting
    assert (kept.comers, kept.released) == ({receiver_id(1): "aa:bb"}, ("cc:dd",))
    assert (kept.ordered_by, kept.expected_seats) == ("bert", 1)
    assert Places(kept).hosting == kept


def test_a_machine_that_restarts_for_days_fills_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_COMERS", 3)
    places = Places(PLAN)
    for number in range(10):
        places.came(receiver_id(number), "aa:bb")
    assert len(places.hosting.comers) == 3
    assert places.receiver_at("aa:bb") == receiver_id(9)


def test_who_has_no_name_for_its_machine_goes_by_its_seat() -> None:
    assert machine_of(presence(1, machine="aa:bb")) == "aa:bb"
    assert machine_of(presence(1, machine="", seat="PC 1")) == "PC 1"
