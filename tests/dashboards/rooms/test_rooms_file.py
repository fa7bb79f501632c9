import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboards.rooms.layout import laid_out
from dashboards.rooms.rooms import Room, RoomPolicy, Rooms, RoomSeat, check_rooms
from dashboards.rooms.rooms_file import (
    MAX_LENGTH,
    Origin,
    joined,
    read_bytes,
    replace_file,
    rooms_from_toml,
    rooms_to_toml,
    split,
)
from protocol.errors import MessageError

ORIGIN = Origin(7, datetime(2026, 11, 21, 17, 20, 1, tzinfo=UTC), "alice")
SEAT = RoomSeat(name='q"\\', row=1, column=2, machine="m", hostname="pc", mac_address="aa:bb:cc:dd:ee:ff")


def test_one_seat_a_line() -> None:
    text = rooms_to_toml(Rooms(rooms=(Room(name="Lab", seats=(SEAT,)), Room(name="empty")))).decode()
    assert text == (
        '[[rooms]]\nname = "Lab"\nseats = [\n    {name = "q\\"\\\\", row = 1, column = 2, machine = "m",'
        ' hostname = "pc", mac_address = "aa:bb:cc:dd:ee:ff"},\n]\n\n[[rooms]]\nname = "empty"\nseats = [\n]\n'
    )


POLICY = RoomPolicy(image='a"b', version=3, configuration="win", allows_restore=True, backs_up=True, backups_kept=9)
ROOMS = [Rooms(), Rooms(rooms=(laid_out("Lab", 3, 4), Room(name="Ünï", seats=(SEAT,), policy=POLICY)))]


@pytest.mark.parametrize("rooms", ROOMS)
def test_rooms_come_back(rooms: Rooms) -> None:
    assert rooms_from_toml(rooms_to_toml(rooms), 0) == rooms


@given(st.text(min_size=1, max_size=64))
def test_any_name_comes_back(name: str) -> None:
    try:
        rooms = check_rooms(Rooms(rooms=(Room(name=name),)))
    except MessageError:
        return
    assert rooms_from_toml(rooms_to_toml(rooms), 0) == rooms


def test_tables_by_hand_are_read_as_well() -> None:
    body = b'\xef\xbb\xbfrevision = 99\n[[rooms]]\nname="A"\n[[rooms.seats]]\r\nname="1"\nrow=1\ncolumn=1\n'
    assert rooms_from_toml(body, 5) == Rooms(
        revision=5, rooms=(Room(name="A", seats=(RoomSeat(name="1", row=1, column=1),)),)
    )


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"[[rooms]\n", "no TOML: .*line 1"),
        (b"\xff", "not UTF-8"),
        (b"x" * (MAX_LENGTH + 1), "at most"),
        (b"a=" + b"[" * 100_000, "no TOML"),
        (b"[[chambers]]", "no field 'chambers'"),
        (b"rooms = 2020-01-01", "rooms is a list"),
        (b'[[rooms]]\nname="A"\n[[rooms]]\nname="a"\n', "room 'a' is there twice"),
    ],
)
def test_bad_files_are_refused_in_words(body: bytes, words: str) -> None:
    with pytest.raises(MessageError, match=words):
        rooms_from_toml(body, 1)


def test_first_line_comes_back() -> None:
    assert split(joined(ORIGIN, b"x = 1\n")) == (ORIGIN, b"x = 1\n")


@pytest.mark.parametrize("by", ["", "a\nrevision = 3", "x\x7f\x00", "é" * 500])
def test_a_hostile_name_stays_on_its_line(by: str) -> None:
    origin, body = split(joined(ORIGIN._replace(by=by), b"x = 1\n"))
    assert body == b"x = 1\n"
    assert origin is not None
    assert origin.by.isprintable()
    assert rooms_from_toml(joined(ORIGIN._replace(by=by), b""), 1) == Rooms(revision=1)


@pytest.mark.parametrize("line", [b"# hello\n", b"# revision 1, saved never by x\n", b"# revision 1, saved", b""])
def test_other_first_lines_are_somebody_elses(line: bytes) -> None:
    assert split(line).origin is None


def test_file_is_replaced_whole(tmp_path: Path) -> None:
    target = tmp_path / "sub" / "rooms.toml"
    replace_file(target, b"one")
    link = tmp_path / "link.toml"
    link.symlink_to(target)
    replace_file(link, b"two")
    assert read_bytes(target) == b"two"
    assert link.is_symlink()
    assert os.listdir(target.parent) == ["rooms.toml"]  # noqa: PTH208 - names only


def test_what_cannot_be_replaced_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "rooms.toml").mkdir()
    with pytest.raises(OSError, match="directory"):
        replace_file(tmp_path / "rooms.toml", b"x")
    assert [path.name for path in tmp_path.iterdir()] == ["rooms.toml"]
