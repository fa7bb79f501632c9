from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.link.front_door_address import FrontDoorAddress
from slatecast.seat.boot_arguments import BootArguments, SeatMode, parse_boot_arguments, read_boot_arguments


def test_everything_that_can_be_told() -> None:
    told = parse_boot_arguments(
        "vmlinuz quiet initrd=initrd.img slatecast.server=192.0.2.1:9000 slatecast.seat=Reihe%202%2C%20pc%C3%A4 "
        "slatecast.mode=menu slatecast.target=size>=200G,bus=nvme BOOTIF=01-AA-bb-cc-dd-ee-0f slatecast.shell\n"
    )
    assert told == BootArguments(
        server=FrontDoorAddress("192.0.2.1", 9000),
        seat="Reihe 2, pcä",
        mode=SeatMode.MENU,
        target="size>=200G,bus=nvme",
        boot_address="aa:bb:cc:dd:ee:0f",
    )


def test_nothing_is_told() -> None:
    assert parse_boot_arguments("quiet ro root=/dev/ram0") == BootArguments()


def test_the_last_one_counts() -> None:
    assert parse_boot_arguments("slatecast.seat=a slatecast.seat=b").seat == "b"


@pytest.mark.parametrize(
    ("word", "complaint"),
    [
        ("slatecast.server=:99999", "slatecast.server=:99999 is no HOST:PORT: the broadcaster is looked for instead"),
        ("slatecast.seat=%1b[2J", "slatecast.seat=?[2J is no name of at most 64 printable characters"),
        ("slatecast.seat=%ff", "slatecast.seat=\N{REPLACEMENT CHARACTER} is no name of at most 64 printable"),
        ("slatecast.seat=" + "x" * 65, "slatecast.seat=" + "x" * 40 + " is no name of at most 64"),
        ("slatecast.mode=wipe", "slatecast.mode=wipe is not receive, menu or capture: receive is used"),
        ("slatecast.target=%0a", "slatecast.target=? is no rule for a disk: auto is used"),
        ("BOOTIF=eth0", "BOOTIF=eth0 is no address of an Ethernet interface"),
    ],
)
def test_what_is_malformed_is_said_once_and_left_out(word: str, complaint: str) -> None:
    told = parse_boot_arguments(f"quiet {word}")
    (said,) = told.complaints
    assert said.startswith(complaint)
    assert BootArguments(complaints=told.complaints) == told


def test_a_file_that_is_not_there_gives_the_defaults(tmp_path: Path) -> None:
    (said,) = read_boot_arguments(tmp_path / "cmdline").complaints
    assert said.endswith("cannot be read (No such file or directory): defaults are used")
    (tmp_path / "cmdline").write_bytes(b"slatecast.mode=capture \xff\xfe\n")
    assert read_boot_arguments(tmp_path / "cmdline").mode is SeatMode.CAPTURE


@given(st.text(), st.sampled_from(["server", "seat", "mode", "target"]))
def test_anything_may_stand_there(text: str, name: str) -> None:
    told = parse_boot_arguments(f"slatecast.{name}={text}")
    for shown in (told.seat, told.target, *told.complaints):
        assert shown.isprintable()
