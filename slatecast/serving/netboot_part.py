"""Booting from the network as a part of the service."""

import logging
from collections.abc import Callable

from broadcaster.netboot.config import NetbootConfig
from broadcaster.netboot.service import Netboot
from slatecast.serving.handover import decode_handover

_logger = logging.getLogger(__name__)


async def work(handover: bytes, on_ready: Callable[[str], None]) -> None:
    """Hand the environment to PCs until cancelled.

    Raises:
        SlatecastError: environment, interface, a port or dnsmasq cannot be used.
    """
    config = decode_handover(handover, NetbootConfig)
    await Netboot(config, lambda line: _logger.info("%s", line)).run(on_ready)
