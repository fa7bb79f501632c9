"""What one cast is to do, as its operator asked for it, and how fast it goes where nobody said so."""

from dataclasses import dataclass
from typing import Final

from broadcaster.readiness import StartPolicy
from protocol.link.interfaces import InterfaceInfo

LINK_SHARE: Final = 0.9
"""Of the link speed when no rate is given: the rest is for control, repair and the class next door."""

START_RATE: Final = 900_000_000
"""[bit/s] Where a cast without a given rate begins: most seats have gigabit ports, whatever the server has."""

UNKNOWN_LINK_RATE: Final = 900_000_000
"""[bit/s] Where the interface does not tell its speed (loopback, virtual): nine tenths of gigabit Ethernet."""


@dataclass(frozen=True, slots=True)
class CastConfig:
    """Where, when and how fast one cast sends."""

    interface: InterfaceInfo
    policy: StartPolicy
    rate_bits_per_second: int
    """link bits, Ethernet headers included; never exceeded"""
    start_rate_bits_per_second: int
    """where the rate begins, if that is lower; it rises while the room keeps up"""
    use_ipv6: bool
    max_rate_bits_per_second: int | None = None
    """link bits of all casts of this host on this interface together"""

    @property
    def ceiling_bits_per_second(self) -> int:
        """What this cast may send at most."""
        return min(self.rate_bits_per_second, self.max_rate_bits_per_second or self.rate_bits_per_second)


def default_rate(interface: InterfaceInfo) -> int:
    """Bits per second when none is given."""
    if interface.speed_bits_per_second is None:
        return UNKNOWN_LINK_RATE
    return int(interface.speed_bits_per_second * LINK_SHARE)
