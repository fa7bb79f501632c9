"""The two jobs that need the whole disk beside a session: a capture reads it, the configuration's steps change it."""

from collections.abc import Callable

from protocol.configuration import Restart, decode_configuration
from protocol.errors import MessageError
from protocol.seat_api import CaptureOrder
from receiver.seat_api_link import SeatApiLink
from slatecast.seat.events import CaptureEnded, Event


async def capture_disk(
    order: CaptureOrder, target: str, link: SeatApiLink, tell: Callable[[Event], object]
) -> CaptureEnded:
    """Read ``target`` into the library; how far it is, is told."""
    return CaptureEnded(order.capture_id, "this version of the environment cannot capture")


async def configure_disk(
    body: bytes, tsi: str, target: str, link: SeatApiLink, tell: Callable[[Event], object]
) -> tuple[Restart, str]:
    """Run the steps on ``target``: what the machine is to do then, and what went wrong, in one sentence or empty."""
    try:
        configuration = decode_configuration(body)
    except MessageError as error:
        return Restart.STAY, str(error)
    if not configuration.steps:
        return configuration.restart, ""
    return Restart.STAY, "this version of the environment cannot configure"
