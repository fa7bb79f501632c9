"""Rooms with what their machines do, and the tray of those that stand nowhere. Pure.

A machine is found by its stable name, in capitals or not, as ``dashboards.rooms`` has it. It shows what it does in an
open session, wherever that is; else what the last session that was started in its room came to; else whether it is
there. Names are claims: of two receivers that say they are the same machine, the one in a session is shown on the seat,
the other lies in the tray with a word about it.
"""

import dataclasses
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final

from dashboards.fleet.views import RoomView, SeatState, SeatView, SessionView
from dashboards.rooms.rooms import Room, Rooms, RoomSeat, name_key
from protocol.operators import ReceiverNews, SessionStep

CLAIMED_TWICE: Final = "says that it is a machine that another receiver says it is: give one of them another name"
_key = lru_cache(maxsize=8192)(name_key)
_ORDER: Final = {state: index for index, state in enumerate(SeatState)}


@dataclasses.dataclass(frozen=True, slots=True)
class _Made:
    """A seat as it was made, and of what."""

    place: RoomSeat
    source: SeatView | None
    present: ReceiverNews | None
    seat: SeatView

    def is_of(self, place: RoomSeat, source: SeatView | None, present: ReceiverNews | None) -> bool:
        """Whether it would be made again as it is."""
        return self.place is place and self.source is source and self.present is present


class RoomPlaces:
    """Places seats in rooms; remembers what it made, since most of it is the same at the next look."""

    def __init__(self) -> None:
        self._made: dict[tuple[str, str], _Made] = {}

    def view(
        self, rooms: Rooms, sessions: Sequence[SessionView], started: Iterable[str], receivers: Iterable[ReceiverNews]
    ) -> tuple[tuple[RoomView, ...], tuple[SeatView, ...]]:
        """All rooms, and the tray.

        Args:
            rooms: as they are saved.
            sessions: open ones first, the newest first.
            started: tsi of the sessions that have been more than a plan.
            receivers: that are there.
        """
        open_seats: dict[str, SeatView] = {}
        for session in reversed(sessions):
            if session.step is not SessionStep.ENDED:
                open_seats.update(_by_machine(session))
        there, doubles = _by_claim(receivers)
        latest = _latest(sessions, set(started))
        views = []
        made: dict[tuple[str, str], _Made] = {}
        placed = set()
        for room in rooms.rooms:
            last = latest.get(room.name)
            ended = _by_machine(last) if last is not None and last.step is SessionStep.ENDED else {}
            seats = []
            for place in sorted(room.seats, key=lambda seat: (seat.row, seat.column)):
                machine = _key(place.machine)
                source = present = None
                if machine:
                    placed.add(machine)
                    source, present = open_seats.get(machine) or ended.get(machine), there.get(machine)
                known = self._made.get((room.name, place.name))
                if known is None or not known.is_of(place, source, present):
                    known = _Made(place, source, present, _seat(place, source, present))
                made[room.name, place.name] = known
                seats.append(known.seat)
            views.append(_room(room, tuple(seats), last))
        self._made = made
        tray = [_guest(receiver, "") for machine, receiver in there.items() if machine not in placed]
        tray += [_guest(receiver, CLAIMED_TWICE) for receiver in doubles]
        return tuple(views), tuple(tray)


def _by_machine(session: SessionView) -> dict[str, SeatView]:
    """Its seats; of two receivers of one machine the one that came last, since the PC was started again."""
    return {_key(seat.machine): seat for seat in session.seats if seat.machine}


def _by_claim(receivers: Iterable[ReceiverNews]) -> tuple[dict[str, ReceiverNews], list[ReceiverNews]]:
    """Receivers by the machine that they say they are, and those that say what another one says."""
    there: dict[str, ReceiverNews] = {}
    doubles = []
    for receiver in receivers:
        machine = _key(receiver.machine) or receiver.receiver_id
        known = there.get(machine)
        if known is None:
            there[machine] = receiver
        elif receiver.session and not known.session:
            there[machine] = receiver
            doubles.append(known)
        else:
            doubles.append(receiver)
    return there, doubles


def _latest(sessions: Sequence[SessionView], was_started: set[str]) -> dict[str, SessionView]:
    """By room its open session, else the last that ended there; a plan that was dropped leaves no trace."""
    latest: dict[str, SessionView] = {}
    for session in sessions:
        if session.step is not SessionStep.ENDED or session.tsi in was_started:
            latest.setdefault(session.room, session)
    return latest


def _seat(place: RoomSeat, source: SeatView | None, present: ReceiverNews | None) -> SeatView:
    receiver_id = "" if present is None else present.receiver_id
    machine = place.machine if present is None else present.machine
    if source is not None:
        return dataclasses.replace(
            source,
            name=place.name,
            machine=machine,
            receiver_id=receiver_id if source.state.is_final or not source.receiver_id else source.receiver_id,
            row=place.row,
            column=place.column,
            hostname=place.hostname,
        )
    state = SeatState.EMPTY if not place.machine else SeatState.OFF if present is None else SeatState.IDLE
    return SeatView(
        name=place.name,
        machine=machine,
        receiver_id=receiver_id,
        state=state,
        row=place.row,
        column=place.column,
        hostname=place.hostname,
    )


def _guest(receiver: ReceiverNews, reason: str) -> SeatView:
    return SeatView(
        name=receiver.seat,
        machine=receiver.machine,
        receiver_id=receiver.receiver_id,
        state=SeatState.IDLE,
        reason=reason,
    )


def _room(room: Room, seats: tuple[SeatView, ...], session: SessionView | None) -> RoomView:
    counts = Counter(seat.state for seat in seats)
    by_state = tuple(sorted(counts.items(), key=lambda item: _ORDER[item[0]]))
    if session is None:
        return RoomView(room.name, seats, counts=by_state)
    return RoomView(room.name, seats, session.tsi, session.step, session.spread, session.eta_seconds, by_state)
