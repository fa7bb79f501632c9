"""Accepts TLS connections, so that strangers who only begin one cannot keep out those who complete theirs.

A connection reaches its protocol when its handshake is over. Until then it is a stranger's: how long that may take is
bounded, and how many there may be, per address and in all. It says and logs nothing about those that fail.
It imports nothing of the roles, so that the broker's process stays small.
"""

import asyncio
import contextlib
import socket
import ssl
from collections import Counter
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

HANDSHAKE_TIMEOUT: Final = 5.0
"""[s] A handshake on a LAN takes 10 ms, and 2 s while a room that is switched on together makes all of them at once."""

SHUTDOWN_TIMEOUT: Final = 2.0
"""[s] How long the other side may take to end TLS in good order; then its connection is cut."""

MAX_HANDSHAKES: Final = 256
"""[connections] under way; when there are more, the oldest is ended: a stranger that says nothing, most likely."""

MAX_HANDSHAKES_PER_ADDRESS: Final = 16
"""[connections] under way: stops one machine from taking all; a receiver makes three, and a room may share a router."""

LISTEN_BACKLOG: Final = 128
"""[connections] that may wait at once: a room that is switched on together."""

_ACCEPT_PAUSE: Final = 0.1
"""[s] before accepting again when the process has no file descriptors left."""


class TlsListener:
    """Accepts connections on a bound socket while entered; ``listening`` stays the caller's to close.

    Args:
        listening: bound, TCP.
        tls: of the accepting side.
        make_protocol: the protocol of each connection whose handshake has succeeded.
    """

    def __init__(
        self, listening: socket.socket, tls: ssl.SSLContext, make_protocol: Callable[[], asyncio.Protocol]
    ) -> None:
        self._listening = listening
        self._tls = tls
        self._make_protocol = make_protocol
        self._under_way: dict[asyncio.Task[None], str] = {}
        self._per_address: Counter[str] = Counter()

    async def __aenter__(self) -> Self:
        """Listen."""
        self._listening.setblocking(False)
        self._listening.listen(LISTEN_BACKLOG)
        self._accepting = asyncio.create_task(self._accept(), name="tls listener")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Accept nobody any more and end handshakes; connections beyond theirs stay."""
        tasks = [self._accepting, *self._under_way]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, address = await loop.sock_accept(self._listening)
            except OSError:  # nothing left to accept with, or the other side has gone already
                await asyncio.sleep(_ACCEPT_PAUSE)
                continue
            self._begin(connection, address[0])
            await asyncio.sleep(0)  # accepting what waits already does not suspend: a flood would hold up the rest

    def _begin(self, connection: socket.socket, address: str) -> None:
        # Receivers on this machine, those of a demo, share its address.
        if self._per_address[address] >= MAX_HANDSHAKES_PER_ADDRESS and address != _own_address(connection):
            connection.close()
            return
        if len(self._under_way) >= MAX_HANDSHAKES:
            next(iter(self._under_way)).cancel()
        task = asyncio.create_task(self._shake_hands(connection))
        self._under_way[task] = address
        self._per_address[address] += 1
        task.add_done_callback(self._end)

    async def _shake_hands(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):  # which ssl.SSLError, TimeoutError and ConnectionError are
            await asyncio.get_running_loop().connect_accepted_socket(
                self._make_protocol,
                connection,
                ssl=self._tls,
                ssl_handshake_timeout=HANDSHAKE_TIMEOUT,
                ssl_shutdown_timeout=SHUTDOWN_TIMEOUT,
            )

    def _end(self, task: asyncio.Task[None]) -> None:
        address = self._under_way.pop(task)
        self._per_address[address] -= 1
        if not self._per_address[address]:
            del self._per_address[address]


def _own_address(connection: socket.socket) -> str | None:
    with contextlib.suppress(OSError):
        address: str = connection.getsockname()[0]
        return address
    return None
