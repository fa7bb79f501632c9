"""One session of the played fleet: what each of its seats plays, and the News of it second by second."""

import hashlib
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from protocol.commands import PlannedSeat
from protocol.messages import SessionPhase
from protocol.operators import (
    PAGE_LENGTH,
    Happening,
    News,
    SeatNews,
    SeatsNews,
    SessionNews,
    SessionStep,
    Severity,
)

CHUNK: Final = 256 * 1024
HOSTILE_TEXT: Final = "<script>alert(1)</script>\x1b[31m\u202e'\"&;{{7*7}}\n\0=cmd|A1"
"""markup, a terminal's colour, turned reading, quotes, a template, a line of its own, a spreadsheet formula"""

HOSTILE_ROOM: Final = "<b onmouseover=alert(1)>Raum & 'Ö'</b>"


def hex_digits(digits: int, what: str, number: int) -> str:
    return hashlib.sha256(f"{what} {number}".encode()).hexdigest()[:digits]


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
    blocks: int
    cast_seconds: float
    now: float
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
    backs_up: bool = False

    @property
    def is_open(self) -> bool:
        return self.step is not SessionStep.ENDED

    def stop(self, reason: str) -> None:
        self.step, self.end_reason = SessionStep.ENDED, reason
        self.say(Severity.WARNING, f"ended: {reason}")

    def receiver_id(self, machine: str) -> str:
        """Of the machine's present run: RESTARTED gets another in the middle."""
        for planned, part in zip(self.seats, self.parts, strict=True):
            if planned.machine == machine and part is Part.RESTARTED:
                return hex_digits(32, machine, int(self.run_seconds > self.cast_seconds * 0.4))
        return hex_digits(32, machine, 0)

    def news(self, generation: str) -> list[News]:
        """The session with its seats."""
        self.sequence += 1
        seats = [self.seat_news(planned, part) for planned, part in zip(self.seats, self.parts, strict=True)]
        pages = max(1, -(-len(seats) // PAGE_LENGTH))
        sent = int(self.run_seconds / self.cast_seconds * self.blocks * CHUNK * 1.04)
        is_running = self.step is SessionStep.RUNNING
        head = SessionNews(
            generation=generation,
            tsi=self.tsi,
            sequence=self.sequence,
            room=self.room,
            image=self.image,
            version=self.version,
            disk_size=self.blocks * CHUNK * 4,
            stored_bytes=self.blocks * CHUNK * 6 // 10,
            block_count=self.blocks,
            ordered_by=self.ordered_by,
            opened_at=self.opened_at,
            step=self.step,
            phase=_PHASES[self.step],
            position=min(self.blocks, int(self.run_seconds / self.cast_seconds * self.blocks)),
            elapsed_seconds=self.run_seconds,
            rate_bits_per_second=900_000_000 if is_running else 0,
            cap_bits_per_second=940_000_000,
            rate_reason="the cap" if is_running else "",
            bytes_on_wire=sent,
            catch_up_bytes=sent // 40,
            datagrams_sent=sent // 1400,
            repair_datagrams=sent // 1400 // 25,
            expected_seats=len(seats),
            pages=pages,
            end_reason=self.end_reason,
            happenings=tuple(self.happenings[-60:]),
            backs_up=self.backs_up,
        )
        return [
            head,
            *(
                SeatsNews(
                    generation=generation,
                    tsi=self.tsi,
                    sequence=self.sequence,
                    page=page,
                    seats=tuple(seats[page * PAGE_LENGTH : (page + 1) * PAGE_LENGTH]),
                )
                for page in range(pages)
            ),
        ]

    def play(self, seconds: float) -> None:
        self.now += seconds
        match self.step:
            case SessionStep.PLANNED:
                self.planned_seconds += seconds
            case SessionStep.WAITING:
                self.planned_seconds += seconds
                self.waiting_seconds += seconds
                if self.waiting_seconds >= _COUNTDOWN + _READY and self.planned_seconds >= _SCAN:
                    self.step = SessionStep.RUNNING
                    self.say(Severity.INFO, "all seats are ready; sending begins")
            case SessionStep.RUNNING:
                self.run_seconds += seconds
                self._tell_ends()
                if self.run_seconds >= self.cast_seconds * 2.2:
                    self.stop("every seat is done, or cannot be waited for")

    def _tell_ends(self) -> None:
        for planned, part in zip(self.seats, self.parts, strict=True):
            news = self.seat_news(planned, part)
            is_end = news.outcome in {"verified", "failed", "damaged", "lost", "stalled", "incomplete"}
            if is_end and planned.machine not in self.told:
                self.told.add(planned.machine)
                severity = Severity.GOOD if news.outcome == "verified" else Severity.ERROR
                self.say(severity, f"{planned.seat} {news.outcome}: {news.reason}"[:400], news.receiver_id)

    def say(self, severity: Severity, text: str, receiver_id: str | None = None) -> None:
        self.happenings.append(Happening(at=self.now, severity=severity, text=text[:400], receiver_id=receiver_id))

    def seat_news(self, planned: PlannedSeat, part: Part) -> SeatNews:
        """How a seat stands: by what it plays and the seconds since its plan or start."""
        share_of_end, end, end_reason = _ENDS.get(part, (9.0, "", ""))
        receiver_id = self.receiver_id(planned.machine)
        is_slow = part in {Part.SLOW_DISK, Part.LOSSY} or planned.machine in self.moved
        run = self.run_seconds / self.cast_seconds * (0.5 if is_slow else 1.0)
        run = min(run, share_of_end, 1.0)
        if planned.machine in self.dismissed:
            end, end_reason, share_of_end = "aborted", "stopped by an operator", 0.0
        scanned = min(1.0, self.planned_seconds / _SCAN)
        stored, read = min(1.0, run / 0.7), max(0.0, min(1.0, (run - 0.7) / 0.3))
        outcome, reason = _outcome(self, run, scanned, read)
        if end and ((self.run_seconds and run >= share_of_end) or end == "refused"):
            outcome, reason = end, end_reason
        elif is_slow and outcome == "receiving":
            reason = "disk 21 MB/s" if part is not Part.LOSSY else "loss 12%, the others 0.4%"
        lossy = 0.12 if part is Part.LOSSY else 0.004
        missing = int(self.blocks * 0.8 * (1 - stored)) if scanned >= 1 else self.blocks
        expected = int(run * self.blocks * 190)
        text = HOSTILE_TEXT if self.room == HOSTILE_ROOM else ""
        return SeatNews(
            receiver_id=receiver_id,
            machine=planned.machine,
            seat=planned.seat,
            outcome=outcome,
            reason=(reason + text)[:400],
            is_on_catch_up=is_slow and outcome == "receiving",
            target=f"/dev/sda Example SSD 250 GB{text}"[:64],
            silent_seconds=max(0.0, self.run_seconds - 0.35 * self.cast_seconds) if outcome == "lost" else 0.2,
            settled_seconds=self.run_seconds if outcome in _FINAL else -1.0,
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
