"""What a broadcaster that hosts sessions is set up with."""

from dataclasses import dataclass

from broadcaster.cast_config import START_RATE, default_rate
from broadcaster.control_side import ControlSetting
from protocol.link.interfaces import InterfaceInfo


@dataclass(frozen=True, slots=True)
class HostConfig:
    """Where it sends and listens, and how fast its sessions go where their operators say nothing."""

    interface: InterfaceInfo
    control: ControlSetting
    """the broker, the front door and the enrolment token"""
    rate_bits_per_second: int | None = None
    """of one session, link bits; None takes a share of the link"""
    max_rate_bits_per_second: int | None = None
    """of all sessions of this machine on the interface together; None leaves them to each other"""
    use_ipv6: bool = False
    metrics_port: int | None = None
    """of Prometheus metrics; None serves none"""
    metrics_host: str = "127.0.0.1"
    """where that port listens; anybody who reaches it may read it"""
    is_advertised: bool = True
    """whether receivers find the front door by multicast DNS"""

    def rate_for(self, wanted_bits_per_second: int) -> int:
        """The rate of a session whose operator wants this one, or says nothing (0)."""
        return wanted_bits_per_second or self.rate_bits_per_second or default_rate(self.interface)

    def start_rate_for(self, wanted_bits_per_second: int) -> int:
        """Where such a session begins; who names a rate wants it from the beginning."""
        return wanted_bits_per_second or self.rate_bits_per_second or min(START_RATE, self.rate_for(0))
