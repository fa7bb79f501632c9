"""The operator of a room: starts or drops what was only planned, pauses, stops a seat or moves it to the catch-up lane.

Where there is one, receivers take part by tickets, which travel as all messages do: late, twice, or not at all.
"""

import random
from dataclasses import dataclass, field

from protocol.messages import ReceiverState, SessionPhase
from tests.simulator.broadcaster import SimulatedBroadcaster
from tests.simulator.schedule import Schedule

REPEAT = 0.5
"""[s] How soon the operator looks again at what a broadcaster has forgotten that was killed."""


@dataclass(slots=True)
class Plans:
    """What the operator is going to do, and has done."""

    is_planned: bool = True
    """nothing may be written before the release"""
    starts_at: float = 0.0
    """s, when a planned session is released"""
    is_dropped: bool = False
    """it is dropped then instead"""
    pause: tuple[float, float] | None = None
    """s, from and until"""
    dismissals: list[float] = field(default_factory=list)
    """s, when somebody is stopped"""
    moves: list[float] = field(default_factory=list)
    """s, when somebody is moved to the catch-up lane"""
    was_released: bool = False
    """seats may write from now on"""
    dismissed: set[str] = field(default_factory=set)
    """machines"""

    @property
    def ends_at(self) -> float:
        """When the operator has nothing more to do, in seconds."""
        return max(self.starts_at, 0.0 if self.pause is None else self.pause[1], *self.dismissals, *self.moves)


def draw_plans(rng: random.Random) -> Plans:
    """Of any kind."""
    plans = Plans(is_planned=rng.random() < 0.8)
    if plans.is_planned:
        plans.is_dropped = rng.random() < 0.15
        plans.starts_at = rng.uniform(0.2, 9.0)
    if rng.random() < 0.4:
        since = rng.uniform(0.1, 10.0)
        plans.pause = since, since + rng.choice([rng.uniform(0.1, 3.0), rng.uniform(10.0, 30.0)])
    plans.dismissals = [rng.uniform(0.1, 12.0) for _ in range(rng.choice([0, 0, 1, 2]))]
    plans.moves = [rng.uniform(0.1, 12.0) for _ in range(rng.choice([0, 0, 1]))]
    return plans


class Operator:
    """Does what was planned, through whatever process of the broadcaster there is."""

    def __init__(self, schedule: Schedule, rng: random.Random, sender: SimulatedBroadcaster, plans: Plans) -> None:
        self._schedule = schedule
        self._rng = rng
        self._sender = sender
        self._plans = plans
        if plans.is_planned:
            schedule.after(plans.starts_at, self._start)
        if plans.pause is not None:
            schedule.after(plans.pause[0], self._pause)
        for at in plans.dismissals:
            schedule.after(at, self._dismiss)
        for at in plans.moves:
            schedule.after(at, self._move)

    def _start(self) -> None:
        session, now = self._sender.session, self._schedule.now
        if session.phase is SessionPhase.ENDED:
            return
        if self._sender.is_alive and self._plans.is_dropped:
            self._schedule.note("operator drops the plan")
            session.abort("dropped", now)
            self._sender.changed()
            return
        if self._sender.is_alive and session.is_held:
            there = [each for each in session.roster.awaited(now) if each.report.state is ReceiverState.PLANNED]
            self._schedule.note(f"operator starts {len(there)} seats")
            self._plans.was_released = True
            session.release(now, len(there) or None)
            self._sender.changed()
            self._sender.give_tickets()
        self._schedule.after(REPEAT, self._start)

    def _pause(self) -> None:
        assert self._plans.pause is not None
        session, now = self._sender.session, self._schedule.now
        if session.phase is SessionPhase.ENDED:
            return
        is_over = now >= self._plans.pause[1]
        if self._sender.is_alive and session.is_paused is is_over:
            self._schedule.note("operator resumes" if is_over else "operator pauses")
            if is_over:
                session.resume(now)
            else:
                session.pause(now)
            self._sender.changed()
        self._schedule.after(REPEAT, self._pause)

    def _dismiss(self) -> None:
        session, now = self._sender.session, self._schedule.now
        seats = session.roster.awaited(now)
        if not self._sender.is_alive or not seats:
            return
        receiver_id = self._rng.choice(seats).report.receiver_id
        if session.dismiss(receiver_id, now):
            self._schedule.note(f"operator dismisses {receiver_id}")
            self._plans.dismissed.add(self._sender.dismiss(receiver_id))
            self._sender.changed()

    def _move(self) -> None:
        session, now = self._sender.session, self._schedule.now
        seats = session.roster.awaited(now)
        if self._sender.is_alive and seats:
            session.move_to_catch_up(self._rng.choice(seats).report.receiver_id, now)
            self._sender.changed()
