"""Which receivers stand on the seats that a session is for: the plan names machines, receivers come with new ids. Pure.

Holds a machine for each receiver that was ordered into the session, so that it can still be told who failed after it
has gone.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from protocol.commands import PlannedSeat
from protocol.messages import MAX_SEATS

MAX_COMERS: Final = 4 * MAX_SEATS
"""[receivers] that are remembered, each start of a machine is one; stops a PC that restarts for days from filling the
memory."""


class Places:
    """The planned seats of one session."""

    def __init__(self, seats: Iterable[PlannedSeat], comers: Mapping[str, str]) -> None:
        """``comers`` are the machines of receivers that came before, by receiver id."""
        self._seats = {seat.machine: seat for seat in seats}
        self._comers = dict(comers)

    @property
    def seats(self) -> tuple[PlannedSeat, ...]:
        """In the order of the plan."""
        return tuple(self._seats.values())

    @property
    def comers(self) -> dict[str, str]:
        """The machine of each receiver that came, by receiver id."""
        return dict(self._comers)

    def is_for(self, machine: str) -> bool:
        """Whether the session is for this machine."""
        return machine in self._seats

    def came(self, receiver_id: str, machine: str) -> None:
        """A receiver of one of our machines is ordered into the session."""
        self._comers.pop(receiver_id, None)
        if len(self._comers) >= MAX_COMERS:
            del self._comers[next(iter(self._comers))]
        self._comers[receiver_id] = machine

    def seat_of(self, receiver_id: str) -> PlannedSeat | None:
        """Where this receiver stands, or stood."""
        return self._seats.get(self._comers.get(receiver_id, ""))

    def receiver_at(self, machine: str) -> str | None:
        """The receiver of a machine that came last."""
        return next((each for each, there in reversed(self._comers.items()) if there == machine), None)
