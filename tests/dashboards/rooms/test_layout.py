import pytest

from dashboards.rooms.layout import laid_out
from dashboards.rooms.rooms import Rooms, check_rooms
from protocol.errors import MessageError


def test_seats_are_numbered_row_by_row() -> None:
    room = laid_out("Lab", 2, 3)
    assert [(seat.name, seat.row, seat.column) for seat in room.seats] == [
        *(("01", 1, 1), ("02", 1, 2), ("03", 1, 3)),
        *(("04", 2, 1), ("05", 2, 2), ("06", 2, 3)),
    ]


def test_numbers_are_equally_long() -> None:
    names = [seat.name for seat in laid_out("Lab", 10, 10, prefix="pc", first=1).seats]
    assert (names[0], names[-1]) == ("pc001", "pc100")


def test_the_largest_room_is_a_good_one() -> None:
    assert check_rooms(Rooms(rooms=(laid_out("Lab", 10, 100),)))


@pytest.mark.parametrize(("rows", "columns", "first"), [(0, 1, 1), (1, 101, 1), (11, 100, 1), (1, 1, -1)])
def test_what_cannot_be_laid_out(rows: int, columns: int, first: int) -> None:
    with pytest.raises(MessageError, match=r"type|make"):
        laid_out("Lab", rows, columns, first=first)
