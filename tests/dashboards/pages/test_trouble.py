from dashboards.fleet.views import SeatState
from dashboards.pages.trouble import MOST_NAMED, Troubles, new_trouble, troubles
from tests.dashboards.played_desk import PlayedDesk


def some(count: int, state: SeatState = SeatState.FAILED) -> Troubles:
    return {("Lab", str(number)): (state, "disk error") for number in range(count)}


def test_only_what_is_new_is_said() -> None:
    assert new_trouble({}, some(1)) == "0 failed: disk error"
    assert not new_trouble(some(1), some(1))
    assert not new_trouble(some(2), some(1))
    assert new_trouble(some(1, SeatState.LOST), some(1)) == "0 failed: disk error"


def test_much_at_once_is_counted() -> None:
    assert new_trouble({}, some(60)).endswith(f"and {60 - MOST_NAMED} more seats")


def test_a_seat_of_a_room_is_found_once() -> None:
    desk = PlayedDesk()
    desk.played.start(desk.played.plan("Room 1"))
    desk.advance(100)
    found = troubles(desk.fleet())
    assert found
    assert {place for place, _ in found} == {"Room 1"}
    assert found["Room 1", "07"][0] is SeatState.FAILED
