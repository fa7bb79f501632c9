"""Makes a verified disk fit for its machine: fetches what is to be done, lets ``receiver.configure`` do it, tells."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_delay, wait_fixed

from protocol.configuration import Restart, StepReport, decode_configuration
from protocol.errors import SlatecastError, TransportError
from receiver.configure.service import configure
from receiver.seat_api_link import SeatApiLink
from slatecast.seat.events import Afterwards, ConfigurationEnded, StepReported

FETCH_PATIENCE: Final = 60.0
"""[s] How long a configuration is asked for: a broadcaster that restarts at that very moment is back by then."""

RETRY_SECONDS: Final = 1.0
"""[s] between two such questions"""

_AFTERWARDS: Final = {
    Restart.REBOOT: Afterwards.RESTART,
    Restart.POWEROFF: Afterwards.POWER_OFF,
    Restart.STAY: Afterwards.STAY,
}


async def configure_disk(
    tsi: str, target: str, link: SeatApiLink, tell: Callable[[StepReported], object]
) -> ConfigurationEnded:
    """Do to ``target`` what the session ``tsi`` wants done, with the disk to ourselves.

    What cannot be fetched or done leaves the PC as it is, for somebody to look.
    """
    try:
        body = await _fetched(tsi, link)
        if body is None:
            return ConfigurationEnded(Afterwards.RESTART, is_configured=False)
        configuration = decode_configuration(body)
    except SlatecastError as error:
        return ConfigurationEnded(Afterwards.STAY, f"the configuration cannot be fetched: {error}")

    async def fetch(digest: bytes, path: Path) -> None:
        await link.fetch_file(tsi, digest, path)

    async def report(step: StepReport) -> None:
        tell(StepReported(step.name, step.state, step.text))
        await link.report_step(tsi, msgspec.json.encode(step))

    outcome = await configure(target, configuration, fetch, report)
    fault = "" if outcome.is_complete else outcome.failure
    return ConfigurationEnded(_AFTERWARDS[outcome.restart], fault, is_configured=bool(configuration.steps))


async def _fetched(tsi: str, link: SeatApiLink) -> bytes | None:
    async for attempt in AsyncRetrying(
        retry=retry_if_exception_type(TransportError),
        wait=wait_fixed(RETRY_SECONDS),
        stop=stop_after_delay(FETCH_PATIENCE),
        reraise=True,
    ):
        with attempt:
            return await link.configuration(tsi)
    return None
