"""Which seats the group serves and which fetch what they miss from the catch-up lane. Pure: no time but ``now``.

``stragglers`` says who would slow the room; here that becomes a lane for each seat. Without a catch-up lane everybody
stays in the group.
"""

from typing import Final

from broadcaster.rate import RateControl
from broadcaster.roster import Roster, Seat
from broadcaster.stragglers import StragglerWatch, is_judged

STUCK_SPAN: Final = 3.0
"""[s] Six reports; TCP has found its pace by then."""

STUCK_RATIO: Final = 0.05
"""Share of the room's rate below which the lane gets nowhere: TCP at 10 % loss, and no port that is only slow."""

MOVED: Final = "moved by the operator"
"""Reason of a seat that is on the catch-up lane because the operator wants it there."""


class Lanes:
    """Moves the seats of one session between group and catch-up lane."""

    def __init__(self, *, has_catch_up: bool) -> None:
        self._has_catch_up = has_catch_up
        self._stragglers = StragglerWatch()
        self._stuck_since: tuple[str, float, int] | None = None
        """the last straggler: its receiver id, since when it is watched, s, and what it had fetched by then, bytes"""
        self._moved: set[str] = set()
        """receivers that the operator has moved"""

    def judge(self, seat: Seat, *, datagrams_sent: int, bytes_sent: int, now: float) -> bool:
        """Judge a seat by its newest report and by all that the group was sent; whether that moved it."""
        report = seat.report
        self._stragglers.seat_reported(report, datagrams_sent=datagrams_sent, bytes_sent=bytes_sent, now=now)
        return self._move(seat)

    def loss_to_mend(self) -> float | None:
        """The loss that repair for the seats of the group has to make good, 0 to 1; None when nothing is known yet."""
        return self._stragglers.loss_to_mend()

    def memory_in_repair(self) -> float:
        """Share of the seats' memory that waits for repair, 0 to 1: the second worst of the group's seats."""
        return self._stragglers.memory_in_repair()

    def leave(self, seat: Seat) -> None:
        """The seat wants nothing more of anybody; one that the operator has moved stays there until it is settled."""
        self._stragglers.forget(seat.report.receiver_id)
        stays = seat.report.receiver_id in self._moved and not seat.is_settled and not seat.is_dismissed
        seat.slow_because = seat.slow_because if stays else ""
        seat.must_leave_group = False

    def move_for_good(self, seat: Seat) -> bool:
        """The operator moves the seat to the catch-up lane; False when there is none."""
        if self._has_catch_up:
            self._moved.add(seat.report.receiver_id)
            self._move(seat)
        return self._has_catch_up

    @property
    def moved(self) -> frozenset[str]:
        """Receivers that the operator has moved."""
        return frozenset(self._moved)

    def forget_pace(self) -> None:
        """The lane has rested: nobody is stuck for that."""
        self._stuck_since = None

    def forget_silent(self, roster: Roster, rate: RateControl, now: float) -> None:
        """Let a seat that is lost decide nothing any more; one that has to stay outside the group stays there."""
        for seat in roster.silent(now):
            rate.forget(seat.report.receiver_id)
            if not seat.is_on_catch_up:
                self._stragglers.forget(seat.report.receiver_id)

    def readmit(self, roster: Roster, rate_bits_per_second: int, now: float) -> bool:
        """When only stragglers still want something, and several do, one more pass serves them all at their pace.

        So it does a single one whose link loses so much that the lane gets nowhere: multicast with repair does.

        Returns:
            Whether that moved anybody.
        """
        wanting = [seat for seat in roster.awaited(now) if is_judged(seat.report)]
        slow = [seat for seat in wanting if seat.is_on_catch_up and seat.report.bytes_received]
        if not slow or len(slow) < len(wanting):
            return False
        if len(slow) == 1 and not self._is_stuck(slow[0], rate_bits_per_second, now):
            return False
        may_return = (seat for seat in slow if seat.report.receiver_id not in self._moved)
        readmitted = [seat for seat in may_return if self._stragglers.readmit(seat.report.receiver_id)]
        for seat in readmitted:
            self._move(seat)
        return bool(readmitted)

    def _is_stuck(self, seat: Seat, rate_bits_per_second: int, now: float) -> bool:
        """Whether a lossy seat got next to nothing from the lane in a whole STUCK_SPAN."""
        straggler = self._stragglers.straggler(seat.report.receiver_id)
        if straggler is None or not straggler.is_lossy:
            return False
        receiver_id, since, before = self._stuck_since or ("", 0.0, 0)
        if receiver_id != seat.report.receiver_id:
            self._stuck_since = seat.report.receiver_id, now, seat.report.catch_up_bytes
            return False
        if now - since < STUCK_SPAN:
            return False
        self._stuck_since = receiver_id, now, seat.report.catch_up_bytes
        return (seat.report.catch_up_bytes - before) * 8 < STUCK_RATIO * rate_bits_per_second * (now - since)

    def _move(self, seat: Seat) -> bool:
        if not self._has_catch_up:
            return False
        straggler = self._stragglers.straggler(seat.report.receiver_id)
        by_order = MOVED if seat.report.receiver_id in self._moved else ""
        reason = by_order or ("" if straggler is None else straggler.reason)
        has_moved = bool(reason) != seat.is_on_catch_up
        seat.slow_because = reason
        seat.was_slow_because = reason or seat.was_slow_because
        seat.must_leave_group = straggler is not None and straggler.must_leave_group
        return has_moved
