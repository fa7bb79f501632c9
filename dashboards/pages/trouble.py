"""What went wrong between two pictures, in words for whoever listens instead of looking. Pure."""

from typing import Final

from dashboards.fleet.views import FleetView, SeatState
from dashboards.pages.seat_words import SEAT_SIGNS, plain

MOST_NAMED: Final = 3
"""[seats] that one announcement names: a sentence that lists sixty is listened to by nobody"""

Troubles = dict[tuple[str, str], tuple[SeatState, str]]
"""by place and seat: its state and its reason"""


def troubles(picture: FleetView) -> Troubles:
    """Every seat that an operator should look at: those of the rooms, and those of sessions that have no seat there."""
    found: Troubles = {}
    seated: set[str] = set()
    for room in picture.rooms:
        seated.update(seat.machine for seat in room.seats if seat.machine)
        for seat in room.seats:
            if seat.state.is_trouble:
                found[room.name, seat.name] = (seat.state, seat.reason)
    for session in picture.sessions:
        for seat in session.seats:
            if seat.state.is_trouble and seat.machine not in seated:
                found[session.tsi, seat.name] = (seat.state, seat.reason)
    return found


def new_trouble(before: Troubles, now: Troubles) -> str:
    """What to say aloud; empty when nothing has become worse."""
    new = [(place, *what) for place, what in now.items() if place not in before or before[place][0] is not what[0]]
    sentences = [
        plain(f"{seat} {SEAT_SIGNS[state].word}: {reason}" if reason else f"{seat} {SEAT_SIGNS[state].word}")
        for (_, seat), state, reason in new[:MOST_NAMED]
    ]
    if len(new) > MOST_NAMED:
        sentences.append(f"and {len(new) - MOST_NAMED} more seats")
    return ". ".join(sentences)
