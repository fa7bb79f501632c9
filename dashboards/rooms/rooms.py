"""Rooms and their seats, and what may not be said about them. Pure.

A machine stands on one seat of one room at most, names are unique, and no two seats of a room share a place. Names that
differ in case or in Unicode composition only are the same: they look the same on the wall.
"""

import re
import unicodedata
from collections.abc import Iterator
from itertools import islice
from typing import Annotated, Any, Final, NamedTuple

import msgspec

from protocol.errors import MessageError

MAX_ROOMS: Final = 500
MAX_SEATS_PER_ROOM: Final = 1000
MAX_SEATS: Final = 20_000
"""of all rooms: more than any site that one console serves, and a file that is read within a second or two"""
LARGEST_PLACE: Final = 100
"""row or column: a wall of a hundred seats is more than any room has, and a page can still draw it"""
MAX_FAULTS: Final = 20
"""that are told at once: whoever mends these looks again"""

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


class RoomPolicy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What holds in a room when no operator is there, and what its plans begin with."""

    image: Annotated[str, msgspec.Meta(max_length=64)] = ""
    """assigned to its seats; empty for none"""
    version: Annotated[int, msgspec.Meta(ge=0, le=1 << 31)] = 0
    """0 for the newest"""
    configuration: Annotated[str, msgspec.Meta(max_length=64)] = ""
    """what is done to each disk once it is verified; empty for nothing"""
    allows_restore: bool = False
    """whoever sits at a seat may put the assigned image on its disk"""
    backs_up: bool = False
    """every disk is captured before it is overwritten"""
    backups_kept: Annotated[int, msgspec.Meta(ge=1, le=100)] = 3
    """of each seat, the newest"""


class Room(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One room."""

    name: Name
    seats: Annotated[tuple[RoomSeat, ...], msgspec.Meta(max_length=MAX_SEATS_PER_ROOM)] = ()
    policy: RoomPolicy = RoomPolicy()


class Rooms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """All rooms, as one document."""

    revision: Annotated[int, msgspec.Meta(ge=0)] = 0
    """counts the saves; who saves names the one that was edited, so that nobody overwrites another's work"""
    rooms: Annotated[tuple[Room, ...], msgspec.Meta(max_length=MAX_ROOMS)] = ()


class Fault(NamedTuple):
    """What may not be said about rooms."""

    text: str
    """one sentence that names room and seat, and says what to do"""
    room: int = -1
    """index in ``Rooms.rooms``; -1 when it is about all of them"""
    seat: int = -1
    """index in ``Room.seats``; -1 when it is about the room"""


_RULES: Final = {
    "name": "a name is a text of 1 to 64 characters",
    "row": f"row is a whole number from 1 to {LARGEST_PLACE}",
    "column": f"column is a whole number from 1 to {LARGEST_PLACE}",
    "machine": "machine is a text of at most 64 characters",
    "hostname": "hostname is a text of at most 64 characters",
    "mac_address": "write mac_address as aa:bb:cc:dd:ee:ff",
    "seats": f"seats is a list of at most {MAX_SEATS_PER_ROOM} seats; split the room",
    "rooms": f"rooms is a list of at most {MAX_ROOMS} rooms",
    "revision": "revision is a whole number; leave it out",
    "policy": "policy is a table",
    "image": "image is a text of at most 64 characters",
    "version": "version is a whole number; leave it out for the newest",
    "configuration": "configuration is a text of at most 64 characters",
    "allows_restore": "allows_restore is true or false",
    "backs_up": "backs_up is true or false",
    "backups_kept": "backups_kept is a whole number from 1 to 100",
}
_WHERE: Final = re.compile(r"\$(?:\.rooms\[(\d+)\])?(?:\.seats\[(\d+)\])?(\.policy\b)?(?:\.(\w+))?")
_PLAIN_MAC: Final = re.compile(r"[0-9a-f]{12}")
_MAC_SPELLINGS: Final = re.compile(
    r"[0-9a-f]{2}([:-])[0-9a-f]{2}(?:\1[0-9a-f]{2}){4}|[0-9a-f]{4}\.[0-9a-f]{4}\.[0-9a-f]{4}|[0-9a-f]{6}[:-][0-9a-f]{6}"
)
_HOST_LABEL: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_HIDDEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def rooms_from(values: Any) -> Rooms:
    """The rooms in plain values of any origin (dicts, lists, texts, numbers); judged by their shape only.

    Raises:
        MessageError: a field is missing, unknown, of another type or out of bounds; names room and seat.
    """
    try:
        return msgspec.convert(values, Rooms)
    except msgspec.ValidationError as error:
        raise MessageError(_shape_fault(values, str(error))) from None


def check_rooms(rooms: Rooms) -> Rooms:
    """The same rooms with every text in its usual form (composed, trimmed, MAC and hostname in lower case).

    Raises:
        MessageError: they contradict each other or hold what must not be; the first fault, and how many there are.
    """
    usual, found = judged(rooms)
    if found:
        more = len(found) - 1
        rest = f" (and {more}{'' if len(found) < MAX_FAULTS else ' or more'} other faults)" if more else ""
        raise MessageError(found[0].text + rest)
    return usual


def judged(rooms: Rooms) -> tuple[Rooms, tuple[Fault, ...]]:
    """The rooms with every text in its usual form, and what is to be refused about them, at most MAX_FAULTS."""
    try:
        usual = _usual(rooms_from(msgspec.to_builtins(rooms)))
    except MessageError as error:
        return rooms, (Fault(str(error)),)
    return usual, tuple(islice(_faults(usual), MAX_FAULTS))


def usual_mac(text: str) -> str:
    """``text`` as aa:bb:cc:dd:ee:ff when it is a MAC address in one of the common spellings, else as it is."""
    lowered = text.strip().lower()
    digits = re.sub(r"[.:-]", "", lowered)
    if lowered != digits and not _MAC_SPELLINGS.fullmatch(lowered):
        return text
    if not _PLAIN_MAC.fullmatch(digits):
        return text
    return ":".join(digits[at : at + 2] for at in range(0, 12, 2))


def name_key(name: str) -> str:
    """What is equal for names of rooms, seats or machines that are taken for one."""
    # Case folding can take a composed text apart, so it is composed again (Unicode 3.13, D145).
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold()).strip()


def same_name(one: str, other: str) -> bool:
    """Whether two names of rooms, seats or machines are taken for one."""
    return name_key(one) == name_key(other)


def seat_of(rooms: Rooms, machine: str) -> tuple[Room, RoomSeat] | None:
    """Where a machine stands."""
    key = name_key(machine)
    return next(
        ((room, seat) for room in rooms.rooms for seat in room.seats if seat.machine and name_key(seat.machine) == key),
        None,
    )


def room_named(rooms: Rooms, name: str) -> Room | None:
    """The room that is called so."""
    return next((room for room in rooms.rooms if same_name(room.name, name)), None)


def _usual(rooms: Rooms) -> Rooms:
    return msgspec.structs.replace(
        rooms,
        rooms=tuple(
            msgspec.structs.replace(
                room,
                name=_text(room.name),
                seats=tuple(_usual_seat(seat) for seat in room.seats),
                policy=_usual_policy(room.policy),
            )
            for room in rooms.rooms
        ),
    )


def _usual_policy(policy: RoomPolicy) -> RoomPolicy:
    return msgspec.structs.replace(policy, image=_text(policy.image), configuration=_text(policy.configuration))


def _usual_seat(seat: RoomSeat) -> RoomSeat:
    machine = _text(seat.machine)
    # Twelve digits without separators may as well be the name that somebody gave to a machine.
    machine = machine if machine.isalnum() else usual_mac(machine)
    return RoomSeat(
        name=_text(seat.name),
        row=seat.row,
        column=seat.column,
        machine=machine,
        hostname=_text(seat.hostname).lower(),
        mac_address=usual_mac(_text(seat.mac_address)),
    )


def _faults(rooms: Rooms) -> Iterator[Fault]:
    """In the order of the document, so that the first is where whoever reads it begins."""
    count = sum(len(room.seats) for room in rooms.rooms)
    if count > MAX_SEATS:
        yield Fault(f"the rooms have {count} seats together: at most {MAX_SEATS} are managed, so leave some rooms out")
    names: set[str] = set()
    machines: dict[str, str] = {}
    for index, room in enumerate(rooms.rooms):
        where = f"room {_quoted(room.name)}"
        for text in _name_faults(where, room.name):
            yield Fault(text, index)
        if name_key(room.name) in names:
            yield Fault(f"{where} is there twice: give one of them another name", index)
        names.add(name_key(room.name))
        for text in _policy_faults(room.policy, where):
            yield Fault(text, index)
        for seat, text in _room_faults(room, where, machines):
            yield Fault(text, index, seat)


def _policy_faults(policy: RoomPolicy, where: str) -> Iterator[str]:
    for what, name in (("image", policy.image), ("configuration", policy.configuration)):
        if not _is_clean(name):
            yield f"{where}: {what} holds characters that cannot be seen: type it anew"
    if policy.allows_restore and not policy.image:
        yield f"{where}: seats may restore themselves, but no image is assigned: choose one, or switch that off"
    if policy.version and not policy.image:
        yield f"{where}: a version is named and no image: choose the image, or leave the version out"


def _room_faults(room: Room, where: str, machines: dict[str, str]) -> Iterator[tuple[int, str]]:
    names: set[str] = set()
    places: dict[tuple[int, int], RoomSeat] = {}
    for index, seat in enumerate(room.seats):
        here = f"{where}, seat {_quoted(seat.name)}"
        texts = [*_name_faults(here, seat.name), *_seat_faults(seat, here)]
        if name_key(seat.name) in names:
            texts.append(f"{here} is there twice: give one of them another name")
        names.add(name_key(seat.name))
        holder = places.setdefault((seat.row, seat.column), seat)
        if holder is not seat:
            place = f"row {seat.row}, column {seat.column}"
            texts.append(f"{here}: {place} is the place of seat {_quoted(holder.name)}: move one of them")
        if seat.machine:
            other = machines.setdefault(name_key(seat.machine), here)
            if other is not here:
                texts.append(f"{here}: machine {_quoted(seat.machine)} is on {other} already: clear one of them")
        yield from ((index, text) for text in texts)


def _name_faults(where: str, name: str) -> Iterator[str]:
    if not name:
        yield f"{where}: {_RULES['name']}"
    elif not _is_clean(name):
        yield f"{where}: the name holds characters that cannot be seen: type it anew"


def _seat_faults(seat: RoomSeat, here: str) -> Iterator[str]:
    if not _is_clean(seat.machine):
        yield f"{here}: machine holds characters that cannot be seen: type it anew"
    if seat.hostname and not is_hostname(seat.hostname):
        yield (
            f"{here}: {_quoted(seat.hostname)} is no hostname: use letters, digits and hyphens, with dots between"
            " labels of at most 63 characters"
        )
    if seat.mac_address and not (_PLAIN_MAC.fullmatch(seat.mac_address.replace(":", "")) and ":" in seat.mac_address):
        yield f"{here}: {_quoted(seat.mac_address)} is no MAC address: write it as aa:bb:cc:dd:ee:ff"
    elif seat.mac_address and int(seat.mac_address[:2], 16) & 1:
        yield f"{here}: {_quoted(seat.mac_address)} is the MAC address of a group: take the one of the PC's interface"


def is_hostname(text: str) -> bool:
    """Whether RFC 1123 section 2.1 allows it: labels of letters, digits and inner hyphens, and no IPv4 address."""
    labels = text.lower().split(".")
    return all(_HOST_LABEL.fullmatch(label) for label in labels) and not labels[-1].isdecimal()


def _shape_fault(values: Any, error: str) -> str:
    """What msgspec says of a path, in the words of whoever wrote the room."""
    complaint, _, path = error.partition(" - at `")
    match = _WHERE.match(path)
    room, seat, policy, field = match.groups() if match else (None, None, None, None)
    where = "rooms"
    if room is not None:
        room_value = values["rooms"][int(room)]
        where = f"room {_said_name(room_value, int(room))}"
        if seat is not None:
            where += f", seat {_said_name(room_value['seats'][int(seat)], int(seat))}"
    if policy is not None:
        where += ", policy"
        field = field or "policy"
    if unknown := re.search(r"unknown field `(.*)`", complaint, re.S):
        kinds = [(policy, RoomPolicy), (seat, RoomSeat), (room, Room)]
        known = next((kind for found, kind in kinds if found is not None), Rooms).__struct_fields__
        return f"{where}: there is no field {_quoted(unknown[1])}: use {', '.join(known)}"
    if missing := re.search(r"missing required field `(\w+)`", complaint):
        return f"{where}: {missing[1]} is missing: {_RULES[missing[1]]}"
    return f"{where}: {_RULES.get(field or '', complaint)}"


def _said_name(value: Any, index: int) -> str:
    name = value.get("name") if isinstance(value, dict) else None
    return _quoted(name) if isinstance(name, str) and name else f"number {index + 1}"


def _quoted(text: str) -> str:
    return f"'{text if len(text) <= 64 else text[:63] + '…'}'"


def _text(text: str) -> str:
    return unicodedata.normalize("NFC", text).strip()


def _is_clean(text: str) -> bool:
    """Whether all of it can be seen: no control, format, private, unassigned character, no line separator."""
    return not any(unicodedata.category(letter) in _HIDDEN for letter in text)
