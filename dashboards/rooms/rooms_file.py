"""Rooms as TOML, to be read and edited by hand: one seat a line.

    # revision 7, saved 2026-11-21T17:20:01Z by alice
    [[rooms]]
    name = "Lab A"
    seats = [
        {name = "01", row = 1, column = 1, machine = "aa:bb:cc:dd:ee:ff", hostname = "lab-a-01"},
    ]
    policy = {image = "win11", allows_restore = true, backs_up = true}

The first line tells which revision it is. A file without it, or with a line that does not go with what follows, was
written by hand; ``dashboards.rooms.book`` counts revisions and does not believe the line beyond that.
"""

import re
import tomllib
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
import tomlkit

from dashboards.rooms.rooms import Rooms, check_rooms, rooms_from
from protocol.errors import MessageError
from protocol.fields import printable
from protocol.link.whole_file import replace_whole

MAX_LENGTH: Final = 8 << 20
"""[bytes] of a rooms file: twice what MAX_SEATS seats with all their fields take; stops a file that is none of ours"""

_MODE: Final = 0o640
_FIRST_LINE: Final = re.compile(rb"# revision (\d{1,6}), saved (\S{1,40}) by ([^\r\n]{1,300})\r?\n")
_BOM: Final = b"\xef\xbb\xbf"


class Origin(NamedTuple):
    """Where a revision comes from."""

    revision: int
    saved_at: datetime
    """UTC"""
    by: str
    """user name, or what else changed the file"""


class StoredRooms(NamedTuple):
    """A file, apart."""

    origin: Origin | None
    """as its first line says; None for one that was written by hand"""
    body: bytes
    """all but that line"""


def split(data: bytes) -> StoredRooms:
    """The first line, when it is ours, and the rest."""
    data = data.removeprefix(_BOM)
    match = _FIRST_LINE.match(data)
    if match is None:
        return StoredRooms(None, data)
    body = data[match.end() :]
    try:
        saved_at = datetime.fromisoformat(match[2].decode("utf-8"))
        return StoredRooms(Origin(int(match[1]), saved_at.astimezone(UTC), match[3].decode("utf-8")), body)
    except ValueError:
        return StoredRooms(None, body)


def joined(origin: Origin, body: bytes) -> bytes:
    """The bytes of a file."""
    by = printable(origin.by)[:64] or "?"
    saved_at = origin.saved_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return f"# revision {origin.revision}, saved {saved_at} by {by}\n".encode() + body


def rooms_to_toml(rooms: Rooms) -> bytes:
    """The body of a file; the revision is not in it."""
    # Whole documents of tomlkit take a third of a second for a thousand seats; its texts alone take a tenth of that.
    lines: list[str] = []
    for room in rooms.rooms:
        lines += ["[[rooms]]", f"name = {_toml(room.name)}", "seats = ["]
        for seat in room.seats:
            lines.append(f"    {{{_fields(msgspec.to_builtins(seat).items())}}},")
        policy = msgspec.to_builtins(room.policy).items()
        lines += ["]", *([f"policy = {{{_fields(policy)}}}"] if policy else []), ""]
    return "\n".join(lines).encode()


def rooms_from_toml(body: bytes, revision: int) -> Rooms:
    """The rooms in a file of any origin, judged; a revision that it states itself counts for nothing.

    Raises:
        MessageError: it is no TOML, or holds what must not be; the text says where.
    """
    if len(body) > MAX_LENGTH:
        raise MessageError(f"the file has {len(body)} bytes: at most {MAX_LENGTH} are read")
    try:
        values = tomllib.loads(body.removeprefix(_BOM).decode("utf-8"))
    except UnicodeDecodeError:
        raise MessageError("the file is not UTF-8: save it as UTF-8") from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise MessageError(f"the file is no TOML: {error}: mend it there") from None
    values.pop("revision", None)
    return check_rooms(msgspec.structs.replace(rooms_from(values), revision=revision))


def _fields(fields: Iterable[tuple[str, str | int]]) -> str:
    return ", ".join(f"{name} = {_toml(value)}" for name, value in fields)


def _toml(value: str | int) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int) else tomlkit.string(value).as_string()


def read_bytes(path: Path) -> bytes:
    """A whole file, or enough of it to see that it is too long.

    Raises:
        OSError: it is not there, or cannot be read.
    """
    with path.open("rb") as file:
        return file.read(MAX_LENGTH + 1)


def replace_file(path: Path, data: bytes) -> None:
    """The old file or the new one is there at any moment, a power cut included; never half of one.

    Raises:
        OSError: the old one had to stay.
    """
    # Who keeps the file elsewhere and links to it goes on doing so.
    path = path.resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_whole(path, data, _MODE)
