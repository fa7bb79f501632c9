"""The control side of a cast: the broker that its room speaks over and the front door where receivers enrol."""

import logging
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Final, TypeVar

from broadcaster.broker import BrokerTls, EmbeddedBroker
from broadcaster.credentials import CastCredentials
from broadcaster.front_door import FrontDoor
from broadcaster.keys import KeyStore
from broadcaster.library.image_signature import ImageSignature
from broadcaster.seat_api.api import SeatApi
from broadcaster.seat_api.services import Captures
from broadcaster.waiting_room import RoomEvent
from protocol.errors import ConfigError, TransportError
from protocol.link.front_door_address import DEFAULT_FRONT_DOOR_PORT, DEFAULT_SEAT_API_PORT
from protocol.link.interfaces import InterfaceInfo
from protocol.link.mqtt import DEFAULT_TLS_PORT, BrokerAddress
from protocol.link.tls import pinned_context, server_context

EARLIER_PORT_PATIENCE: Final = 1.0
"""[s] Measured: 10 ms after a broadcaster was killed, its broker's port is free."""

BROADCASTER: Final = "broadcaster"
"""Common name of our own certificate, which the broker's access rules know."""

Listening = TypeVar("Listening", EmbeddedBroker, FrontDoor, SeatApi)

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ControlSetting:
    """Where control traffic goes, and who may take part."""

    token: str | None
    """receivers that present it need no operator; None leaves all of them to the operator"""
    broker: BrokerAddress | None = None
    """another broker than the embedded one"""
    ca_file: Path | None = None
    """PEM file of the authority of another mqtts broker; None expects a certificate of our own authority"""
    port: int | None = None
    """of the front door; None takes the standard one, or a free one when that is taken"""
    broker_port: int | None = None
    """of the embedded broker; None as for ``port``"""
    is_token_new: bool = False
    """nobody knows the token yet, so it must be shown; one that was given is not repeated into terminals and logs"""


@dataclass(frozen=True, slots=True)
class BrokerInUse:
    """The broker to use, and how to trust it."""

    address: BrokerAddress
    tls: ssl.SSLContext | None
    authority: bytes | None
    """PEM of who issued its certificate; None without TLS"""


class Control:
    """Opens the control side on one interface, with the keys of one broadcaster."""

    def __init__(self, interface: InterfaceInfo, keys: KeyStore, setting: ControlSetting) -> None:
        self._interface = interface
        self._host = interface.ipv4 or interface.ipv6 or ""
        self._keys = keys
        self._setting = setting
        self._authority = keys.authority.certificate
        self._server = keys.authority.server_identity()
        self._us = keys.authority.role_identity(BROADCASTER)

    def credentials(self, broker: BrokerInUse, signature: ImageSignature, name: str = BROADCASTER) -> CastCredentials:
        """What a cast of the signed image speaks and serves with, under this name in our own certificate."""
        tls = broker.tls
        if tls is not None and name != BROADCASTER and broker.authority is not None:
            tls = pinned_context(broker.authority, self._keys.authority.role_identity(name))
        return CastCredentials(
            director=self._keys.director,
            image_key=signature.key,
            image_signature=signature.signature,
            broker_tls=tls,
            lane_tls=server_context(self._server, client_authority=self._authority),
        )

    @asynccontextmanager
    async def broker(self, earlier_port: int | None) -> AsyncIterator[BrokerInUse]:
        """The given broker, or an embedded one. ``earlier_port`` is where the seats of a resumed cast look for it.

        Raises:
            ConfigError: the CA file cannot be used, or amqtt is not installed.
            TransportError: the embedded broker cannot listen or does not start.
        """
        if self._setting.broker is not None:
            yield self._external(self._setting.broker)
            return
        async with self._embedded(earlier_port) as broker:
            yield BrokerInUse(broker.address, pinned_context(self._authority, self._us), self._authority)

    @asynccontextmanager
    async def front_door(
        self, broker: BrokerInUse, on_event: Callable[[RoomEvent], object], seat_api: str = ""
    ) -> AsyncIterator[FrontDoor]:
        """The front door, on its standard port if that is free and no other was asked for.

        ``seat_api`` is what it tells the admitted of the seat API: its url, or empty where there is none.

        Raises:
            TransportError: it cannot listen.
        """
        async with _first_free(
            (DEFAULT_FRONT_DOOR_PORT, 0) if self._setting.port is None else (self._setting.port,),
            lambda port: FrontDoor(
                ip_address(self._host),
                port,
                self._interface.index,
                key_store=self._keys,
                broker=broker.address,
                broker_authority=broker.authority,
                token=self._setting.token,
                on_event=on_event,
                seat_api=seat_api,
            ),
        ) as door:
            yield door

    @asynccontextmanager
    async def seat_api(self, captures: Captures, earlier_port: int | None = None) -> AsyncIterator[SeatApi]:
        """The seat API, on its standard port if that is free, else on the one where seats of before look for it.

        Raises:
            TransportError: it cannot listen.
        """
        async with _first_free(
            (DEFAULT_SEAT_API_PORT, 0) if earlier_port is None else (DEFAULT_SEAT_API_PORT, earlier_port, 0),
            lambda port: SeatApi(
                ip_address(self._host),
                port,
                self._interface.index,
                tls=server_context(self._server, client_authority=self._authority),
                captures=captures,
            ),
        ) as api:
            yield api

    def _external(self, address: BrokerAddress) -> BrokerInUse:
        if not address.tls:
            _logger.warning(
                "broker %s has no TLS: anybody on the network can read what the room says, and disturb it; "
                "'slatecast keys mosquitto' makes a configuration that is safe",
                address,
            )
            return BrokerInUse(address, None, None)
        ca_file = self._setting.ca_file
        try:
            authority = self._authority if ca_file is None else ca_file.read_bytes()
            return BrokerInUse(address, pinned_context(authority, self._us), authority)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise ConfigError(f"CA file {ca_file}: {reason}; name a PEM file of certificates") from None

    @asynccontextmanager
    async def _embedded(self, earlier_port: int | None) -> AsyncIterator[EmbeddedBroker]:
        # The broker of a cast that was just killed may take a moment to give its port back.
        patience = EARLIER_PORT_PATIENCE if earlier_port else 0.0
        given = self._setting.broker_port
        async with _first_free(
            (earlier_port or DEFAULT_TLS_PORT, 0) if given is None else (given,),
            lambda port: EmbeddedBroker(
                self._host, port, tls=BrokerTls(self._server, self._authority), port_timeout=patience
            ),
        ) as broker:
            yield broker


@asynccontextmanager
async def _first_free(ports: tuple[int, ...], make: Callable[[int], Listening]) -> AsyncIterator[Listening]:
    """What ``make`` gives for the first of these ports that can be listened on, entered."""
    for port in ports:
        listening = make(port)
        try:
            await listening.__aenter__()
        except TransportError:
            if port == ports[-1]:
                raise
        else:
            break
    try:
        yield listening
    finally:
        await listening.__aexit__(None, None, None)
