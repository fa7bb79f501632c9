import unicodedata

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboards.rooms.rooms import (
    MAX_FAULTS,
    MAX_SEATS,
    Room,
    RoomPolicy,
    Rooms,
    RoomSeat,
    check_rooms,
    is_hostname,
    judged,
    room_named,
    rooms_from,
    seat_of,
    usual_mac,
)
from protocol.errors import MessageError

MAC = "aa:bb:cc:dd:ee:ff"


def seat(name: str = "01", row: int = 1, column: int = 1, **texts: str) -> RoomSeat:
    return RoomSeat(name=name, row=row, column=column, **texts)


def rooms(*seats: RoomSeat, name: str = "Lab A") -> Rooms:
    return Rooms(revision=3, rooms=(Room(name=name, seats=seats),))


def test_good_rooms_come_back_in_usual_form() -> None:
    typed = rooms(seat(" Café ", machine="AA-BB-CC-DD-EE-FF", hostname="PC-01.Lab", mac_address="AABB.CCDD.EEFF"))
    usual = seat("Café", machine=MAC, hostname="pc-01.lab", mac_address="aa:bb:cc:dd:ee:ff")
    assert check_rooms(typed) == rooms(usual)
    assert check_rooms(Rooms()) == Rooms()


@pytest.mark.parametrize(
    "typed",
    [
        "AA:BB:CC:DD:EE:FF",
        "aa-bb-cc-dd-ee-ff",
        "aabb.ccdd.eeff",
        "aabbccddeeff",
        "AABBCC-DDEEFF",
        " aa:bb:cc:dd:ee:ff ",
    ],
)
def test_mac_spellings(typed: str) -> None:
    assert usual_mac(typed) == MAC


@pytest.mark.parametrize("typed", ["", "aa:bb:cc:dd:ee", "aa:bb-cc:dd:ee:ff", "a:abb:ccdd:ee:ff", "gg:bb:cc:dd:ee:ff"])
def test_what_is_no_mac_stays(typed: str) -> None:
    assert usual_mac(typed) == typed


def test_twelve_digits_may_be_the_name_of_a_machine() -> None:
    assert check_rooms(rooms(seat(machine="aabbccddeeff"))).rooms[0].seats[0].machine == "aabbccddeeff"


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (rooms(seat(), seat(column=2)), "room 'Lab A', seat '01' is there twice"),
        (rooms(seat("a"), seat("A", column=2)), "seat 'A' is there twice"),
        (rooms(seat("é"), seat(unicodedata.normalize("NFD", "É"), column=2)), "is there twice"),
        (rooms(seat(), seat("02")), "seat '02': row 1, column 1 is the place of seat '01': move one of them"),
        (
            rooms(seat(machine="m"), seat("02", column=2, machine="M")),
            "seat '02': machine 'M' is on room 'Lab A', seat",
        ),
        (rooms(seat("a\x07b")), "characters that cannot be seen"),
        (rooms(seat("a\u202eb")), "characters that cannot be seen"),
        (rooms(seat(machine="a\u200bb")), "seat '01': machine holds characters"),
        (rooms(seat(" ")), "a name is a text of 1 to 64 characters"),
        (rooms(seat("x" * 65)), "a name is a text of 1 to 64 characters"),
        (rooms(seat(hostname="pc_1")), "seat '01': 'pc_1' is no hostname"),
        (rooms(seat(mac_address="aa:bb")), "seat '01': 'aa:bb' is no MAC address: write it as aa:bb:cc:dd:ee:ff"),
        (rooms(seat(mac_address="ff:ff:ff:ff:ff:ff")), "is the MAC address of a group"),
        (rooms(seat(row=0)), "room 'Lab A', seat '01': row is a whole number from 1 to 100"),
        (rooms(seat(column=101)), "column is a whole number from 1 to 100"),
        (rooms(name="a\u2028x"), "characters that cannot be seen"),
        (Rooms(rooms=(Room(name="a"), Room(name="A"))), "room 'A' is there twice"),
    ],
)
def test_refusals_name_the_seat_and_what_to_do(bad: Rooms, words: str) -> None:
    with pytest.raises(MessageError) as caught:
        check_rooms(bad)
    assert words in str(caught.value)
    assert str(caught.value).isprintable()


def test_a_machine_stands_in_one_room() -> None:
    both = Rooms(rooms=(rooms(seat(machine=MAC)).rooms[0], rooms(seat(machine=MAC.upper()), name="Lab B").rooms[0]))
    with pytest.raises(
        MessageError, match=r"room 'Lab B', seat '01': machine '.*' is on room 'Lab A', seat '01' already"
    ):
        check_rooms(both)


def test_all_faults_are_told_with_their_places() -> None:
    _, found = judged(rooms(seat(), seat("02"), seat("03", column=3), seat("03", column=4)))
    assert [(fault.room, fault.seat) for fault in found] == [(0, 1), (0, 3)]
    with pytest.raises(MessageError, match="and 1 other faults"):
        check_rooms(rooms(seat(), seat("02"), seat("03", column=3), seat("03", column=4)))
    many = rooms(*(seat(f"{number}", mac_address="x") for number in range(50)))
    assert len(judged(many)[1]) == MAX_FAULTS


def test_more_seats_than_are_managed() -> None:
    places = [(row, column) for row in range(1, 11) for column in range(1, 101)]
    full = tuple(seat(f"{row}-{column}", row, column) for row, column in places)
    many = Rooms(rooms=tuple(Room(name=f"{number}", seats=full) for number in range(MAX_SEATS // 1000)))
    assert not judged(many)[1]
    over = msgspec.structs.replace(many, rooms=(*many.rooms, Room(name="one more", seats=full[:1])))
    assert "20001 seats" in judged(over)[1][0].text


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (
            {"rooms": [{"name": "L", "seats": [{"name": "1", "row": 1, "column": 1, "x": 2}]}]},
            "no field 'x': use name,",
        ),
        ({"rooms": [{"name": "L", "seats": [{"name": "1", "row": 1}]}]}, "room 'L', seat '1': column is missing"),
        ({"rooms": [{"name": "L", "seats": [{"row": 1, "column": 1}]}]}, "room 'L', seat number 1: name is missing"),
        ({"rooms": [{"name": "L", "seats": [{"name": 5, "row": 1, "column": 1}]}]}, "seat number 1: a name is"),
        ({"rooms": [{"name": "L", "seats": [{"name": "1", "row": "1", "column": 1}]}]}, "row is a whole number"),
        ({"rooms": [{"seats": []}]}, "room number 1: name is missing"),
        ({"rooms": [3]}, "room number 1"),
        ({"rooms": 3}, "rooms is a list"),
        ({"chambers": []}, "rooms: there is no field 'chambers': use revision, rooms"),
        ({"rooms": [{"name": "x" * 1_000_000}]}, "a name is a text of 1 to 64 characters"),
        (5, "rooms"),
    ],
)
def test_plain_values_of_another_shape(values: object, words: str) -> None:
    with pytest.raises(MessageError) as caught:
        rooms_from(values)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        *(("pc1", True), ("PC-1.lab", True), ("1pc", True), ("a" * 63, True)),
        *(("a" * 64, False), ("-a", False), ("a-", False), ("", False), ("a..b", False), ("10.0.0.1", False)),
        *(("a b", False), ("é", False), ("a\n", False)),
    ],
)
def test_hostnames(text: str, is_one: bool) -> None:
    assert is_hostname(text) == is_one


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        (RoomPolicy(allows_restore=True), "no image is assigned"),
        (RoomPolicy(version=2), "a version is named and no image"),
        (RoomPolicy(image="a\u200bb"), "image holds characters that cannot be seen"),
        (RoomPolicy(image="a", configuration="\x1b"), "configuration holds characters that cannot be seen"),
    ],
)
def test_policies_that_contradict_themselves(policy: RoomPolicy, words: str) -> None:
    with pytest.raises(MessageError, match=f"^room 'A': .*{words}"):
        check_rooms(Rooms(rooms=(Room(name="A", policy=policy),)))


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        ({"image": 1}, "room 'A', policy: image is a text"),
        ({"backups_kept": 0}, "room 'A', policy: backups_kept is a whole number from 1 to 100"),
        ({"colour": 1}, "room 'A', policy: there is no field 'colour': use image, version"),
        ([], "room 'A', policy: policy is a table"),
    ],
)
def test_policies_of_another_shape(policy: object, words: str) -> None:
    with pytest.raises(MessageError, match=words):
        rooms_from({"rooms": [{"name": "A", "policy": policy}]})


def test_lookups() -> None:
    there = rooms(seat(machine=MAC))
    assert seat_of(there, MAC.upper()) == (there.rooms[0], there.rooms[0].seats[0])
    assert seat_of(there, "") is None
    assert room_named(there, "LAB A") is there.rooms[0]
    assert room_named(there, "Lab B") is None


@given(st.text(max_size=20), st.text(max_size=20), st.text(max_size=20), st.text(max_size=17))
def test_checking_what_is_checked_changes_nothing(name: str, machine: str, hostname: str, mac_address: str) -> None:
    try:
        once = check_rooms(rooms(seat(name, machine=machine, hostname=hostname, mac_address=mac_address)))
    except MessageError:
        return
    assert check_rooms(once) == once
