"""Makes a verified disk fit for its machine: fetches what is to be done, lets ``receiver.configure`` do it, tells."""

from collections.abc import Callable
from contextlib import suppress
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
"""[s] How long a configuration, or a file of it, is asked for: one that restarts just then is back by then."""

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
        async for attempt in _patiently():
            with attempt:
                await link.fetch_file(tsi, digest, path)

    reports = _Reports(tsi, link)

    async def report(step: StepReport) -> None:
        tell(StepReported(step.name, step.state, step.text))
        await reports.say(step)

    outcome = await configure(target, configuration, fetch, report)
    await reports.say_rest()
    fault = "" if outcome.is_complete else outcome.failure
    return ConfigurationEnded(_AFTERWARDS[outcome.restart], fault, is_configured=bool(configuration.steps))


class _Reports:
    """What became of the steps, on its way to the broadcaster: no step waits for one that is away for a moment."""

    def __init__(self, tsi: str, link: SeatApiLink) -> None:
        self._tsi = tsi
        self._link = link
        self._unsaid: dict[int, StepReport] = {}
        """by the place of the step; only its newest report counts"""

    async def say(self, report: StepReport) -> None:
        """Tell it, and what could not be told before; raises SlatecastError."""
        self._unsaid[report.index] = report
        for index in sorted(self._unsaid):
            try:
                await self._link.report_step(self._tsi, msgspec.json.encode(self._unsaid[index]))
            except TransportError:
                raise
            except SlatecastError:  # it will not be taken a second time either
                del self._unsaid[index]
                raise
            del self._unsaid[index]

    async def say_rest(self) -> None:
        """Tell what could not be told, to a broadcaster that comes back soon."""
        if not self._unsaid:
            return
        last = self._unsaid[max(self._unsaid)]
        with suppress(SlatecastError):
            async for attempt in _patiently():
                with attempt:
                    await self.say(last)


def _patiently() -> AsyncRetrying:
    return AsyncRetrying(
        retry=retry_if_exception_type(TransportError),
        wait=wait_fixed(RETRY_SECONDS),
        stop=stop_after_delay(FETCH_PATIENCE),
        reraise=True,
    )


async def _fetched(tsi: str, link: SeatApiLink) -> bytes | None:
    async for attempt in _patiently():
        with attempt:
            return await link.configuration(tsi)
    return None
