"""What all machines of a simulated room share."""

from collections.abc import Callable
from dataclasses import dataclass

from tests.simulator.broker import SimulatedBroker
from tests.simulator.image import SimulatedImage
from tests.simulator.lane import SimulatedLane
from tests.simulator.network import SimulatedMulticast
from tests.simulator.schedule import Schedule


@dataclass(frozen=True, slots=True)
class RoomParts:
    """What all machines of a room share."""

    schedule: Schedule
    network: SimulatedMulticast
    broker: SimulatedBroker
    lane: SimulatedLane
    image: SimulatedImage
    has_tickets: bool
    """receivers take part by tickets; otherwise whoever hears of the session may write"""
    may_write: Callable[[], bool]
    """whether any ticket may allow to write now"""
