"""An HTTP listener that strangers cannot exhaust: few connections, small requests, bounded patience with everybody.

It hands each request to one coroutine and knows no routes. What it bounds: connections in all and per address, the
length of a request's head, the time that a connection may be idle or half-open, the bytes that wait for a slow reader.
It never reads a request's body, says nothing of what it runs on, and logs no request.
"""

import asyncio
import logging
import socket
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from ipaddress import IPv4Address, IPv6Address
from types import TracebackType
from typing import Final, Self

from aiohttp import web

from broadcaster.handshakes import TlsListener
from protocol.errors import TransportError

MAX_CONNECTIONS: Final = 256
"""Stops a flood of connections before the process runs out of file descriptors; a room of 60 needs 120."""

MAX_CONNECTIONS_PER_ADDRESS: Final = 8
"""Stops one machine from taking all connections; a receiver uses two."""

IDLE_SECONDS: Final = 30.0
"""[s] How long a connection may stay without a whole request; stops those that dribble one. Receivers reuse for 10."""

READER_PATIENCE: Final = 20.0
"""[s] How long the reader of one answer may hold it up in all: 370 kB at 150 kbit/s; then its connection is cut."""

SEND_BUFFER_BYTES: Final = 256 * 1024
"""[bytes] Of one connection in the kernel: a gigabit at 2 ms; bounds what connections of slow readers hold."""

_MAX_LINE: Final = 1024
"""[bytes] Of the request line and of one header; our own lines are shorter than 160."""

_MAX_HEADERS: Final = 32
_ABORT_SECONDS: Final = 0.2
"""[s] How long closing waits for answers whose connections were cut."""

PRODUCT: Final = {"Server": "slatecast"}
"""Header of every answer: without it the library would tell its version and Python's."""

_SILENT: Final = logging.Logger("requests", logging.CRITICAL)
"""Requests are counted, not logged, or anybody could fill the log."""

Answer = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]

_logger = logging.getLogger(__name__)


class HttpListener:
    """Serves ``answer`` on one address while entered.

    Args:
        host: the address to bind.
        port: 0 takes a free one; ``port`` says which.
        interface_index: the system's number of the interface, which link-local IPv6 addresses need.
        answer: gives the response to a request; it is cancelled when the connection ends.
        tls: what to show, and which certificates to demand; None serves plain HTTP.
    """

    def __init__(
        self,
        host: IPv4Address | IPv6Address,
        port: int,
        interface_index: int,
        answer: Answer,
        *,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._host = host
        self._interface_index = interface_index
        self._answer = answer
        self._tls = tls
        self.port = port

    async def __aenter__(self) -> Self:
        """Listen.

        Raises:
            TransportError: the address cannot be bound, or the port is taken or not permitted.
        """
        listening = self._bound_socket()
        self._connections = _Connections(self._answer, str(self._host))
        self._runner = web.ServerRunner(self._connections, shutdown_timeout=_ABORT_SECONDS)
        await self._runner.setup()
        self._listening = listening
        self._tls_listener: TlsListener | None = None
        if self._tls is None:
            await web.SockSite(self._runner, listening).start()
        else:
            self._tls_listener = TlsListener(listening, self._tls, self._connections)
            await self._tls_listener.__aenter__()
        self.port = listening.getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Cut all connections, answered or not."""
        if self._tls_listener is not None:
            await self._tls_listener.__aexit__(kind, error, trace)
        for site in self._runner.sites:
            await site.stop()
        self._listening.close()
        self._connections.abort_all()
        await self._runner.cleanup()

    def _bound_socket(self) -> socket.socket:
        is_ipv6 = self._host.version == 6
        listening = socket.socket(socket.AF_INET6 if is_ipv6 else socket.AF_INET, socket.SOCK_STREAM)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
            if is_ipv6:
                listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                listening.bind(
                    (str(self._host), self.port, 0, self._interface_index if self._host.is_link_local else 0)
                )
            else:
                listening.bind((str(self._host), self.port))
        except (OSError, OverflowError) as error:
            listening.close()
            reason = error.strerror if isinstance(error, OSError) else "no such port"
            raise TransportError(f"port {self.port} of {self._host}: {reason}; choose another") from error
        listening.setblocking(False)
        return listening


class _Connections(web.Server):
    """Makes, counts and bounds connections."""

    def __init__(self, answer: Answer, host: str) -> None:
        super().__init__(answer, handler_cancellation=True)
        self._host = host
        self._open: dict[web.RequestHandler, tuple[asyncio.Transport, str]] = {}
        self._per_address: Counter[str] = Counter()

    def __call__(self) -> web.RequestHandler:
        return _Connection(
            self,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=IDLE_SECONDS,
            access_log=_SILENT,
            max_line_size=_MAX_LINE,
            max_field_size=_MAX_LINE,
            max_headers=_MAX_HEADERS,
            lingering_time=0,
            auto_decompress=False,
        )

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        super().connection_made(handler, transport)
        address = transport.get_extra_info("peername", default=("",))[0]
        self._open[handler] = (transport, address)
        self._per_address[address] += 1
        # Receivers on this machine, those of a demo, share its address.
        is_crowded = self._per_address[address] > MAX_CONNECTIONS_PER_ADDRESS and address != self._host
        if is_crowded or len(self._open) > MAX_CONNECTIONS:
            transport.abort()
            return
        # A write then ends only when the kernel has all of it, so nothing is left in here when a connection is closed.
        # With TLS the limit that means this is 1: at 0 asyncio pauses a writer whose buffer is empty, for ever.
        transport.set_write_buffer_limits(high=0 if transport.get_extra_info("ssl_object") is None else 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            patience_ms = int(READER_PATIENCE * 1000)
            transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, patience_ms)

    def connection_lost(self, handler: web.RequestHandler, exc: BaseException | None = None) -> None:
        super().connection_lost(handler, exc)
        _transport, address = self._open.pop(handler)
        self._per_address[address] -= 1
        if not self._per_address[address]:
            del self._per_address[address]

    def abort_all(self) -> None:
        for transport, _address in self._open.values():
            transport.abort()


class _Connection(web.RequestHandler):
    """One connection; overrides what the library says and logs of requests that it cannot serve."""

    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = HTTPStatus.INTERNAL_SERVER_ERROR,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        if status == HTTPStatus.INTERNAL_SERVER_ERROR and not isinstance(exc, ConnectionError):
            _logger.error("a request of %s could not be served", request.remote, exc_info=exc)
        if request.writer.output_size > 0:
            raise ConnectionError("an answer is under way, so no other can be given")
        response = web.Response(status=status, text=f"{HTTPStatus(status).phrase}\n", headers=PRODUCT)
        response.force_close()
        return response
