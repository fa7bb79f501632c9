"""Rooms while they are edited: what a change makes of them, and how two people's changes come together. Pure."""

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

import msgspec

from dashboards.rooms.rooms import LARGEST_PLACE, Room, RoomPolicy, Rooms, RoomSeat, room_named
from protocol.errors import MessageError

SEAT_FIELDS: Final = ("name", "row", "column", "machine", "hostname", "mac_address")
"""that can be edited, in the order of the table"""

_PLACES: Final = frozenset({"row", "column"})
_MOST_TYPED: Final = 200
"""[characters] of a cell that are looked at: three times what the longest field may have"""


class Merged(NamedTuple):
    """Two drafts of one revision, together."""

    rooms: Rooms
    """to be saved over the newer one"""
    overlaps: tuple[str, ...]
    """what both have changed, one sentence each, and what is kept"""


def with_room(rooms: Rooms, room: Room) -> Rooms:
    """One more room. Raises MessageError when there is one of that name."""
    if room_named(rooms, room.name) is not None:
        raise MessageError(f"there is a room '{room.name}' already: choose another name")
    return msgspec.structs.replace(rooms, rooms=(*rooms.rooms, room))


def without_room(rooms: Rooms, index: int) -> Rooms:
    """Without the room at ``index``."""
    return msgspec.structs.replace(rooms, rooms=(*rooms.rooms[:index], *rooms.rooms[index + 1 :]))


def renamed(rooms: Rooms, index: int, name: str) -> Rooms:
    """The room at ``index`` under another name. Raises MessageError when another one has it."""
    other = room_named(rooms, name)
    if other is not None and other is not rooms.rooms[index]:
        raise MessageError(f"there is a room '{name}' already: choose another name")
    return with_seats(rooms, index, rooms.rooms[index].seats, name)


def with_seats(rooms: Rooms, index: int, seats: Iterable[RoomSeat], name: str = "") -> Rooms:
    """The room at ``index`` with other seats, or another name as well."""
    room = rooms.rooms[index]
    changed = msgspec.structs.replace(room, name=name or room.name, seats=tuple(seats))
    return msgspec.structs.replace(rooms, rooms=(*rooms.rooms[:index], changed, *rooms.rooms[index + 1 :]))


def with_policy(rooms: Rooms, index: int, policy: RoomPolicy) -> Rooms:
    """The room at ``index`` with another policy."""
    changed = msgspec.structs.replace(rooms.rooms[index], policy=policy)
    return msgspec.structs.replace(rooms, rooms=(*rooms.rooms[:index], changed, *rooms.rooms[index + 1 :]))


def edited(seat: RoomSeat, field: str, typed: object) -> RoomSeat:
    """A seat with what was typed into one of its cells.

    Raises:
        MessageError: there is no such field, or it is a row or column and no number that one can have.
    """
    if field not in SEAT_FIELDS:
        raise MessageError("there is no such column: load the page anew")
    text = ("" if typed is None else str(typed)).strip()[:_MOST_TYPED]
    if field not in _PLACES:
        return msgspec.structs.replace(seat, **{field: text})
    if not text.isascii() or not text.isdecimal() or len(text) > 4 or not 1 <= int(text) <= LARGEST_PLACE:
        raise MessageError(f"seat {seat.name}: {field} is a whole number from 1 to {LARGEST_PLACE}")
    return msgspec.structs.replace(seat, **{field: int(text)})


def next_seat(room: Room) -> RoomSeat:
    """A seat behind the last: the next place of its row, or of a new row when that is as wide as the others."""
    columns = max((seat.column for seat in room.seats), default=1)
    last_row = max((seat.row for seat in room.seats), default=1)
    column = 1 + max((seat.column for seat in room.seats if seat.row == last_row), default=0)
    is_full = bool(room.seats) and column > columns and last_row < LARGEST_PLACE
    row, column = (last_row + 1, 1) if is_full else (last_row, min(column, LARGEST_PLACE))
    names = {seat.name for seat in room.seats}
    number = len(room.seats) + 1
    while f"{number:02}" in names:
        number += 1
    return RoomSeat(name=f"{number:02}", row=row, column=column)


def seat_values(seat: RoomSeat) -> dict[str, Any]:
    """The cells of a seat."""
    return {field: getattr(seat, field) for field in SEAT_FIELDS}


def merged(base: Rooms, mine: Rooms, theirs: Rooms) -> Merged:
    """What was changed from ``base`` to ``mine``, on top of ``theirs``; of a seat that both changed, ``mine``."""
    before, own = ({room.name: room for room in rooms.rooms} for rooms in (base, mine))
    overlaps: list[str] = []
    rooms: list[Room] = []
    for room in theirs.rooms:
        old, ours = before.get(room.name), own.get(room.name)
        if ours is not None:
            rooms.append(_merged_room(old or Room(name=room.name), ours, room, overlaps))
        elif old is None or old != room:
            rooms.append(room)
            if old is not None:
                overlaps.append(
                    f"You removed room '{room.name}', and it was changed meanwhile: it is kept as it is now."
                )
    there = {room.name for room in theirs.rooms}
    for room in mine.rooms:
        if room.name not in there and before.get(room.name) != room:
            rooms.append(room)
            if room.name in before:
                overlaps.append(f"Room '{room.name}' was removed meanwhile, and you changed it: yours is kept.")
    return Merged(Rooms(revision=theirs.revision, rooms=tuple(rooms)), tuple(overlaps))


def _merged_room(base: Room, mine: Room, theirs: Room, overlaps: list[str]) -> Room:
    before, own = ({seat.name: seat for seat in room.seats} for room in (base, mine))
    seats: list[RoomSeat] = []
    for seat in theirs.seats:
        old, ours = before.get(seat.name), own.get(seat.name)
        is_changed = old != seat
        if ours is None:
            if is_changed:
                seats.append(seat)
                if old is not None:
                    overlaps.append(
                        f"{_where(theirs, seat)}: you removed it, and it was changed meanwhile: it is kept."
                    )
        elif not is_changed or ours == seat:
            seats.append(ours)
        elif ours == old:
            seats.append(seat)
        else:
            seats.append(ours)
            overlaps.append(f"{_where(theirs, seat)}: both of you changed it, and yours is kept.")
    there = {seat.name for seat in theirs.seats}
    for seat in mine.seats:
        if seat.name not in there and before.get(seat.name) != seat:
            seats.append(seat)
            if seat.name in before:
                overlaps.append(f"{_where(mine, seat)}: it was removed meanwhile, and you changed it: yours is kept.")
    policy = theirs.policy if mine.policy == base.policy else mine.policy
    if policy not in (theirs.policy, base.policy) and theirs.policy != base.policy:
        overlaps.append(f"The policy of {mine.name}: both of you changed it, and yours is kept.")
    return Room(name=mine.name, seats=tuple(seats), policy=policy)


def _where(room: Room, seat: RoomSeat) -> str:
    return f"Seat {seat.name} of {room.name}"
