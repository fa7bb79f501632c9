"""What all machines of a simulated room share."""

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
