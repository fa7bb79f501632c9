"""Who a receiver is, what it may overwrite, and what a session came to for it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from protocol.firmware import Firmware
from protocol.link.interfaces import InterfaceInfo
from protocol.messages import ReceiverState
from receiver.firmware import firmware_of_this_pc
from receiver.session import DEFAULT_BUFFER_LIMIT

DEFAULT_COUNTDOWN: Final = 10.0
"""[s] Chosen: time to read one line and to press a key, and short beside a cast."""


@dataclass(frozen=True, slots=True)
class ReceiverConfig:
    """Who this receiver is and what it may overwrite."""

    seat: str
    target: str
    """path of the disk"""
    interface: InterfaceInfo
    buffer_limit: int = DEFAULT_BUFFER_LIMIT
    """bytes of blocks in memory"""
    is_delta: bool = True
    """keep what the disk already holds; False writes everything"""
    countdown_seconds: float = DEFAULT_COUNTDOWN
    """for which the first write can be stopped at the seat"""
    machine: str = ""
    """stable name of this PC, whatever its id is at this start; empty where the seat's name is all there is"""
    firmware: Firmware = field(default_factory=firmware_of_this_pc)
    """an image that boots by another one is refused; BOTH takes any"""
    target_fault: str = ""
    """why there is no disk to write to now; every session is refused with it"""
    take_disk: Callable[[Callable[[], bool]], bool] | None = None
    """called in a worker thread before the first write of each session, with whether that has become needless: waits
    until nobody else uses the disk; False if nobody may write. None where nobody else does."""
    metrics_port: int | None = None
    """TCP port of its Prometheus exporter; None without one"""

    @property
    def metrics_address(self) -> str:
        """address:port where Prometheus finds the exporter of this receiver; empty without one."""
        if self.metrics_port is None:
            return ""
        host = self.interface.ipv4 or f"[{self.interface.ipv6}]"
        return f"{host}:{self.metrics_port}"


@dataclass(frozen=True, slots=True)
class SessionOutcome:
    """How one session ended for this receiver."""

    state: ReceiverState
    reason: str
    is_acknowledged: bool
    """whether the broadcaster has the final report"""
