"""Rooms as CSV: one seat a line, as spreadsheets write and read it. Pure.

    room,seat,row,column,machine,hostname,mac_address
    Lab A,01,1,1,aa:bb:cc:dd:ee:ff,lab-a-01,aa:bb:cc:dd:ee:ff

The header is required, its columns may stand in any order, and machine, hostname and mac_address may be left out. A
line with a room and nothing else is a room without seats. A cell that a spreadsheet would run as a formula is written
with an apostrophe before it, which reading takes off again (CWE-1236). Policies of rooms are not in it.
"""

import csv
import io
import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import msgspec

from dashboards.rooms.rooms import Room, Rooms, RoomSeat, judged, name_key, rooms_from, usual_mac
from protocol.errors import MessageError

MAX_LENGTH: Final = 1 << 20
"""[bytes] of a file: stops one that is no list of seats before it is read"""
MAX_LINES: Final = 50_000
COLUMNS: Final = ("room", "seat", "row", "column", "machine", "hostname", "mac_address")

_REQUIRED: Final = COLUMNS[:4]
_FORMULA: Final = re.compile("'*[=+\\-@\t\r＝＋－＠]")  # noqa: RUF001 - spreadsheets run the full-width signs as well


def rooms_to_csv(rooms: Rooms, delimiter: str = ",") -> bytes:
    """UTF-8 with a byte order mark, without which spreadsheets take it for another encoding."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter)
    writer.writerow(COLUMNS)
    for room in rooms.rooms:
        if not room.seats:
            writer.writerow([_guarded(room.name), *[""] * (len(COLUMNS) - 1)])
        for seat in room.seats:
            texts = (seat.machine, seat.hostname, seat.mac_address)
            writer.writerow(
                [_guarded(room.name), _guarded(seat.name), seat.row, seat.column, *(_guarded(each) for each in texts)]
            )
    return text.getvalue().encode("utf-8-sig")


def rooms_from_csv(data: bytes, revision: int = 0) -> Rooms:
    """The rooms in a CSV file of any origin, judged.

    Args:
        data: the file, UTF-8, columns parted by comma or semicolon.
        revision: of the rooms that these are to replace.

    Raises:
        MessageError: it is none, or holds what must not be; names the line.
    """
    seats: dict[str, list[RoomSeat]] = {}
    lines: dict[str, list[int]] = {}
    for line, cells in _lines(data):
        name, seat = _judged_line(line, cells)
        seats.setdefault(name, [])
        lines.setdefault(name, [line])
        if seat is not None:
            seats[name].append(seat)
            lines[name].append(line)
    if not seats:
        raise MessageError("the file has a header and no seats: add a line for each seat")
    rooms = Rooms(
        revision=revision,
        rooms=tuple(Room(name=name, seats=tuple(each)) for name, each in seats.items()),
    )
    usual, found = judged(rooms)
    for fault in found:
        numbers = list(lines.values())[fault.room] if fault.room >= 0 else []
        # The first number is where the room begins, the others are those of its seats.
        where = f"line {numbers[fault.seat + 1]}: " if numbers else ""
        raise MessageError(where + fault.text)
    return usual


def with_policies(rooms: Rooms, present: Rooms) -> Rooms:
    """Rooms of a CSV file, which has no place for policies, with those that the rooms of the same names have."""
    known = {name_key(room.name): room.policy for room in present.rooms}
    return msgspec.structs.replace(
        rooms,
        rooms=tuple(
            msgspec.structs.replace(room, policy=known.get(name_key(room.name), room.policy)) for room in rooms.rooms
        ),
    )


class _Line(NamedTuple):
    room: str
    seat: str
    row: str
    column: str
    machine: str = ""
    hostname: str = ""
    mac_address: str = ""


def _lines(data: bytes) -> Iterator[tuple[int, _Line]]:
    """Number and cells of each line that says something."""
    if len(data) > MAX_LENGTH:
        raise MessageError(f"the file has {len(data)} bytes: at most {MAX_LENGTH} are read, so import in parts")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise MessageError(f"line {line} is not UTF-8: save it as 'CSV UTF-8'") from None
    head = text.partition("\n")[0]
    delimiter = ";" if head.count(";") > head.count(",") else ","
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        columns = _columns(next(reader, []))
        for cells in reader:
            if reader.line_num > MAX_LINES:
                raise MessageError(f"the file has more than {MAX_LINES} lines: import in parts")
            if any(cell.strip() for cell in cells):
                yield reader.line_num, _cells(reader.line_num, columns, cells)
    except csv.Error as error:
        raise MessageError(f"line {reader.line_num}: {error}: save it as CSV anew") from None


def _columns(head: list[str]) -> list[str]:
    columns = [cell.strip().lower().replace(" ", "_") for cell in head]
    wanted = ", ".join(COLUMNS)
    if not set(columns) & set(COLUMNS):
        raise MessageError(f"line 1 is not the header: write {wanted} there")
    for name in columns:
        if name not in COLUMNS:
            raise MessageError(f"line 1: there is no column '{name[:64]}': use {wanted}")
        if columns.count(name) > 1:
            raise MessageError(f"line 1: the column {name} is there twice: leave one out")
    for name in _REQUIRED:
        if name not in columns:
            raise MessageError(f"line 1: the column {name} is missing: use {wanted}")
    return columns


def _cells(line: int, columns: list[str], cells: list[str]) -> _Line:
    if len(cells) > len(columns) and any(cell.strip() for cell in cells[len(columns) :]):
        raise MessageError(
            f"line {line} has {len(cells)} cells, and the header {len(columns)}: quote what holds commas"
        )
    values = dict(zip(columns, (_unguarded(cell.strip()) for cell in cells), strict=False))
    return _Line(**{"room": "", "seat": "", "row": "", "column": "", **values})


def _judged_line(line: int, cells: _Line) -> tuple[str, RoomSeat | None]:
    """The room that a line names and its seat, judged by themselves."""
    is_room_only = bool(cells.room) and not any(cells[1:])
    seat: dict[str, Any] = {
        "name": cells.seat,
        "row": _place(cells.row),
        "column": _place(cells.column),
        "machine": cells.machine,
        "hostname": cells.hostname,
        "mac_address": usual_mac(cells.mac_address),
    }
    try:
        shaped = rooms_from({"rooms": [{"name": cells.room, "seats": [] if is_room_only else [seat]}]}).rooms[0]
    except MessageError as error:
        raise MessageError(f"line {line}: {error}") from None
    return shaped.name, shaped.seats[0] if shaped.seats else None


def _place(cell: str) -> int | str:
    return int(cell) if cell.isascii() and cell.isdecimal() and len(cell) < 10 else cell


def _guarded(cell: str) -> str:
    return f"'{cell}" if _FORMULA.match(cell) else cell


def _unguarded(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell
