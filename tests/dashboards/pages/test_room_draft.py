import pytest

from dashboards.pages.room_draft import (
    edited,
    merged,
    next_seat,
    renamed,
    seat_values,
    with_room,
    with_seats,
    without_room,
)
from dashboards.rooms.layout import laid_out
from dashboards.rooms.rooms import LARGEST_PLACE, Room, Rooms, RoomSeat, check_rooms
from protocol.errors import MessageError

BASE = Rooms(revision=3, rooms=(laid_out("A", 2, 2), laid_out("B", 1, 2)))


def changed(rooms: Rooms, room: int, seat: int, **values: str) -> Rooms:
    seats = list(rooms.rooms[room].seats)
    for field, value in values.items():
        seats[seat] = edited(seats[seat], field, value)
    return with_seats(rooms, room, seats)


def newer(rooms: Rooms) -> Rooms:
    return Rooms(revision=4, rooms=rooms.rooms)


def test_rooms_come_go_and_are_renamed() -> None:
    rooms = with_room(BASE, Room(name="C"))
    assert [room.name for room in without_room(rooms, 0).rooms] == ["B", "C"]
    assert [room.name for room in renamed(rooms, 2, "D").rooms] == ["A", "B", "D"]
    assert renamed(rooms, 0, "a").rooms[0].name == "a"
    with pytest.raises(MessageError, match="already"):
        renamed(rooms, 0, "b")
    with pytest.raises(MessageError, match="already"):
        with_room(BASE, Room(name="a"))


def test_a_cell_takes_what_is_typed() -> None:
    seat = RoomSeat(name="01", row=1, column=1)
    assert edited(seat, "row", " 7 ").row == 7
    assert edited(seat, "machine", None).machine == ""
    assert edited(seat, "hostname", " pc-1 ").hostname == "pc-1"
    assert seat_values(edited(seat, "column", 3)) == {**seat_values(seat), "column": 3}


@pytest.mark.parametrize("typed", ["", "0", "x", "1.5", "-1", str(LARGEST_PLACE + 1), "9" * 5000, "\u0663", None])
def test_a_place_is_a_number(typed: str | None) -> None:
    with pytest.raises(MessageError, match="seat 01: row is a whole number from 1 to 100"):
        edited(RoomSeat(name="01", row=1, column=1), "row", typed)


def test_a_column_that_is_none() -> None:
    with pytest.raises(MessageError, match="no such column"):
        edited(RoomSeat(name="01", row=1, column=1), "__class__", "x")


def test_seats_are_added_behind_the_last() -> None:
    room = laid_out("A", 1, 2)
    for place in [(2, 1), (2, 2), (3, 1)]:
        seat = next_seat(room)
        assert (seat.row, seat.column) == place
        room = Room(name="A", seats=(*room.seats, seat))
    check_rooms(Rooms(rooms=(room,)))
    assert next_seat(Room(name="A")) == RoomSeat(name="01", row=1, column=1)


def test_changes_of_different_seats_come_together() -> None:
    mine = changed(BASE, 0, 0, machine="m1")
    theirs = newer(changed(BASE, 0, 1, machine="m2"))
    together = merged(BASE, mine, theirs)
    assert together.overlaps == ()
    assert together.rooms.revision == 4
    assert [seat.machine for seat in together.rooms.rooms[0].seats] == ["m1", "m2", "", ""]


def test_rooms_and_seats_that_each_added_or_removed() -> None:
    mine = with_seats(with_room(BASE, Room(name="C")), 0, BASE.rooms[0].seats[1:])
    theirs = newer(without_room(with_room(BASE, Room(name="D")), 1))
    together = merged(BASE, mine, theirs)
    assert together.overlaps == ()
    assert [room.name for room in together.rooms.rooms] == ["A", "D", "C"]
    assert len(together.rooms.rooms[0].seats) == 3


def test_of_what_both_changed_mine_stands_and_it_is_told() -> None:
    together = merged(BASE, changed(BASE, 0, 0, machine="m1"), newer(changed(BASE, 0, 0, machine="m2")))
    assert together.rooms.rooms[0].seats[0].machine == "m1"
    assert together.overlaps == ("Seat 01 of A: both of you changed it, and yours is kept.",)


def test_what_one_removed_and_the_other_changed_is_kept() -> None:
    gone = without_room(BASE, 1)
    moved = changed(BASE, 1, 0, machine="m1")
    for mine, theirs in ((gone, moved), (moved, gone)):
        together = merged(BASE, mine, newer(theirs))
        assert together.rooms.rooms[1].seats[0].machine == "m1"
        assert len(together.overlaps) == 1
    without = with_seats(BASE, 0, BASE.rooms[0].seats[1:])
    there = changed(BASE, 0, 0, machine="m1")
    for mine, theirs in ((without, there), (there, without)):
        together = merged(BASE, mine, newer(theirs))
        assert "m1" in {seat.machine for seat in together.rooms.rooms[0].seats}
        assert len(together.overlaps) == 1
    assert merged(BASE, there, newer(there)).overlaps == ()
