"""When a seat, and the last one of a session, will be done. Pure.

A seat needs what is left of its work at the speed at which it has worked of late (``dashboards.fleet.progress``); the
session needs as long as the slowest seat that it goes on for. Whoever has done nothing of late, or has not worked long
enough to be measured, has no time: an honest "unknown" beats a number that jumps.
"""

from collections.abc import Iterable
from typing import Final

from dashboards.fleet.progress import WORK_WINDOW, Track, Work
from dashboards.fleet.views import SeatState

SHORTEST_MEASURE: Final = 3.0
"""[s] of work before it is believed to go on like this."""

LONGEST_ETA: Final = 7 * 86400.0
"""[s] Chosen: what takes longer than a week is as good as standing still."""

_AT_WORK: Final = frozenset({SeatState.RECEIVING, SeatState.CATCHING_UP, SeatState.VERIFYING})
_NOT_AWAITED: Final = frozenset({SeatState.LOST, SeatState.STALLED, SeatState.OFF})


def seat_eta(state: SeatState, work: Work, track: Track) -> float | None:
    """Seconds until a seat is verified; 0 when it is; None when nobody can tell."""
    if state is SeatState.VERIFIED:
        return 0.0
    before, latest = track.before(WORK_WINDOW), track.latest
    if state not in _AT_WORK or before is None or latest is None or not work.total:
        return None
    seconds, done = latest.at - before.at, latest.work - before.work
    left = work.total - work.done
    if seconds < SHORTEST_MEASURE or done <= 0:
        return None
    eta = left * seconds / done
    return eta if eta <= LONGEST_ETA else None


def session_eta(seats: Iterable[tuple[SeatState, float | None]]) -> float | None:
    """Seconds until the last seat is verified; None when nobody can tell of one that the session goes on for.

    A seat that is lost or stalled is not waited for, and so does not count.
    """
    longest = 0.0
    is_any = False
    for state, eta in seats:
        if state in _NOT_AWAITED or (state.is_final and state is not SeatState.VERIFIED):
            continue
        if eta is None:
            return None
        longest, is_any = max(longest, eta), True
    return longest if is_any else None
