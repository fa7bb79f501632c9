"""What the kernel's command line tells a seat: which broadcaster, which place, what to do, which disk.

    slatecast.server=HOST[:PORT]  slatecast.seat=NAME (percent-encoded)  slatecast.mode=receive|menu|capture
    slatecast.target=RULE         BOOTIF=01-aa-bb-cc-dd-ee-ff (the interface that booted, as PXELINUX writes it)

The line came over an unprotected network, or was typed: nothing of it is believed further than it has to be, and what
is malformed costs one complaint and is as if it were not there. Nothing here can order a disk to be written.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from protocol.errors import ConfigError
from protocol.fields import MAX_SHORT_TEXT
from protocol.link.front_door_address import FrontDoorAddress

KERNEL_COMMAND_LINE: Final = Path("/proc/cmdline")

MAX_COMMAND_LINE: Final = 64 * 1024
"""[bytes] read of it: the longest that any platform of Linux takes."""

MAX_RULE: Final = 200
"""[characters] of a rule for a disk: three terms with the longest model and serial that ATA and NVMe have."""

_SHOWN: Final = 40
"""[characters] of a malformed value; enough to see which one it is"""

_BOOT_INTERFACE: Final = re.compile(r"01-([0-9a-fA-F]{2}(?:-[0-9a-fA-F]{2}){5})")
"""The type of hardware, Ethernet, and its address: SYSLINUX, doc/syslinux.txt, IPAPPEND 2."""


class SeatMode(StrEnum):
    """What the seat was booted for; in each it also takes part in the sessions that it is ordered into."""

    RECEIVE = "receive"
    MENU = "menu"
    """whoever sits there may choose to have it restored, if the room allows that"""
    CAPTURE = "capture"
    """a reference machine"""


@dataclass(frozen=True, slots=True)
class BootArguments:
    """What a seat was told when it was started; every field has a use without it."""

    server: FrontDoorAddress | None = None
    """None: ask by multicast DNS"""
    seat: str = ""
    """empty: its MAC address is its name"""
    mode: SeatMode = SeatMode.RECEIVE
    target: str = "auto"
    """a rule for ``receiver.target_rule``"""
    boot_address: str = ""
    """MAC address of the interface that booted, in lower case with colons"""
    complaints: tuple[str, ...] = ()
    """one line for each value that could not be used"""


def read_boot_arguments(path: Path = KERNEL_COMMAND_LINE) -> BootArguments:
    """What stands in ``path``; the defaults where it cannot be read."""
    try:
        with path.open("rb") as file:
            text = file.read(MAX_COMMAND_LINE).decode(errors="replace")
    except OSError as error:
        return BootArguments(complaints=(f"{path} cannot be read ({error.strerror or error}): defaults are used",))
    return parse_boot_arguments(text)


def parse_boot_arguments(text: str) -> BootArguments:
    """The same from the text itself; of a value that stands twice the last one counts, as for the kernel."""
    given = dict(_arguments(text))
    reader = _Reader(given)
    return BootArguments(
        server=reader.server(),
        seat=reader.seat(),
        mode=reader.mode(),
        target=reader.target(),
        boot_address=reader.boot_address(),
        complaints=tuple(reader.complaints),
    )


def _arguments(text: str) -> Iterator[tuple[str, str]]:
    for word in text.split():
        name, equals, value = word.partition("=")
        if equals:
            yield name.strip('"'), value.strip('"')


class _Reader:
    """Takes values one by one, and notes what is wrong with them."""

    def __init__(self, given: dict[str, str]) -> None:
        self._given = given
        self.complaints: list[str] = []

    def server(self) -> FrontDoorAddress | None:
        value = self._given.get("slatecast.server", "")
        if not value:
            return None
        try:
            return FrontDoorAddress.parse(value)
        except ConfigError:
            self._complain("slatecast.server", value, "no HOST:PORT: the broadcaster is looked for instead")
            return None

    def seat(self) -> str:
        value = unquote(self._given.get("slatecast.seat", ""), errors="replace")
        if len(value) > MAX_SHORT_TEXT or not value.isprintable() or "\N{REPLACEMENT CHARACTER}" in value:
            self._complain("slatecast.seat", value, "no name of at most 64 printable characters")
            return ""
        return value.strip()

    def mode(self) -> SeatMode:
        value = self._given.get("slatecast.mode", SeatMode.RECEIVE.value)
        try:
            return SeatMode(value)
        except ValueError:
            self._complain("slatecast.mode", value, "not receive, menu or capture: receive is used")
            return SeatMode.RECEIVE

    def target(self) -> str:
        value = unquote(self._given.get("slatecast.target", "") or "auto", errors="replace")
        if len(value) > MAX_RULE or not value.isprintable():
            self._complain("slatecast.target", value, "no rule for a disk: auto is used")
            return "auto"
        return value

    def boot_address(self) -> str:
        value = self._given.get("BOOTIF", "")
        match = _BOOT_INTERFACE.fullmatch(value)
        if match is None:
            if value:
                self._complain("BOOTIF", value, "no address of an Ethernet interface")
            return ""
        return match[1].lower().replace("-", ":")

    def _complain(self, name: str, value: str, what: str) -> None:
        shown = "".join(letter if letter.isprintable() else "?" for letter in value[:_SHOWN])
        self.complaints.append(f"{name}={shown} is {what}")
