"""The console as a part of the service."""

from collections.abc import Callable

from dashboards.config import ConsoleConfig
from dashboards.console import run
from slatecast.serving.handover import decode_handover


async def work(handover: bytes, on_ready: Callable[[str], None]) -> None:
    """Serve operators until cancelled.

    Raises:
        SlatecastError: the console cannot listen, or its state cannot be used.
    """
    config = decode_handover(handover, ConsoleConfig)
    await run(config, on_ready=lambda: on_ready(config.url))
