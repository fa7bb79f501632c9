"""For which machines a session is, and which receivers stand there: plans name machines, receivers come with new ids.
Pure.

Holds a machine for each receiver that was ordered into the session, so that it can still be told who failed after it
has gone. A machine that another session takes over is no longer ours, but its seat is still shown.
"""

from typing import Final

import msgspec

from broadcaster.host.hosting import Hosting
from protocol.commands import PlannedSeat
from protocol.fields import MAX_SEATS
from protocol.messages import Presence

MAX_COMERS: Final = 4 * MAX_SEATS
"""[receivers] that are remembered, each start of a machine is one; stops a PC that restarts for days from filling the
memory."""


def machine_of(presence: Presence) -> str:
    """The name of the machine that a receiver stands on; of one that has none to tell, that of its seat."""
    return presence.machine or presence.seat


class Places:
    """The planned seats of one session."""

    def __init__(self, hosting: Hosting) -> None:
        self._hosting = hosting
        self._seats = {seat.machine: seat for seat in hosting.seats}
        self._comers = dict(hosting.comers)
        self._released = set(hosting.released)

    @property
    def hosting(self) -> Hosting:
        """For whom the session is, as it now stands."""
        return msgspec.structs.replace(self._hosting, comers=dict(self._comers), released=tuple(sorted(self._released)))

    def change(self, **changes: object) -> None:
        """Change fields of ``hosting`` that are not kept here."""
        self._hosting = msgspec.structs.replace(self._hosting, **changes)

    @property
    def seats(self) -> tuple[PlannedSeat, ...]:
        """In the order of the plan."""
        return tuple(self._seats.values())

    def add(self, seat: PlannedSeat) -> None:
        """One more machine, or one again that another session had taken over."""
        self._seats[seat.machine] = seat
        self._released.discard(seat.machine)
        self._hosting = msgspec.structs.replace(self._hosting, seats=self.seats)

    def is_for(self, machine: str) -> bool:
        """Whether the session is for this machine."""
        return machine in self._seats and machine not in self._released

    def release(self, machine: str) -> bool:
        """Another session takes this machine over; whether that changes anything."""
        if not self.is_for(machine):
            return False
        self._released.add(machine)
        return True

    def came(self, receiver_id: str, machine: str) -> bool:
        """A receiver of one of our machines is ordered into the session; False if it is the one that came last."""
        if self.receiver_at(machine) == receiver_id:
            return False
        self._comers.pop(receiver_id, None)
        if len(self._comers) >= MAX_COMERS:
            del self._comers[next(iter(self._comers))]
        self._comers[receiver_id] = machine
        return True

    def seat_of(self, receiver_id: str) -> PlannedSeat | None:
        """Where this receiver stands, or stood."""
        return self._seats.get(self._comers.get(receiver_id, ""))

    def receiver_at(self, machine: str) -> str | None:
        """The receiver of a machine that came last."""
        return next((each for each, there in reversed(self._comers.items()) if there == machine), None)
