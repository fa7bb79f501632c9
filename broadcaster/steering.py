"""What an operator has ordered of one session: whether it is only planned, whether it rests, and when it may begin.
Pure: no time but ``now``.

A session that is *held* is a plan: its seats look at their disks and wait. ``release`` starts it. Then, as in every
session, the start waits for the seats that are expected, or for as long as the policy says.
"""

from dataclasses import replace

from broadcaster.readiness import StartPolicy
from broadcaster.roster import Roster


class Steering:
    """Of one session that was opened at ``now``."""

    def __init__(self, policy: StartPolicy, now: float, *, is_held: bool) -> None:
        self.is_held = is_held
        """it is only planned: nothing may be written"""
        self.has_begun = False
        """the seats that were waited for are there, or the wait was over"""
        self._policy = policy
        self._waits_since = now
        self._paused_at: float | None = None

    @property
    def is_paused(self) -> bool:
        """Whether nothing is to be sent."""
        return self._paused_at is not None

    def release(self, expected_seats: int | None, settled_count: int, now: float) -> None:
        """Let it begin, with ``expected_seats`` beside those that are settled already; None for those of the policy."""
        self.is_held = False
        self._waits_since = now
        if expected_seats is not None:
            self._policy = replace(self._policy, expected_seats=expected_seats + settled_count)

    def pause(self, now: float) -> None:
        """Rest from now on."""
        if self._paused_at is None:
            self._paused_at = now

    def resume(self, now: float) -> float:
        """Go on; gives for how many seconds it has rested, which are nobody's fault."""
        rested = 0.0 if self._paused_at is None else now - self._paused_at
        self._paused_at = None
        self._waits_since += rested
        return rested

    def may_begin(self, roster: Roster, now: float) -> bool:
        """Whether enough seats are ready; once it was so, it stays so."""
        if not self.is_held and not self.has_begun:
            self.has_begun = self._policy.may_start(roster, now - self._waits_since, now)
        return self.has_begun

    def is_in_vain(self, roster: Roster, now: float) -> bool:
        """Whether nobody is there any more to wait for."""
        is_over = (
            now - self._waits_since >= self._policy.wait_seconds
            or len(roster.settled_ids()) >= self._policy.expected_seats
        )
        return not self.is_held and is_over and not roster.awaited(now)
