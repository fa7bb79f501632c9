"""Hears by UDP that written disks have started: the last word on a seat, said by the system on its disk.

A datagram names a token that only this seat was given; anything else is dropped without an answer, so that nobody
learns anything here and nobody is sent anything. Tokens are looked up by their digest: how long that takes says nothing
of them. At most MAX_TOKENS are waited for.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from typing import Final, NamedTuple

from blake3 import blake3

from protocol.configuration import BEACON_PORT, decode_beacon
from protocol.errors import MessageError

MAX_TOKENS: Final = 16_384
"""[seats] that have not started yet; the oldest is forgotten for a new one. Seats of 500 sessions of 30."""

_logger = logging.getLogger(__name__)


class Waiting(NamedTuple):
    """Who is waited for."""

    tsi: str
    receiver_id: str


class Beacons:
    """Listens on ``host`` while entered; ``on_booted`` is told each seat once."""

    def __init__(self, host: str, on_booted: Callable[[str, str], object], ports: tuple[int, ...] = (BEACON_PORT, 0)):
        self.dropped_count = 0
        """datagrams that were nothing of ours"""
        self._host = host
        self._on_booted = on_booted
        self._ports = ports
        self._waiting: OrderedDict[bytes, Waiting] = OrderedDict()
        self._transport: asyncio.DatagramTransport | None = None

    @property
    def port(self) -> int:
        """Where it listens; 0 where it cannot, and while it is not entered."""
        return 0 if self._transport is None else int(self._transport.get_extra_info("sockname")[1])

    async def __aenter__(self) -> "Beacons":
        """Listen on the first port that is free; where none is, nobody is heard, and that is logged."""
        for port in self._ports:
            with suppress(OSError):
                self._transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
                    lambda: _Ear(self), local_addr=(self._host, port)
                )
                return self
        _logger.warning("no UDP port can be had on %s: that written disks start is not noticed", self._host)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop listening."""
        if self._transport is not None:
            self._transport.close()

    def expect(self, token: str, tsi: str, receiver_id: str) -> None:
        """Wait for the seat that was given this token, 32 hex digits."""
        key = _key(bytes.fromhex(token))
        if key not in self._waiting and len(self._waiting) >= MAX_TOKENS:
            self._waiting.popitem(last=False)
        self._waiting[key] = Waiting(tsi, receiver_id)

    def hear(self, datagram: bytes) -> None:
        """Take a datagram of any origin."""
        try:
            token = decode_beacon(datagram)
        except MessageError:
            self.dropped_count += 1
            return
        found = self._waiting.pop(_key(token), None)
        if found is None:  # not ours, or said before: each says it several times
            self.dropped_count += 1
            return
        self._on_booted(found.tsi, found.receiver_id)


class _Ear(asyncio.DatagramProtocol):
    """Hands on what comes."""

    def __init__(self, beacons: Beacons) -> None:
        self._beacons = beacons

    def datagram_received(self, data: bytes, addr: object) -> None:
        self._beacons.hear(data)


def _key(token: bytes) -> bytes:
    return blake3(token).digest()
