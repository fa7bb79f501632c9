"""Whether the sender of a session is still there: it says something twice a second, or its datagrams come. Pure."""

from typing import Final

SENDER_LEASE: Final = 15.0
"""[s] Without a word of the sender for so long, its session is over: it says something every 0.5 s, and by then it has
given up a receiver that it does not hear (10 s); a broker that restarts takes less."""

OUTAGE_LEASE: Final = 120.0
"""[s] The same while the broker is out of reach, and nothing comes by multicast either: twice a long outage."""


class Lease:
    """Renewed by every word of the sender, and by what arrives from it."""

    def __init__(self, now: float) -> None:
        self._heard_at = now
        self._control_is_lost = False

    def heard(self, now: float) -> None:
        """The sender has said something."""
        self._heard_at = now

    def control_lost(self) -> None:
        """The broker is out of reach: the sender cannot be heard, so its silence means nothing."""
        self._control_is_lost = True

    def control_restored(self, now: float) -> None:
        """The broker is back, and the sender has the time of a lease to be heard."""
        self._control_is_lost, self._heard_at = False, now

    def is_over(self, last_arrival: float, now: float) -> bool:
        """Whether the sender is gone; ``last_arrival`` is when a datagram of its session came last."""
        silence = now - max(self._heard_at, last_arrival)
        return silence >= (OUTAGE_LEASE if self._control_is_lost else SENDER_LEASE)
