"""What the broadcaster says of one session, and when: its announcement and its status. Pure: no time but ``now``.

Both say the whole truth each time. The status goes out at once when something has changed that seats wait for.
"""

from typing import Final

from broadcaster.rate import RateControl
from broadcaster.roster import Roster
from protocol.messages import Announcement, SessionPhase, SessionStatus

STATUS_INTERVAL: Final = 0.5
"""[s] How stale an operator's picture and a receiver's idea of the position may be."""

ANNOUNCEMENT_INTERVAL: Final = 5.0
"""[s] The announcement is retained, and repeated in case the broker was restarted empty: half of its lease."""


class Bulletin:
    """Of one session; ``generation`` counts its starts.

    With ``is_recorded`` a final report is acknowledged only when a restart would find it.
    """

    def __init__(self, announcement: Announcement, now: float, *, generation: int, is_recorded: bool) -> None:
        self._announcement = announcement
        self._is_recorded = is_recorded
        self._sequence = generation << 32
        self._status_due_at = now
        self._announcement_due_at = now

    def hasten(self, now: float) -> None:
        """Something has changed that the next status tells."""
        self._status_due_at = now

    def hasten_all(self, now: float) -> None:
        """The other side may have forgotten everything."""
        self._announcement_due_at = self._status_due_at = now

    def next_announcement(self, now: float) -> Announcement | None:
        """The announcement, when it is due."""
        if now < self._announcement_due_at:
            return None
        self._announcement_due_at = now + ANNOUNCEMENT_INTERVAL
        return self._announcement

    def is_status_due(self, now: float) -> bool:
        """Whether it is time for ``status``."""
        return now >= self._status_due_at

    def next_timeout(self, phase: SessionPhase) -> float:
        """When something is due at the latest; a session that has ended is not announced any more."""
        if phase is SessionPhase.ENDED:
            return self._status_due_at
        return min(self._status_due_at, self._announcement_due_at)

    def status(
        self,
        now: float,
        *,
        phase: SessionPhase,
        position: int,
        rate: RateControl,
        roster: Roster,
        datagrams_sent: int,
        repair_datagrams: int,
        is_paused: bool,
    ) -> SessionStatus:
        """The status as it is now, under a new sequence number."""
        self._status_due_at = now + STATUS_INTERVAL
        self._sequence += 1
        waits_for_record = self._is_recorded and phase is not SessionPhase.ENDED
        settled = roster.recorded_ids() if waits_for_record else roster.settled_ids()
        return SessionStatus(
            tsi=self._announcement.tsi,
            sequence=self._sequence,
            phase=phase,
            position=position,
            rate_bits_per_second=rate.rate_bits_per_second,
            rate_reason=rate.reason,
            datagrams_sent=datagrams_sent,
            repair_datagrams=repair_datagrams,
            settled=settled,
            catch_up=roster.catch_up_ids(),
            must_leave_group=roster.catch_up_ids(outside_group=True),
            is_paused=is_paused,
            dismissed=roster.dismissed_ids(),
        )
