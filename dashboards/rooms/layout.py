"""Makes a room of rows and columns whose seats are numbered. Pure."""

from dashboards.rooms.rooms import LARGEST_PLACE, MAX_SEATS_PER_ROOM, Room, RoomSeat
from protocol.errors import MessageError


def laid_out(name: str, rows: int, columns: int, *, prefix: str = "", first: int = 1) -> Room:
    """A room of ``rows`` x ``columns`` seats, numbered row by row from the front left, all numbers equally long.

    Args:
        name: of the room.
        rows: 1 to LARGEST_PLACE.
        columns: the same; at most MAX_SEATS_PER_ROOM seats together.
        prefix: that stands before each number.
        first: the number of the first seat.

    Raises:
        MessageError: the room would be too small or too large.
    """
    if not (1 <= rows <= LARGEST_PLACE and 1 <= columns <= LARGEST_PLACE):
        raise MessageError(f"a room has 1 to {LARGEST_PLACE} rows and columns: type other numbers")
    if rows * columns > MAX_SEATS_PER_ROOM:
        raise MessageError(f"{rows} x {columns} are more than {MAX_SEATS_PER_ROOM} seats: make two rooms")
    if not 0 <= first <= 999_999:
        raise MessageError("the first number is 0 to 999999: type another one")
    width = max(2, len(str(first + rows * columns - 1)))
    return Room(
        name=name,
        seats=tuple(
            RoomSeat(
                name=f"{prefix}{first + (row - 1) * columns + column - 1:0{width}}",
                row=row,
                column=column,
            )
            for row in range(1, rows + 1)
            for column in range(1, columns + 1)
        ),
    )
