import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboards.rooms.csv_form import COLUMNS, MAX_LENGTH, MAX_LINES, rooms_from_csv, rooms_to_csv
from dashboards.rooms.layout import laid_out
from dashboards.rooms.rooms import Room, Rooms, RoomSeat, check_rooms
from protocol.errors import MessageError

HEAD = ",".join(COLUMNS)


@pytest.mark.parametrize("delimiter", [",", ";"])
def test_rooms_come_back(delimiter: str) -> None:
    seat = RoomSeat(name='a;"b", c', row=2, column=3, machine="m", hostname="pc", mac_address="aa:bb:cc:dd:ee:ff")
    rooms = Rooms(revision=4, rooms=(laid_out("Lab", 2, 2), Room(name="empty"), Room(name="Café", seats=(seat,))))
    assert rooms_from_csv(rooms_to_csv(rooms, delimiter), revision=4) == rooms


def test_any_order_of_columns_and_spellings() -> None:
    data = "MAC address;column;row;seat;room\r\nAA-BB-CC-DD-EE-FF;2;1;01;Lab\r\n\r\n;;;;\r\n"
    assert rooms_from_csv(data.encode("utf-8-sig")).rooms == (
        Room(name="Lab", seats=(RoomSeat(name="01", row=1, column=2, mac_address="aa:bb:cc:dd:ee:ff"),)),
    )


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "line 1 is not the header: write room,"),
        (b"Lab,01,1,1\n", "line 1 is not the header"),
        (b"room,seat,row\nLab,01,1\n", "line 1: the column column is missing"),
        (b"room,room,seat,row,column\n", "line 1: the column room is there twice"),
        (b"room,seat,row,column,color\n", "line 1: there is no column 'color'"),
        (f"{HEAD}\n".encode(), "no seats"),
        (f"{HEAD}\nLab,01,1,1\nLab,02,x,1\n".encode(), "line 3: room 'Lab', seat '02': row is a whole number"),
        (f"{HEAD}\nLab,01,1,1\nLab,01,1,2\n".encode(), "line 3: room 'Lab', seat '01' is there twice"),
        (f"{HEAD}\nLab,01,1,1\nlab,02,1,2\n".encode(), "line 3: room 'lab' is there twice"),
        (f'{HEAD}\nLab,"0\n1",1,1\n'.encode(), "line 3: room 'Lab', seat '0\N{REPLACEMENT CHARACTER}1'"),
        (f'{HEAD}\nLab,"01,1,1\n'.encode(), "line 2: unexpected end of data"),
        (f"{HEAD}\n,01,1,1\n".encode(), "line 2: room number 1: a name is a text"),
        (f"{HEAD}\nLab,01,1,1,m,h,,8\n".encode(), "line 2 has 8 cells, and the header 7"),
        (f"{HEAD}\nLab,01,1,1,m\nB,01,1,1,M\n".encode(), "line 3: room 'B', seat '01': machine 'M' is on room 'Lab'"),
        (f"{HEAD}\nLab,01,1,1,{'x' * 200_000}\n".encode(), "line 2: field larger than field limit"),
        (f"{HEAD}\nLab,01,1,1,{'x' * 100_000}\n".encode(), "line 2: room 'Lab', seat '01': machine is a text of at"),
        (f"{HEAD}\nLab,01,1,{'9' * 5000}\n".encode(), "line 2: room 'Lab', seat '01': column is a whole number"),
        (f"{HEAD}\nLab,01,1,1\nLab,02,1,\xff".encode("latin-1"), "line 3 is not UTF-8"),
        (b"x" * (MAX_LENGTH + 1), "at most 1048576 are read"),
        (f"{HEAD}\n".encode() + b"\n" * MAX_LINES + b"Lab,01,1,1\n", "more than 50000 lines"),
    ],
)
def test_refusals_name_the_line(data: bytes, words: str) -> None:
    with pytest.raises(MessageError) as caught:
        rooms_from_csv(data)
    assert words in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@x", "\t=1", "'=1", "''-1", "'x", "＝1"])  # noqa: RUF001 - on purpose
def test_no_cell_begins_a_formula(name: str) -> None:
    rooms = Rooms(rooms=(Room(name=name, seats=(RoomSeat(name=name, row=1, column=1, machine=name),)),))
    data = rooms_to_csv(rooms)
    for cell in list(csv.reader(io.StringIO(data.decode("utf-8-sig"))))[1]:
        assert cell[:1] not in list("=+-@\t\r＝")  # noqa: RUF001 - on purpose
    assert rooms_from_csv(data).rooms == check_rooms(rooms_from_csv(data)).rooms
    if name == name.strip():
        assert rooms_from_csv(data) == rooms


@given(st.text(min_size=1, max_size=64), st.text(max_size=64))
def test_whatever_may_be_said_comes_back(name: str, machine: str) -> None:
    try:
        rooms = check_rooms(
            Rooms(rooms=(Room(name=name, seats=(RoomSeat(name=name, row=1, column=1, machine=machine),)),))
        )
    except MessageError:
        return
    assert rooms_from_csv(rooms_to_csv(rooms)) == rooms


@given(st.binary(max_size=300))
def test_any_bytes_are_rooms_or_refused(tail: bytes) -> None:
    for data in (tail, f"{HEAD}\n".encode() + tail):
        try:
            rooms = rooms_from_csv(data)
        except MessageError:
            continue
        assert check_rooms(rooms) == rooms
