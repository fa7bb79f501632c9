"""Which seats the group serves and which fetch what they miss from the catch-up lane. Pure: no time but ``now``.

``stragglers`` says who would slow the room; here that becomes a lane for each seat. Without a catch-up lane everybody
stays in the group.
"""

from broadcaster.roster import Roster, Seat
from broadcaster.stragglers import StragglerWatch, is_judged


class Lanes:
    """Moves the seats of one session between group and catch-up lane."""

    def __init__(self, *, has_catch_up: bool) -> None:
        self._has_catch_up = has_catch_up
        self._stragglers = StragglerWatch()

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
        """The seat wants nothing more of anybody."""
        self._stragglers.forget(seat.report.receiver_id)
        seat.slow_because = ""
        seat.must_leave_group = False

    def readmit(self, roster: Roster, now: float) -> bool:
        """When only stragglers still want something, and several do, one more pass serves them all at their pace.

        Whether that moved anybody.
        """
        wanting = [seat for seat in roster.awaited(now) if is_judged(seat.report)]
        slow = [seat for seat in wanting if seat.is_on_catch_up and seat.report.bytes_received]
        if len(slow) < 2 or len(slow) < len(wanting):
            return False
        readmitted = [seat for seat in slow if self._stragglers.readmit(seat.report.receiver_id)]
        for seat in readmitted:
            self._move(seat)
        return bool(readmitted)

    def _move(self, seat: Seat) -> bool:
        if not self._has_catch_up:
            return False
        straggler = self._stragglers.straggler(seat.report.receiver_id)
        reason = "" if straggler is None else straggler.reason
        has_moved = bool(reason) != seat.is_on_catch_up
        seat.slow_because = reason
        seat.was_slow_because = reason or seat.was_slow_because
        seat.must_leave_group = straggler is not None and straggler.must_leave_group
        return has_moved
