"""Who a receiver is, what it may overwrite, and what a session came to for it."""

from dataclasses import dataclass
from pathlib import Path

from protocol.link.interfaces import InterfaceInfo
from protocol.link.mqtt import BrokerAddress
from protocol.messages import ReceiverState
from receiver.session import DEFAULT_BUFFER_LIMIT


@dataclass(frozen=True, slots=True)
class ReceiverConfig:
    """Who this receiver is and what it may overwrite."""

    seat: str
    target: str
    """path of the disk"""
    interface: InterfaceInfo
    broker: BrokerAddress
    ca_file: Path | None = None
    """PEM file of the authority of an mqtts broker; None trusts the system's"""
    buffer_limit: int = DEFAULT_BUFFER_LIMIT
    """bytes of blocks in memory"""
    is_delta: bool = True
    """keep what the disk already holds; False writes everything"""


@dataclass(frozen=True, slots=True)
class SessionOutcome:
    """How one session ended for this receiver."""

    state: ReceiverState
    reason: str
    is_acknowledged: bool
    """whether the broadcaster has the final report"""
