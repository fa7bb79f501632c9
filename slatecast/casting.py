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
from broadcaster.cast_config import CastConfig
from broadcaster.cast_record import CastRecord
from broadcaster.library.library import Library
from broadcaster.metrics import BroadcasterMetrics
from broadcaster.report import SessionReport
from broadcaster.saved_cast import CASTS_FOLDER, CastStore, OpenCast
from broadcaster.service import INTERRUPTED, Broadcast
from protocol.errors import TransportError
from protocol.link.discovery import advertise
from protocol.link.interfaces import InterfaceInfo
from protocol.link.mqtt import DEFAULT_PORT, BrokerAddress
from protocol.manifest import Manifest
from slatecast.cli.room_display import room_display, say
from slatecast.cli.words import rate_in_words, seconds_in_words

LINK_SHARE: Final = 0.9
"""Of the link speed when no rate is given: the rest is for control, repair and the class next door."""

START_RATE: Final = 900_000_000
"""[bit/s] Where a cast without a given rate begins: most seats have gigabit ports, whatever the server has."""

EARLIER_PORT_PATIENCE: Final = 1.0
"""[s] Measured: 10 ms after a broadcaster was killed, its broker's port is free."""

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
    resumes: bool = True
    """go on with a cast of this image that was killed, if there is one"""
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
    # In a thread, as all that waits for the disk.
    record = await asyncio.to_thread(_record, library, manifest, config, resumes=setting.resumes)
    async with _broker(config.interface, setting, record.broker_port) as address:
        broadcast = Broadcast(library, manifest, config, record, address)
        client_id = f"broadcaster-{secrets.token_hex(8)}"
        async with broadcast.link(client_id, setting.ca_file), broadcast:
            _say_what_begins(broadcast, config, record, address)
            setting.on_broker(address)
            with BroadcasterMetrics(broadcast, setting.metrics_port), room_display(broadcast, Console(stderr=True)):
                try:
                    return await broadcast.run()
                except asyncio.CancelledError:  # Ctrl-C: what the session came to is worth telling
                    broadcast.abort(INTERRUPTED)  # it has ended already, unless it had not even begun
                    return broadcast.report()


def _record(library: Library, manifest: Manifest, config: CastConfig, *, resumes: bool) -> CastRecord:
    store = CastStore(library.root / CASTS_FOLDER)
    earlier: OpenCast | None = store.find(manifest.digest, config.interface.name)
    if earlier is not None and not resumes:
        earlier.finish()
        earlier = None
    return CastRecord(store, manifest, earlier)


def _say_what_begins(broadcast: Broadcast, config: CastConfig, record: CastRecord, broker: BrokerAddress) -> None:
    announcement = broadcast.session.announcement
    if record.resumed is not None:
        say(
            f"resuming session {announcement.tsi}, which ended without a farewell after "
            f"{seconds_in_words(record.earlier_seconds)}; --new begins a new one"
        )
    say(
        f"session {announcement.tsi}: {announcement.image.name} to group {announcement.group} "
        f"on {config.interface.name} at {rate_in_words(config.rate_bits_per_second)}, broker {broker}; "
        f"waiting for {config.policy.expected_seats} seats"
    )


@asynccontextmanager
async def _broker(
    interface: InterfaceInfo, setting: CastSetting, earlier_port: int | None
) -> AsyncIterator[BrokerAddress]:
    """The broker to use: the given one, or an embedded one that receivers find by multicast DNS.

    ``earlier_port`` is where receivers look for the broker of the cast that resumes.
    """
    if setting.broker is not None:
        yield setting.broker
        return
    async with _embedded_broker(interface, setting.port, earlier_port) as broker, advertise(interface, broker.port):
        yield broker.address


@asynccontextmanager
async def _embedded_broker(
    interface: InterfaceInfo, port: int | None, earlier_port: int | None
) -> AsyncIterator[EmbeddedBroker]:
    host = interface.ipv4 or interface.ipv6 or ""
    try:
        # The broker of a cast that was just killed may take a moment to give its port back.
        patience = EARLIER_PORT_PATIENCE if earlier_port else 0.0
        wanted = next(each for each in (port, earlier_port, DEFAULT_PORT) if each is not None)  # 0 is a free one
        broker = EmbeddedBroker(host, wanted, port_timeout=patience)
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
