"""What one cast is to do, as its operator asked for it."""

from dataclasses import dataclass

from broadcaster.readiness import StartPolicy
from protocol.link.interfaces import InterfaceInfo


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
