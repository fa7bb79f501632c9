"""A scripted broadcaster: the News of rooms full of seats over virtual time, for tests of the console without a broker.

Everything is computed from the seconds that were played, so the same calls always give the same News. In every room the
seats play the parts of ``Part`` in turn: one is quick, one has a slow disk, one fails, one is never switched on ...; in
the course of a session every SeatState occurs. The room HOSTILE_ROOM is full of texts that want to be interpreted.
"""

import hashlib
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from dashboards.rooms.rooms import Room, Rooms, RoomSeat
from protocol.commands import PlannedSeat
from protocol.messages import SessionPhase
from protocol.operators import (
    PAGE_LENGTH,
    ApplicantNews,
    Happening,
    HostNews,
    ImageNews,
    ImagesNews,
    News,
    ReceiverNews,
    ReceiversNews,
    SeatNews,
    SeatsNews,
    SessionNews,
    SessionStep,
    Severity,
)

STARTED_AT: Final = 1_790_000_000.0
"""seconds since 1970 at which the play begins"""

CHUNK: Final = 256 * 1024
HOSTILE_TEXT: Final = "<script>alert(1)</script>\x1b[31m\u202e'\"&;{{7*7}}\n\0=cmd|A1"
"""markup, a terminal's colour, turned reading, quotes, a template, a line of its own, a spreadsheet formula"""

HOSTILE_ROOM: Final = "<b onmouseover=alert(1)>Raum & 'Ö'</b>"
COLUMNS: Final = 6


class Part(StrEnum):
    """What becomes of a seat; rooms are cast in this order, again and again."""

    QUICK = "quick"
    SLOW_DISK = "slow disk"
    LOSSY = "lossy"
    EMPTY = "empty"
    OFF = "off"
    REFUSED = "refused"
    FAILED = "failed"
    DAMAGED = "damaged"
    LOST = "lost"
    STALLED = "stalled"
    INCOMPLETE = "incomplete"
    ABORTED = "aborted"
    RESTARTED = "restarted"
    STEADY = "steady"


ROLES: Final = tuple(Part)
_ENDS: Final = {
    Part.REFUSED: (0.0, "refused", "/dev/sda is mounted: unmount it, or name another disk"),
    Part.FAILED: (
        0.45,
        "failed",
        "/dev/sda: write failed: disk error at sector 123456",
    ),
    Part.DAMAGED: (0.95, "damaged", "/dev/sda does not keep what is written: block 17 reads back as another"),
    Part.LOST: (0.35, "lost", "not heard since; last it was receiving"),
    Part.STALLED: (0.5, "stalled", "speaks, but has got nowhere for a minute"),
    Part.INCOMPLETE: (0.7, "incomplete", "the image is damaged in the library at block 12"),
    Part.ABORTED: (0.25, "aborted", "stopped by an operator"),
}
"""share of its way at which a seat ends, its outcome and why"""

_SCAN: Final = 5.0
"""[s] that seats scan their disks"""

_COUNTDOWN: Final = 3.0
_READY: Final = 2.0
_FINAL: Final = frozenset({"verified", "failed", "damaged", "refused", "incomplete", "aborted"})
_PHASES: Final = {
    SessionStep.PLANNED: SessionPhase.WAITING,
    SessionStep.WAITING: SessionPhase.WAITING,
    SessionStep.RUNNING: SessionPhase.DISK,
    SessionStep.PAUSED: SessionPhase.DISK,
    SessionStep.ENDED: SessionPhase.ENDED,
}


@dataclass
class PlayedSession:
    """One session and how far it is."""

    tsi: str
    room: str
    image: str
    version: int
    seats: tuple[PlannedSeat, ...]
    parts: tuple[Part, ...]
    ordered_by: str
    opened_at: float
    step: SessionStep = SessionStep.PLANNED
    sequence: int = 0
    planned_seconds: float = 0.0
    waiting_seconds: float = 0.0
    run_seconds: float = 0.0
    end_reason: str = ""
    happenings: list[Happening] = field(default_factory=list)
    moved: set[str] = field(default_factory=set)
    dismissed: set[str] = field(default_factory=set)
    told: set[str] = field(default_factory=set)
    is_end_told: bool = False

    @property
    def is_open(self) -> bool:
        return self.step is not SessionStep.ENDED


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
        self.generation = _hex(32, "generation", 1)
        self.cast_seconds = cast_seconds
        self.blocks = blocks
        self.is_orderly = orderly
        self.warnings: tuple[str, ...] = ()
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
            _hex(32, "applicant", number): name
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
    ) -> str:
        """Open a plan for the machines of a room that are there; its tsi."""
        there = [seat for seat in self.room(room).seats if self.is_there(seat)]
        chosen = [seat for seat in there if machines is None or seat.machine in machines]
        self._session_count += 1
        tsi = _hex(16, "session", self._session_count)
        self.sessions[tsi] = PlayedSession(
            tsi,
            room,
            image,
            version,
            tuple(PlannedSeat(machine=seat.machine, seat=seat.name) for seat in chosen),
            tuple(self.part_of(seat.machine) for seat in chosen),
            ordered_by,
            self.now,
        )
        self._say(self.sessions[tsi], Severity.INFO, f"{ordered_by} planned {image} for {room}")
        return tsi

    def start(self, tsi: str) -> None:
        self.sessions[tsi].step = SessionStep.WAITING
        self._say(self.sessions[tsi], Severity.INFO, "started: countdowns run at the seats")

    def pause(self, tsi: str) -> None:
        self.sessions[tsi].step = SessionStep.PAUSED
        self._say(self.sessions[tsi], Severity.WARNING, "paused")

    def resume(self, tsi: str) -> None:
        self.sessions[tsi].step = SessionStep.RUNNING
        self._say(self.sessions[tsi], Severity.INFO, "goes on")

    def stop(self, tsi: str, reason: str = "stopped by an operator") -> None:
        session = self.sessions[tsi]
        session.step, session.end_reason = SessionStep.ENDED, reason
        self._say(session, Severity.WARNING, f"ended: {reason}")

    def restart(self) -> None:
        """The broadcaster dies and comes back under another generation; sessions go on."""
        self.started_at = self.now
        self.generation = _hex(32, "generation", int(self.now))
        self._sequence = 0
        for session in self.sessions.values():
            session.sequence = 0

    # --- the play ----------------------------------------------------------------------------------------------------

    def step(self, seconds: float = 1.0) -> list[News]:
        """Play on, and tell all of it, as it is told once a second."""
        self.now += seconds
        self._sequence += 1
        news: list[News] = [self.host(), *self.receivers(), *self.library()]
        for session in self.sessions.values():
            self._play(session, seconds)
            if not session.is_end_told:
                news += self.session_news(session)
            session.is_end_told = not session.is_open
        return news

    def run(self, seconds: int) -> list[News]:
        """All that is told in so many seconds."""
        return [news for _ in range(seconds) for news in self.step()]

    def session_news(self, session: PlayedSession) -> list[News]:
        """One session with its seats."""
        session.sequence += 1
        seats = [
            self._seat_news(session, planned, part) for planned, part in zip(session.seats, session.parts, strict=True)
        ]
        pages = max(1, -(-len(seats) // PAGE_LENGTH))
        sent = int(session.run_seconds / self.cast_seconds * self.blocks * CHUNK * 1.04)
        is_running = session.step is SessionStep.RUNNING
        head = SessionNews(
            generation=self.generation,
            tsi=session.tsi,
            sequence=session.sequence,
            room=session.room,
            image=session.image,
            version=session.version,
            disk_size=self.blocks * CHUNK * 4,
            stored_bytes=self.blocks * CHUNK * 6 // 10,
            block_count=self.blocks,
            ordered_by=session.ordered_by,
            opened_at=session.opened_at,
            step=session.step,
            phase=_PHASES[session.step],
            position=min(self.blocks, int(session.run_seconds / self.cast_seconds * self.blocks)),
            elapsed_seconds=session.run_seconds,
            rate_bits_per_second=900_000_000 if is_running else 0,
            cap_bits_per_second=940_000_000,
            rate_reason="the cap" if is_running else "",
            bytes_on_wire=sent,
            catch_up_bytes=sent // 40,
            datagrams_sent=sent // 1400,
            repair_datagrams=sent // 1400 // 25,
            expected_seats=len(seats),
            pages=pages,
            end_reason=session.end_reason,
            happenings=tuple(session.happenings[-60:]),
        )
        return [
            head,
            *(
                SeatsNews(
                    generation=self.generation,
                    tsi=session.tsi,
                    sequence=session.sequence,
                    page=page,
                    seats=tuple(seats[page * PAGE_LENGTH : (page + 1) * PAGE_LENGTH]),
                )
                for page in range(pages)
            ),
        ]

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
            ImageNews(
                name=image.name,
                version=image.version,
                created=image.created,
                disk_size=image.disk_size,
                stored_bytes=image.stored_bytes,
                is_signed=image.is_signed,
                sessions=tuple(tsi for key, tsi in using.items() if key == (image.name, image.version)),
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

    def receiver_id(self, machine: str, session: PlayedSession | None = None) -> str:
        """Of the machine's present run: RESTARTED gets another in the middle of its session."""
        if session is not None:
            for planned, part in zip(session.seats, session.parts, strict=True):
                if planned.machine == machine and part is Part.RESTARTED:
                    return _hex(32, machine, int(session.run_seconds > self.cast_seconds * 0.4))
        return _hex(32, machine, 0)

    def session_of(self, machine: str) -> PlayedSession | None:
        """The open session that a machine takes part in."""
        for session in self.sessions.values():
            if session.is_open and any(planned.machine == machine for planned in session.seats):
                return session
        return None

    # --- inside ------------------------------------------------------------------------------------------------------

    def _room(self, number: int, name: str, seats: int) -> Room:
        hostile = name == HOSTILE_ROOM
        return Room(
            name=name,
            seats=tuple(
                RoomSeat(
                    name=f"{index + 1:02}" if not hostile else f"{index + 1:02}{HOSTILE_TEXT}"[:64],
                    row=index // COLUMNS + 1,
                    column=index % COLUMNS + 1,
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
        )

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
                receiver_id=self.receiver_id(seat.machine, sessions.get(seat.machine)),
                machine=seat.machine,
                seat=seat.hostname,
                session=sessions[seat.machine].tsi if seat.machine in sessions else "",
            )
            for seat in seats
        ]
        guests = [
            ReceiverNews(receiver_id=_hex(32, machine, 0), machine=machine, seat=name, session="")
            for machine, name in self.guests.items()
        ]
        return there + guests

    def _play(self, session: PlayedSession, seconds: float) -> None:
        match session.step:
            case SessionStep.PLANNED:
                session.planned_seconds += seconds
            case SessionStep.WAITING:
                session.planned_seconds += seconds
                session.waiting_seconds += seconds
                if session.waiting_seconds >= _COUNTDOWN + _READY and session.planned_seconds >= _SCAN:
                    session.step = SessionStep.RUNNING
                    self._say(session, Severity.INFO, "all seats are ready; sending begins")
            case SessionStep.RUNNING:
                session.run_seconds += seconds
                self._tell_ends(session)
                if session.run_seconds >= self.cast_seconds * 2.2:
                    self.stop(session.tsi, "every seat is done, or cannot be waited for")

    def _tell_ends(self, session: PlayedSession) -> None:
        for planned, part in zip(session.seats, session.parts, strict=True):
            news = self._seat_news(session, planned, part)
            is_end = news.outcome in {"verified", "failed", "damaged", "lost", "stalled", "incomplete"}
            if is_end and planned.machine not in session.told:
                session.told.add(planned.machine)
                severity = Severity.GOOD if news.outcome == "verified" else Severity.ERROR
                self._say(session, severity, f"{planned.seat} {news.outcome}: {news.reason}"[:400], news.receiver_id)

    def _say(self, session: PlayedSession, severity: Severity, text: str, receiver_id: str | None = None) -> None:
        session.happenings.append(Happening(at=self.now, severity=severity, text=text[:400], receiver_id=receiver_id))

    def _seat_news(self, session: PlayedSession, planned: PlannedSeat, part: Part) -> SeatNews:
        """How a seat stands: by what it plays and the seconds since its plan or start."""
        share_of_end, end, end_reason = _ENDS.get(part, (9.0, "", ""))
        receiver_id = self.receiver_id(planned.machine, session)
        is_slow = part in {Part.SLOW_DISK, Part.LOSSY} or planned.machine in session.moved
        run = session.run_seconds / self.cast_seconds * (0.5 if is_slow else 1.0)
        run = min(run, share_of_end, 1.0)
        if planned.machine in session.dismissed:
            end, end_reason, share_of_end = "aborted", "stopped by an operator", 0.0
        scanned = min(1.0, session.planned_seconds / _SCAN)
        stored, read = min(1.0, run / 0.7), max(0.0, min(1.0, (run - 0.7) / 0.3))
        outcome, reason = _outcome(session, run, scanned, read)
        if end and ((session.run_seconds and run >= share_of_end) or end == "refused"):
            outcome, reason = end, end_reason
        elif is_slow and outcome == "receiving":
            reason = "disk 21 MB/s" if part is not Part.LOSSY else "loss 12%, the others 0.4%"
        lossy = 0.12 if part is Part.LOSSY else 0.004
        missing = int(self.blocks * 0.8 * (1 - stored)) if scanned >= 1 else self.blocks
        expected = int(run * self.blocks * 190)
        text = HOSTILE_TEXT if session.room == HOSTILE_ROOM else ""
        return SeatNews(
            receiver_id=receiver_id,
            machine=planned.machine,
            seat=planned.seat,
            outcome=outcome,
            reason=(reason + text)[:400],
            is_on_catch_up=is_slow and outcome == "receiving",
            target=f"/dev/sda Example SSD 250 GB{text}"[:64],
            silent_seconds=max(0.0, session.run_seconds - 0.35 * self.cast_seconds) if outcome == "lost" else 0.2,
            settled_seconds=session.run_seconds if outcome in _FINAL else -1.0,
            has_scanned=scanned >= 1,
            blocks_total=self.blocks,
            blocks_missing=missing,
            blocks_to_scan=self.blocks,
            blocks_scanned=int(self.blocks * scanned),
            bytes_received=int(self.blocks * 0.8 * stored * CHUNK * 0.6),
            catch_up_bytes=int(self.blocks * 0.1 * stored * CHUNK) if is_slow else 0,
            symbols_expected=expected,
            symbols_lost=int(expected * lossy),
            blocks_repaired=int(run * self.blocks * lossy * 10),
            buffer_drops=0,
            buffer_fill_ratio=0.9 if part is Part.SLOW_DISK and outcome == "receiving" else 0.1,
            bytes_written=int(self.blocks * 0.8) * CHUNK - missing * CHUNK if scanned >= 1 and run else 0,
            disk_busy_ratio=0.97 if part is Part.SLOW_DISK and outcome == "receiving" else 0.3 if run else 0.0,
            link_bits_per_second=1_000_000_000,
            bytes_to_verify=self.blocks * CHUNK if read else 0,
            bytes_verified=int(self.blocks * CHUNK * read),
            datagrams_rejected=0,
            poisoned_symbols=0,
            alarm=text,
        )


def _outcome(session: PlayedSession, run: float, scanned: float, read: float) -> tuple[str, str]:
    if session.step is SessionStep.PLANNED or (session.end_reason and not session.run_seconds):
        return "planned", ""
    if session.step is SessionStep.WAITING:
        if session.waiting_seconds < _COUNTDOWN:
            return "arming", f"overwrites /dev/sda in {_COUNTDOWN - session.waiting_seconds:.0f} s"
        return "ready", ""
    if run >= 1.0:
        return "verified", ""
    return ("verifying", "") if read else ("receiving", "")


def _hex(digits: int, what: str, number: int) -> str:
    return hashlib.sha256(f"{what} {number}".encode()).hexdigest()[:digits]
