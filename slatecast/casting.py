"""One cast with everything around it: broker, link, discovery, broadcast, metrics and the picture on the terminal."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich.console import Console

from broadcaster.broker import EmbeddedBroker
from broadcaster.library.library import Library
from broadcaster.metrics import BroadcasterMetrics
from broadcaster.report import SessionReport
from broadcaster.service import Broadcast, CastConfig
from protocol.errors import TransportError
from protocol.link.discovery import advertise
from protocol.link.interfaces import InterfaceInfo
from protocol.link.mqtt import DEFAULT_PORT, BrokerAddress, MqttLink
from protocol.manifest import Manifest
from slatecast.cli.room_display import room_display, say
from slatecast.cli.words import rate_in_words

LINK_SHARE: Final = 0.9
"""Of the link speed when no rate is given: the rest is for control, repair and the class next door."""

START_RATE: Final = 900_000_000
"""[bit/s] Where a cast without a given rate begins: most seats have gigabit ports, whatever the server has."""

UNKNOWN_LINK_RATE: Final = 900_000_000
"""[bit/s] Where the interface does not tell its speed (loopback, virtual): nine tenths of gigabit Ethernet."""


@dataclass(frozen=True, slots=True)
class CastSetting:
    """Where a cast's control goes, beside what it sends."""

    broker: BrokerAddress | None = None
    """another broker than the embedded one"""
    port: int | None = None
    """of the embedded broker; None takes the standard one, or a free one when that is taken"""
    metrics_port: int | None = None
    ca_file: Path | None = None
    """PEM file of the authority of an mqtts broker; None trusts the system's"""
    on_broker: Callable[[BrokerAddress], None] = lambda _: None
    """called when receivers can connect"""


def run_cast(library: Library, manifest: Manifest, config: CastConfig, setting: CastSetting) -> SessionReport:
    """Cast one image and say what became of every seat; after Ctrl-C, what had become of them by then.

    Raises:
        TransportError: interface, group, broker or a port cannot be used.
        IntegrityError: the image is damaged in the library; the damaged block was not sent.
        LibraryError: the library cannot be read.
    """
    with library.in_use(manifest):
        return asyncio.run(_cast(library, manifest, config, setting))


def default_rate(interface: InterfaceInfo) -> int:
    """Bits per second when none is given."""
    if interface.speed_bits_per_second is None:
        return UNKNOWN_LINK_RATE
    return int(interface.speed_bits_per_second * LINK_SHARE)


async def _cast(library: Library, manifest: Manifest, config: CastConfig, setting: CastSetting) -> SessionReport:
    async with (
        _broker(config.interface, setting) as broker,
        MqttLink(broker, f"broadcaster-{secrets.token_hex(8)}", ca_file=setting.ca_file) as link,
    ):
        # In a thread: it hashes the manifest, and listens whether its group is taken.
        broadcast = await asyncio.to_thread(Broadcast, library, manifest, config, link)
        announcement = broadcast.session.announcement
        say(
            f"session {announcement.tsi}: {announcement.image.name} to group {announcement.group} "
            f"on {config.interface.name} at {rate_in_words(config.rate_bits_per_second)}, broker {broker}; "
            f"waiting for {config.policy.expected_seats} seats"
        )
        setting.on_broker(broker)
        with BroadcasterMetrics(broadcast, setting.metrics_port), room_display(broadcast, Console(stderr=True)):
            try:
                return await broadcast.run()
            except asyncio.CancelledError:
                return broadcast.report()  # Ctrl-C: the session has been ended, and what it came to is worth telling


@asynccontextmanager
async def _broker(interface: InterfaceInfo, setting: CastSetting) -> AsyncIterator[BrokerAddress]:
    """The broker to use: the given one, or an embedded one that receivers find by multicast DNS."""
    if setting.broker is not None:
        yield setting.broker
        return
    async with _embedded_broker(interface, setting.port) as broker, advertise(interface, broker.port):
        yield broker.address


@asynccontextmanager
async def _embedded_broker(interface: InterfaceInfo, port: int | None) -> AsyncIterator[EmbeddedBroker]:
    host = interface.ipv4 or interface.ipv6 or ""
    try:
        broker = EmbeddedBroker(host, DEFAULT_PORT if port is None else port)
        await broker.__aenter__()
    except TransportError:
        if port is not None:
            raise
        broker = EmbeddedBroker(host, 0)
        await broker.__aenter__()
    try:
        yield broker
    finally:
        await broker.__aexit__(None, None, None)
