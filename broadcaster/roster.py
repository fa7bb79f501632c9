"""Who takes part in a session, what each seat last said, and what became of it.

A seat that falls silent is *lost* after LEASE and back the moment it speaks again; one that speaks but gets nowhere,
once there is something to get, is *stalled*. Neither is waited for. Holds MAX_SEATS at most: anybody can invent
receivers. Pure: no time but ``now``.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from protocol.messages import MAX_SEATS, ReceiverReport, ReceiverState

LEASE: Final = 10.0
"""[s] Twenty reports of a seat missed in a row; a broker that restarts takes less."""

STALL: Final = 60.0
"""[s] Chosen: twice the longest pause that disks are known to take (30 s), and still short for an operator."""

LOST: Final = "lost"
STALLED: Final = "stalled"


@dataclass(slots=True)
class Seat:
    """One receiver of the session."""

    report: ReceiverReport
    """the newest by sequence"""
    joined_at: float
    """s, when it was first heard"""
    heard_at: float
    """s, when anything of it last arrived"""
    progressed_at: float
    """s, when its report last showed progress"""
    settled_at: float | None = None
    """s, when its final report arrived"""

    @property
    def is_settled(self) -> bool:
        """Whether its final report is here."""
        return self.report.state.is_final

    def outcome(self, now: float) -> str:
        """One word: a final state, ``lost``, ``stalled``, or the state it is in."""
        if self.is_settled:
            return self.report.state.value
        if now - self.heard_at > LEASE:
            return LOST
        if now - self.progressed_at > STALL:
            return STALLED
        return self.report.state.value

    def is_awaited(self, now: float) -> bool:
        """Whether the session goes on for this seat."""
        return not self.is_settled and self.outcome(now) not in (LOST, STALLED)


class Roster:
    """The seats of one session by receiver id."""

    def __init__(self) -> None:
        self._seats: dict[str, Seat] = {}
        self._expects_progress = False

    def expect_progress(self, now: float) -> None:
        """Sending begins: until now a seat could only wait, from now on it gets somewhere or stalls."""
        self._expects_progress = True
        for seat in self.seats():
            seat.progressed_at = now

    def hear_report(self, report: ReceiverReport, now: float) -> bool:
        """Take a report; False if it was ignored: older than what is known, after the final one, or of one too many."""
        seat = self._seats.get(report.receiver_id)
        if seat is None:
            if len(self._seats) == MAX_SEATS:
                return False
            seat = Seat(report, joined_at=now, heard_at=now, progressed_at=now)
            self._seats[report.receiver_id] = seat
        elif report.sequence <= seat.report.sequence or seat.is_settled:
            return False
        seat.heard_at = now
        if not self._expects_progress or _progress(report) != _progress(seat.report):
            seat.progressed_at = now
        seat.report = report
        if seat.is_settled:
            seat.settled_at = now
        return True

    def hear(self, receiver_id: str, now: float) -> bool:
        """Note a sign of life; False if the session does not go on for this receiver, or it never reported."""
        seat = self._seats.get(receiver_id)
        if seat is None:
            return False
        seat.heard_at = now
        return seat.is_awaited(now)

    def seats(self) -> Iterator[Seat]:
        """All seats in the order in which they came."""
        return iter(self._seats.values())

    def count_ready(self, now: float) -> int:
        """Seats that wait for the session to start."""
        return sum(seat.report.state is ReceiverState.READY and seat.is_awaited(now) for seat in self.seats())

    def awaited(self, now: float) -> list[Seat]:
        """Seats that the session goes on for."""
        return [seat for seat in self.seats() if seat.is_awaited(now)]

    def settled_ids(self) -> tuple[str, ...]:
        """Receivers whose final report is here."""
        return tuple(receiver_id for receiver_id, seat in self._seats.items() if seat.is_settled)

    def __len__(self) -> int:
        """Number of seats ever heard of."""
        return len(self._seats)


def _progress(report: ReceiverReport) -> tuple[object, ...]:
    return report.state, report.has_manifest, report.blocks_missing, report.bytes_received, report.bytes_verified
