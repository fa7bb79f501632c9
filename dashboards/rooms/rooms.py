"""Rooms and their seats, and what may not be said about them. Pure.

A machine stands on one seat of one room at most, names are unique, and no two seats of a room share a place.
"""

from typing import Annotated, Final

import msgspec

MAX_ROOMS: Final = 500
MAX_SEATS_PER_ROOM: Final = 1000
LARGEST_PLACE: Final = 100
"""row or column: a wall of a hundred seats is more than any room has, and a page can still draw it"""

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
Place = Annotated[int, msgspec.Meta(ge=1, le=LARGEST_PLACE)]


class RoomSeat(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One place for a PC."""

    name: Name
    row: Place
    """1 for the front"""
    column: Place
    machine: Annotated[str, msgspec.Meta(max_length=64)] = ""
    """stable name of the PC that stands there, as receivers tell it; empty while nobody knows"""
    hostname: Annotated[str, msgspec.Meta(max_length=64)] = ""
    mac_address: Annotated[str, msgspec.Meta(max_length=17)] = ""
    """for wake-on-LAN, aa:bb:cc:dd:ee:ff; empty when it cannot be woken"""


class Room(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One room."""

    name: Name
    seats: Annotated[tuple[RoomSeat, ...], msgspec.Meta(max_length=MAX_SEATS_PER_ROOM)] = ()


class Rooms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """All rooms, as one document."""

    revision: Annotated[int, msgspec.Meta(ge=0)] = 0
    """counts the saves; who saves names the one that was edited, so that nobody overwrites another's work"""
    rooms: Annotated[tuple[Room, ...], msgspec.Meta(max_length=MAX_ROOMS)] = ()
