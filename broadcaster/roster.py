"""Who takes part in a session, what each seat last said, and what became of it.

A seat that falls silent is *lost* after LEASE and back the moment it speaks again; one that speaks but gets nowhere,
once there is something to get, is *stalled*. Neither is waited for. While the broker itself is out of reach nobody is
judged. A receiver that comes under the name of a seat that is silent and unfinished takes its place: the same PC after
a restart, or the one that stands there now. Holds MAX_SEATS at most: anybody can invent receivers. Pure: no time but
``now``.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from math import inf
from typing import Final

from broadcaster.inventory import Inventory
from protocol.fields import MAX_SEATS
from protocol.messages import Presence, ReceiverReport, ReceiverState

LEASE: Final = 10.0
"""[s] Twenty reports of a seat missed in a row; a broker that restarts takes less."""

STALL: Final = 60.0
"""[s] Chosen: twice the longest pause that disks are known to take (30 s), and still short for an operator."""

LONGEST_ARMING: Final = 630.0
"""[s] A seat that counts down for longer is waited for no more: the longest countdown of a receiver, and some."""

LOST: Final = "lost"
STALLED: Final = "stalled"
INCOMPLETE: Final = "incomplete"
ABORTED: Final = "aborted"

_ARMING: Final = frozenset({ReceiverState.PLANNED, ReceiverState.ARMING})


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
    """s, when its report last showed progress, or when none was due"""
    arming_since: float = inf
    """s, when it began to count down, if it does"""
    settled_at: float | None = None
    """s, when its final report arrived"""
    is_unheard: bool = False
    """it was there before this process took the session over, and has not spoken since"""
    is_recorded: bool = False
    """its final report is where a restart finds it, so that it may leave"""
    is_offline: bool = False
    """the broker says that its connection has ended"""
    inventory: Inventory = field(default_factory=Inventory)
    """what it misses, as it said itself"""
    slow_because: str = ""
    """why it is on the catch-up lane, in words; empty when it is not"""
    was_slow_because: str = ""
    """the last such reason, for the report"""
    must_leave_group: bool = False
    """whether multicast would only flood its link"""
    incomplete_because: str = ""
    """why it can never be complete, in words; empty when it can"""
    dismissed_at: float | None = None
    """s, when the operator stopped it"""

    @property
    def is_settled(self) -> bool:
        """Whether its final report is here."""
        return self.report.state.is_final

    @property
    def is_arming(self) -> bool:
        """Whether nothing may be written there yet: it is planned, or counts down and can still be stopped."""
        return self.report.state in _ARMING

    @property
    def is_dismissed(self) -> bool:
        """Whether the operator has stopped it."""
        return self.dismissed_at is not None

    @property
    def is_on_catch_up(self) -> bool:
        """Whether it fetches what it misses by itself."""
        return bool(self.slow_because)

    def outcome(self, now: float) -> str:
        """One word: a final state, ``lost``, ``stalled``, ``incomplete``, ``aborted`` when it was stopped and has not
        said that it did, or the state it is in.
        """
        if self.is_settled:
            return self.report.state.value
        if self.dismissed_at is not None and now - self.dismissed_at > LEASE:
            return ABORTED
        if self.incomplete_because:
            return INCOMPLETE
        if now - self.heard_at > LEASE:
            return LOST
        if now - self.progressed_at > STALL or (self.is_arming and now - self.arming_since > LONGEST_ARMING):
            return STALLED
        return self.report.state.value

    def is_awaited(self, now: float) -> bool:
        """Whether the session goes on for this seat."""
        return not self.is_settled and self.outcome(now) not in (LOST, STALLED, INCOMPLETE, ABORTED)


class Roster:
    """The seats of one session by receiver id; while it ``is_held``, none has to get anywhere."""

    def __init__(self, *, is_held: bool = False) -> None:
        self._is_held = is_held
        self._seats: dict[str, Seat] = {}

    def hear_report(self, report: ReceiverReport, now: float, *, is_progress_due: bool) -> Seat | None:
        """Take a report; None if it was ignored: older than what is known, after the final one, or of one too many.

        Unless ``is_progress_due``, a seat that gets nowhere does not stall: there may be nothing for it to get yet.
        """
        seat = self._seats.get(report.receiver_id)
        if seat is None:
            self._make_room_for(report, now)
            if len(self._seats) == MAX_SEATS:
                return None
            seat = Seat(report, joined_at=now, heard_at=now, progressed_at=now)
            self._seats[report.receiver_id] = seat
        elif report.sequence <= seat.report.sequence or seat.is_settled:
            return None
        self._note_life(seat, now)
        is_arming = report.state in _ARMING
        seat.arming_since = min(seat.arming_since, now) if is_arming and not self._is_held else inf
        if is_arming or self._is_held or not is_progress_due or _progress(report) != _progress(seat.report):
            seat.progressed_at = now
        seat.report = report
        if seat.is_settled:
            seat.settled_at = now
        return seat

    def hear(self, receiver_id: str, now: float) -> Seat | None:
        """Note a sign of life; None if the session does not go on for this receiver, or it never reported."""
        seat = self._seats.get(receiver_id)
        if seat is None:
            return None
        self._note_life(seat, now)
        return seat if seat.is_awaited(now) and not seat.is_dismissed else None

    def hear_presence(self, presence: Presence, now: float) -> None:
        """Note that a receiver is there, or that its connection has ended."""
        seat = self._seats.get(presence.receiver_id)
        if seat is None:
            return
        if presence.is_online:
            self._note_life(seat, now)
        else:
            seat.is_offline = True

    def release(self, now: float) -> None:
        """The session is not held any more: seats have to get somewhere."""
        self._is_held = False
        self.expect_progress(now)

    def dismiss(self, seat: Seat, now: float) -> None:
        """The operator has stopped it; it has the time of a lease to say so."""
        seat.dismissed_at = now if seat.dismissed_at is None else seat.dismissed_at

    def dismissed_ids(self) -> tuple[str, ...]:
        """Receivers that were stopped and whose final report is not here."""
        return tuple(each for each, seat in self._seats.items() if seat.is_dismissed and not seat.is_settled)

    def expect_progress(self, now: float) -> None:
        """From now on a seat gets somewhere or stalls; also after nobody could be heard for a while."""
        for seat in self.seats():
            seat.progressed_at = now

    def excuse_silence(self, now: float) -> None:
        """Nobody could be heard until now."""
        for seat in self.seats():
            seat.heard_at = seat.progressed_at = now

    def restore(self, report: ReceiverReport, slow_because: str, now: float) -> None:
        """Take a seat over from an earlier run of the same session."""
        seat = Seat(report, joined_at=now, heard_at=now, progressed_at=now, was_slow_because=slow_because)
        seat.arming_since = now
        seat.is_recorded, seat.is_unheard = seat.is_settled, not seat.is_settled
        seat.settled_at = now if seat.is_settled else None
        self._seats[report.receiver_id] = seat

    def get(self, receiver_id: str) -> Seat | None:
        """The seat of a receiver."""
        return self._seats.get(receiver_id)

    def seats(self) -> Iterator[Seat]:
        """All seats in the order in which they came."""
        return iter(self._seats.values())

    def armed(self, now: float) -> list[Seat]:
        """Seats that may write and wait for the session to start; after a restart some may read back already."""
        return [seat for seat in self.awaited(now) if not seat.is_arming and not seat.is_dismissed]

    def awaited(self, now: float) -> list[Seat]:
        """Seats that the session goes on for."""
        return [seat for seat in self.seats() if seat.is_awaited(now)]

    def served(self, now: float) -> list[Seat]:
        """Of these, the seats that the group is there for."""
        return [seat for seat in self.awaited(now) if not seat.is_on_catch_up and not seat.is_dismissed]

    def silent(self, now: float) -> list[Seat]:
        """Seats that are lost, and would be awaited again if they spoke."""
        return [seat for seat in self.seats() if seat.outcome(now) == LOST]

    def settled_ids(self) -> tuple[str, ...]:
        """Receivers whose final report is here."""
        return tuple(receiver_id for receiver_id, seat in self._seats.items() if seat.is_settled)

    def recorded_ids(self) -> tuple[str, ...]:
        """Of these, the ones whose final report outlives this process."""
        return tuple(receiver_id for receiver_id in self.settled_ids() if self._seats[receiver_id].is_recorded)

    def note_recorded(self, reports: Iterable[ReceiverReport]) -> None:
        """These reports are on record."""
        for report in reports:
            if report.state.is_final and report.receiver_id in self._seats:
                self._seats[report.receiver_id].is_recorded = True

    def catch_up_ids(self, *, outside_group: bool = False) -> tuple[str, ...]:
        """Receivers on the catch-up lane; of these, with ``outside_group``, the ones that must leave the group."""
        return tuple(
            receiver_id
            for receiver_id, seat in self._seats.items()
            if seat.is_on_catch_up and not seat.is_settled and (seat.must_leave_group or not outside_group)
        )

    def __len__(self) -> int:
        """Number of seats that are known."""
        return len(self._seats)

    def _note_life(self, seat: Seat, now: float) -> None:
        seat.heard_at = now
        seat.is_offline = seat.is_unheard = False

    def _make_room_for(self, report: ReceiverReport, now: float) -> None:
        """Let go of the seat of this name that is gone and unfinished; a verified disk stays in the report."""
        for receiver_id, seat in list(self._seats.items()):
            is_gone = seat.is_offline or now - seat.heard_at > LEASE
            is_unfinished = seat.report.state is not ReceiverState.VERIFIED
            if seat.report.seat == report.seat and is_gone and is_unfinished:
                del self._seats[receiver_id]


def _progress(report: ReceiverReport) -> tuple[object, ...]:
    return (
        report.state,
        report.has_manifest,
        report.blocks_missing,
        report.blocks_scanned,
        report.bytes_written,
        report.bytes_verified,
    )
