"""A scripted broadcaster: the News of rooms full of seats over virtual time, for tests of the console without a broker.

Everything is computed from the seconds that were played, so the same calls always give the same News. In every room the
seats play the parts of ``Part`` in turn: one is quick, one has a slow disk, one fails, one is never switched on ...; in
the course of a session every SeatState occurs. The room HOSTILE_ROOM is full of texts that want to be interpreted.
"""

from datetime import UTC, datetime
from typing import Final

import msgspec

from dashboards.rooms.rooms import Room, Rooms, RoomSeat
from protocol.backup_names import backup_name
from protocol.commands import PlannedSeat
from protocol.firmware import Firmware
from protocol.operators import (
    PAGE_LENGTH,
    ApplicantNews,
    HostNews,
    ImageNews,
    ImagesNews,
    News,
    ReceiverNews,
    ReceiversNews,
    SessionStep,
    Severity,
)
from tests.dashboards.played_captures import PlayedCaptures
from tests.dashboards.played_session import (
    CHUNK,
    HOSTILE_ROOM,
    HOSTILE_TEXT,
    ROLES,
    Part,
    PlayedSession,
    hex_digits,
)

__all__ = ["CHUNK", "HOSTILE_ROOM", "HOSTILE_TEXT", "STARTED_AT", "Part", "PlayedFleet", "PlayedSession"]

STARTED_AT: Final = 1_790_000_000.0
"""seconds since 1970 at which the play begins"""

COLUMNS: Final = 6
WIDE_COLUMNS: Final = 40
"""of rooms with hundreds of seats, which have too many rows otherwise"""


class PlayedFleet:
    """The broadcaster of the play.

    Args:
        rooms: how many, named "Room 1" and so on.
        seats: of each room.
        cast_seconds: that a quick seat needs from start to verified.
        hostile: whether there is HOSTILE_ROOM as well, with a session planned in it.
        blocks: of the image, 256 KiB each.
        orderly: every seat plays STEADY, for figures.
    """

    def __init__(
        self,
        *,
        rooms: int = 1,
        seats: int = 24,
        cast_seconds: float = 60.0,
        hostile: bool = False,
        blocks: int = 16_000,
        orderly: bool = False,
    ) -> None:
        self.now = STARTED_AT
        self.started_at = STARTED_AT
        self.generation = hex_digits(32, "generation", 1)
        self.cast_seconds = cast_seconds
        self.blocks = blocks
        self.is_orderly = orderly
        self.warnings: tuple[str, ...] = ()
        self.can_boot = True
        self.library_bytes_free = 400 << 30
        self.sessions: dict[str, PlayedSession] = {}
        names = [f"Room {number}" for number in range(1, rooms + 1)] + ([HOSTILE_ROOM] if hostile else [])
        self.rooms = Rooms(rooms=tuple(self._room(number, name, seats) for number, name in enumerate(names)))
        self._parts = {
            seat.machine: ROLES[index % len(ROLES)]
            for room in self.rooms.rooms
            for index, seat in enumerate(room.seats)
        }
        self.applicants = {
            hex_digits(32, "applicant", number): name
            for number, name in enumerate(["pc-new-1", "pc-new-2", *([HOSTILE_TEXT] if hostile else [])])
        }
        self.guests = {"guest-1": "laptop of the lab", **({HOSTILE_TEXT[:64]: HOSTILE_TEXT[:64]} if hostile else {})}
        """machines that stand on no seat"""
        self.images = [
            self._image("lab-ubuntu", 2),
            self._image("lab-ubuntu", 1),
            self._image("lab-windows", 1),
            *([self._image(HOSTILE_TEXT[:64], 1)] if hostile else []),
        ]
        self.captures = PlayedCaptures()
        self._sequence = 0
        self._session_count = 0
        if hostile:
            self.plan(HOSTILE_ROOM, HOSTILE_TEXT[:64], 1, ordered_by=HOSTILE_TEXT[:64])

    # --- what is ordered ---------------------------------------------------------------------------------------------

    def plan(
        self,
        room: str,
        image: str = "lab-ubuntu",
        version: int = 2,
        *,
        ordered_by: str = "anna",
        machines: frozenset[str] | None = None,
        backs_up: bool = False,
    ) -> str:
        """Open a plan for the machines of a room that are there; its tsi."""
        there = [seat for seat in self.room(room).seats if self.is_there(seat)]
        chosen = [seat for seat in there if machines is None or seat.machine in machines]
        self._session_count += 1
        tsi = hex_digits(16, "session", self._session_count)
        self.sessions[tsi] = PlayedSession(
            tsi,
            room,
            image,
            version,
            tuple(PlannedSeat(machine=seat.machine, seat=seat.name) for seat in chosen),
            tuple(self.part_of(seat.machine) for seat in chosen),
            ordered_by,
            opened_at=self.now,
            blocks=self.blocks,
            cast_seconds=self.cast_seconds,
            now=self.now,
            backs_up=backs_up,
        )
        self.sessions[tsi].say(Severity.INFO, f"{ordered_by} planned {image} for {room}")
        return tsi

    def back_up(self, room: str, seat: str, *versions: int) -> str:
        """Let the library hold backups of a seat's machine; their name."""
        name = backup_name(next(each.machine for each in self.room(room).seats if each.name == seat))
        self.images += [self._image(name, version) for version in versions]
        return name

    def start(self, tsi: str) -> None:
        self.sessions[tsi].step = SessionStep.WAITING
        self.sessions[tsi].say(Severity.INFO, "started: countdowns run at the seats")

    def pause(self, tsi: str) -> None:
        self.sessions[tsi].step = SessionStep.PAUSED
        self.sessions[tsi].say(Severity.WARNING, "paused")

    def resume(self, tsi: str) -> None:
        self.sessions[tsi].step = SessionStep.RUNNING
        self.sessions[tsi].say(Severity.INFO, "goes on")

    def stop(self, tsi: str, reason: str = "stopped by an operator") -> None:
        self.sessions[tsi].stop(reason)

    def restart(self) -> None:
        """The broadcaster dies and comes back under another generation; sessions go on."""
        self.started_at = self.now
        self.generation = hex_digits(32, "generation", int(self.now))
        self._sequence = 0
        for session in self.sessions.values():
            session.sequence = 0

    # --- the play ----------------------------------------------------------------------------------------------------

    def step(self, seconds: float = 1.0) -> list[News]:
        """Play on, and tell all of it, as it is told once a second."""
        self.now += seconds
        self._sequence += 1
        self.captures.play(seconds)
        self._keep_captured()
        captures = self.captures.news(self.generation, self._sequence)
        news: list[News] = [self.host(), *self.receivers(), *self.library(), *captures]
        for session in self.sessions.values():
            session.play(seconds)
            if not session.is_end_told:
                news += session.news(self.generation)
            session.is_end_told = not session.is_open
        return news

    def _keep_captured(self) -> None:
        """What was captured is in the library."""
        for name, _ in self.captures.kept:
            version = 1 + max((image.version for image in self.images if image.name == name), default=0)
            created = datetime.fromtimestamp(self.now, UTC).isoformat()
            self.images.append(msgspec.structs.replace(self._image(name, version), created=created))
        self.captures.kept.clear()

    def run(self, seconds: int) -> list[News]:
        """All that is told in so many seconds."""
        return [news for _ in range(seconds) for news in self.step()]

    def host(self) -> HostNews:
        return HostNews(
            generation=self.generation,
            sequence=self._sequence,
            version="0.1.0",
            at=self.now,
            started_at=self.started_at,
            interface="eth0",
            address="192.0.2.1",
            front_door="192.0.2.1:7390",
            broker="mqtts://192.0.2.1:8883",
            link_bits_per_second=1_000_000_000,
            is_link_up=True,
            configurations=("lab", "windows"),
            can_boot=self.can_boot,
            library_path="/var/lib/slatecast",
            library_bytes_free=self.library_bytes_free,
            library_bytes_total=1 << 40,
            sessions=tuple(session.tsi for session in self.sessions.values() if session.is_open),
            receiver_count=len(self._receivers()),
            applicants=tuple(
                ApplicantNews(
                    receiver_id=receiver_id,
                    seat=name[:64],
                    address="192.0.2.99",
                    words="abandon ability able about above absent",
                    waiting_seconds=self.now - STARTED_AT,
                )
                for receiver_id, name in self.applicants.items()
            ),
            warnings=self.warnings,
        )

    def receivers(self) -> list[ReceiversNews]:
        """Who is there, in pages."""
        there = self._receivers()
        pages = max(1, -(-len(there) // PAGE_LENGTH))
        return [
            ReceiversNews(
                generation=self.generation,
                sequence=self._sequence,
                page=page,
                pages=pages,
                receivers=tuple(there[page * PAGE_LENGTH : (page + 1) * PAGE_LENGTH]),
            )
            for page in range(pages)
        ]

    def library(self) -> list[ImagesNews]:
        """The images, in one page."""
        using = {(session.image, session.version): session.tsi for session in self.sessions.values() if session.is_open}
        images = tuple(
            msgspec.structs.replace(
                image, sessions=tuple(tsi for key, tsi in using.items() if key == (image.name, image.version))
            )
            for image in self.images
        )
        return [ImagesNews(generation=self.generation, sequence=self._sequence, page=0, pages=1, images=images)]

    def room(self, name: str) -> Room:
        return next(room for room in self.rooms.rooms if room.name == name)

    def part_of(self, machine: str) -> Part:
        return Part.STEADY if self.is_orderly else self._parts.get(machine, Part.STEADY)

    def is_there(self, seat: RoomSeat) -> bool:
        """Whether its machine is switched on."""
        return bool(seat.machine) and self.part_of(seat.machine) is not Part.OFF

    def session_of(self, machine: str) -> PlayedSession | None:
        """The open session that a machine takes part in."""
        for session in self.sessions.values():
            if session.is_open and any(planned.machine == machine for planned in session.seats):
                return session
        return None

    # --- inside ------------------------------------------------------------------------------------------------------

    def _room(self, number: int, name: str, seats: int) -> Room:
        hostile = name == HOSTILE_ROOM
        columns = COLUMNS if seats <= 100 * COLUMNS else WIDE_COLUMNS
        return Room(
            name=name,
            seats=tuple(
                RoomSeat(
                    name=f"{index + 1:02}" if not hostile else f"{index + 1:02}{HOSTILE_TEXT}"[:64],
                    row=index // columns + 1,
                    column=index % columns + 1,
                    machine=""
                    if ROLES[index % len(ROLES)] is Part.EMPTY and not self.is_orderly
                    else f"02:00:00:{number:02x}:{index >> 8:02x}:{index & 255:02x}",
                    hostname=f"pc-{number + 1}-{index + 1:02}" if not hostile else HOSTILE_TEXT[:64],
                    mac_address=f"02:00:00:{number:02x}:{index >> 8:02x}:{index & 255:02x}",
                )
                for index in range(seats)
            ),
        )

    def _image(self, name: str, version: int) -> ImageNews:
        return ImageNews(
            name=name,
            version=version,
            created="2026-11-20T09:00:00Z",
            disk_size=self.blocks * CHUNK * 4,
            stored_bytes=self.blocks * CHUNK * 6 // 10,
            is_signed=version > 0,
            sessions=(),
            firmware=Firmware.UEFI if "windows" in name else Firmware.BOTH,
            least_size=self.blocks * CHUNK,
        )

    def _receiver_id(self, machine: str, session: PlayedSession | None) -> str:
        return hex_digits(32, machine, 0) if session is None else session.receiver_id(machine)

    def _receivers(self) -> list[ReceiverNews]:
        seats = [seat for room in self.rooms.rooms for seat in room.seats if self.is_there(seat)]
        sessions = {
            planned.machine: session
            for session in self.sessions.values()
            if session.is_open
            for planned in session.seats
        }
        there = [
            ReceiverNews(
                receiver_id=self._receiver_id(seat.machine, sessions.get(seat.machine)),
                machine=seat.machine,
                seat=seat.hostname,
                session=sessions[seat.machine].tsi if seat.machine in sessions else "",
                metrics="",
            )
            for seat in seats
        ]
        guests = [
            ReceiverNews(receiver_id=hex_digits(32, machine, 0), machine=machine, seat=name, session="", metrics="")
            for machine, name in self.guests.items()
        ]
        return there + guests
