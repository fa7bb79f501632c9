"""Who is there: the admitted receivers, by what they say of themselves in their presences. Pure: no time but ``now``.

A receiver says that it is there every few seconds, and its last will that it is not. One that falls silent for LEASE is
gone, since a broker that was restarted has forgotten its will. Its id is drawn anew at each start, so whoever means a
PC names its machine; of two receivers that claim the same machine the one that came last counts.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from broadcaster.admissions import MAX_ADMITTED
from broadcaster.host.places import machine_of
from protocol.messages import Presence

LEASE: Final = 16.0
"""[s] Three presences of a receiver missed in a row, and a little."""


@dataclass(slots=True)
class Attendant:
    """One receiver that is there."""

    receiver_id: str
    machine: str
    seat: str
    """as it calls itself"""
    came_at: float
    """s"""
    heard_at: float
    """s"""
    metrics: str
    """address:port of its Prometheus exporter, as it claims; empty when it has none"""


class Attendance:
    """The receivers that are there, by id, in the order in which they came."""

    def __init__(self) -> None:
        self._there: dict[str, Attendant] = {}

    def hear(self, presence: Presence, now: float) -> bool:
        """Note a proved presence; whether anybody came, left or calls himself otherwise."""
        known = self._there.get(presence.receiver_id)
        if not presence.is_online:
            return self._there.pop(presence.receiver_id, None) is not None
        machine = machine_of(presence)
        if known is not None and (known.machine, known.seat) == (machine, presence.seat):
            known.heard_at = now
            return False
        if known is None and len(self._there) >= MAX_ADMITTED:
            del self._there[min(self._there.values(), key=lambda each: each.heard_at).receiver_id]
        came_at = now if known is None else known.came_at
        self._there[presence.receiver_id] = Attendant(
            presence.receiver_id, machine, presence.seat, came_at, now, presence.metrics
        )
        return True

    def expire(self, now: float) -> bool:
        """Forget the silent; whether there were any."""
        gone = [each.receiver_id for each in self._there.values() if now - each.heard_at > LEASE]
        for receiver_id in gone:
            del self._there[receiver_id]
        return bool(gone)

    def excuse_silence(self, now: float) -> None:
        """Nobody could be heard until now."""
        for each in self._there.values():
            each.heard_at = now

    def there(self) -> Iterable[Attendant]:
        """All that are there."""
        return self._there.values()

    def get(self, receiver_id: str) -> Attendant | None:
        """This receiver, if it is there."""
        return self._there.get(receiver_id)

    def at(self, machine: str) -> Attendant | None:
        """The receiver of a machine, the last that came; None when none is there."""
        found = None
        for each in self._there.values():
            if each.machine == machine and (found is None or each.came_at >= found.came_at):
                found = each
        return found

    def claimed_twice(self) -> list[str]:
        """Machines that several receivers claim to be, sorted; one that was just restarted does so for a moment."""
        claims = Counter(each.machine for each in self._there.values())
        return sorted(machine for machine, count in claims.items() if count > 1)

    def is_claimed_by_another(self, receiver_id: str) -> bool:
        """Whether another one that is there claims to be the same machine; not the one that it was before a restart."""
        this = self._there.get(receiver_id)
        return this is not None and any(
            other.machine == this.machine and other.heard_at > this.came_at and this.heard_at > other.came_at
            for other in self._there.values()
            if other is not this
        )

    def __len__(self) -> int:
        """How many are there."""
        return len(self._there)
