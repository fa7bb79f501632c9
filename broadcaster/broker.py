"""The embedded MQTT broker: amqtt in a process of its own, so that control traffic cannot disturb the pacing.

This side opens the listening socket, hands it over and keeps it: a port that is taken is told at once, and the port
is the same for as long as the context is entered. A child that dies is replaced for ever, with growing pauses where it
dies again; connections wait in the socket's queue meanwhile. The child lives no longer than this process: when
this process dies, by whatever signal, so does the child, and the port is free. A terminal's Ctrl-C does not reach it,
so that the room can still be told that the session ends. What it needs for TLS it is told through its standard input,
where nobody else reads it.
"""

import asyncio
import contextlib
import errno
import importlib.util
import json
import logging
import os
import signal
import socket
import sys
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_exponential

from broadcaster.handshakes import LISTEN_BACKLOG
from protocol.errors import ConfigError, TransportError
from protocol.link.mqtt import DEFAULT_PORT, BrokerAddress
from protocol.link.tls import TlsIdentity

ALL_INTERFACES: Final = ""

LOOPBACK: Final = "127.0.0.1"

START_TIMEOUT: Final = 20.0
"""[seconds] Measured 0.3 s on an idle core; a machine that needs sixty times as long will not cast either."""

FIRST_RESTART_WAIT: Final = 0.05
"""[seconds] before a dead child is replaced, doubled each time that its successor dies as well. With the start that
takes 0.4 s, a room has its broker back within a second."""

LONGEST_RESTART_WAIT: Final = 5.0
"""[seconds] chosen: what kills a broker again and again is for the operator to find, not to fill the log with."""

SETTLED_AFTER: Final = 10.0
"""[seconds] chosen: a child that has lived for this long died of something new when it dies."""

PORT_POLL: Final = 0.02
"""[seconds] between two looks whether a port that is waited for is free."""


_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class BrokerTls:
    """What a broker shows, and whose certificates it accepts."""

    identity: TlsIdentity
    """of the accepting side"""
    authority: bytes
    """PEM of who issued the certificates of all who connect"""


class EmbeddedBroker:
    """A broker that runs while the context is entered, whatever becomes of its process.

    Args:
        host: address to listen on; empty for all interfaces, IPv4 and IPv6.
        port: port to listen on; 0 takes a free one.
        tls: certificates, and for each the rules of broadcaster.access; None lets anybody do anything, for tests.
        port_timeout: [seconds] to wait for a port that is taken: by a predecessor that was killed just now.
    """

    def __init__(
        self,
        host: str = LOOPBACK,
        port: int = DEFAULT_PORT,
        *,
        tls: BrokerTls | None = None,
        port_timeout: float = 0.0,
    ) -> None:
        self._host = host
        self._port = port
        self._tls = tls
        self._port_timeout = port_timeout
        self._listener: socket.socket | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._restart_count = 0

    @property
    def port(self) -> int:
        """The port it listens on; known once the context is entered."""
        return self._port

    @property
    def pid(self) -> int | None:
        """The child's process id, while it runs."""
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    @property
    def restart_count(self) -> int:
        """How often the child has died and was replaced."""
        return self._restart_count

    @property
    def address(self) -> BrokerAddress:
        """How this machine's own roles reach it."""
        is_everywhere = self._host in (ALL_INTERFACES, "0.0.0.0", "::")
        return BrokerAddress(LOOPBACK if is_everywhere else self._host, self._port, tls=self._tls is not None)

    async def __aenter__(self) -> Self:
        """Start the broker and wait until it accepts connections.

        Raises:
            ConfigError: amqtt is not installed.
            TransportError: the address is not one of this machine, the port is taken, or amqtt does not start.
        """
        if importlib.util.find_spec("amqtt") is None:
            raise ConfigError("the embedded broker needs amqtt: pip install 'slatecast[server]', or name a --broker")
        self._listener = await self._listen()
        self._port = self._listener.getsockname()[1]
        try:
            self._process = await self._start()
        except BaseException:
            self._listener.close()
            raise
        self._keeper = asyncio.create_task(self._keep_running(self._process), name="embedded broker")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the broker; it has nothing to save."""
        if self._keeper is not None:
            self._keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeper
        if self._process is not None:
            await _stop(self._process)
        if self._listener is not None:
            self._listener.close()

    async def _keep_running(self, process: asyncio.subprocess.Process) -> None:
        """Replace the child each time that it dies; ends by cancellation only."""
        while True:
            death = await _death(process)
            _logger.warning("the embedded broker %s; starting it again on port %d", death, self._port)
            async for attempt in AsyncRetrying(
                retry=retry_if_exception_type(TransportError),
                wait=wait_exponential(multiplier=FIRST_RESTART_WAIT, max=LONGEST_RESTART_WAIT),
                before_sleep=_tell_failure,
            ):
                with attempt:
                    process = self._process = await self._start()
                    self._restart_count += 1
                    await self._settle(process)

    async def _settle(self, process: asyncio.subprocess.Process) -> None:
        """Wait until the child has lived for a while.

        Raises:
            TransportError: it died before.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SETTLED_AFTER):
                raise TransportError(f"the embedded broker {await _death(process)}")

    async def _start(self) -> asyncio.subprocess.Process:
        """A child that accepts connections.

        Raises:
            TransportError: it does not start.
        """
        assert self._listener is not None
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",  # the current folder must not supply modules
            "-m",
            "broadcaster.broker_process",
            str(self._listener.fileno()),
            *(["tls"] if self._tls is not None else []),
            pass_fds=[self._listener.fileno()],
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            process_group=0,
        )
        assert process.stdin is not None
        process.stdin.write(self._first_line())
        try:
            await _ready(process)
        except BaseException:
            await _stop(process)
            raise
        return process

    def _first_line(self) -> bytes:
        """What the child reads first; far less than a pipe holds, so writing it waits for nothing."""
        if self._tls is None:
            return b""
        identity = self._tls.identity
        given = {
            "certificate": identity.certificate.decode(),
            "private_key": identity.private_key.decode(),
            "authority": self._tls.authority.decode(),
        }
        return json.dumps(given).encode() + b"\n"

    async def _listen(self) -> socket.socket:
        deadline = time.monotonic() + self._port_timeout
        while True:
            try:
                return self._bind()
            except OSError as error:
                is_taken = error.errno == errno.EADDRINUSE
                if not is_taken or time.monotonic() >= deadline:
                    where = f"{self._host or 'all interfaces'} port {self._port}"
                    hint = (
                        "end what uses it or choose another port" if is_taken else "choose an address of this machine"
                    )
                    reason = str(error.strerror).partition(" (")[0]  # without the address, which Python puts behind
                    raise TransportError(f"the broker cannot listen on {where}: {reason}; {hint}") from None
            await asyncio.sleep(PORT_POLL)

    def _bind(self) -> socket.socket:
        if self._host == ALL_INTERFACES and socket.has_dualstack_ipv6():
            return socket.create_server(
                ("::", self._port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=LISTEN_BACKLOG
            )
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        return socket.create_server((self._host, self._port), family=family, backlog=LISTEN_BACKLOG)


async def _ready(process: asyncio.subprocess.Process) -> None:
    """Wait until the child accepts connections.

    Raises:
        TransportError: it ended, or takes too long.
    """
    assert process.stdout is not None
    line = b""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(START_TIMEOUT):
            line = await process.stdout.readline()
    if not line:
        await _stop(process)
        raise TransportError(f"the embedded broker did not start: {await _last_words(process) or 'it said nothing'}")


async def _stop(process: asyncio.subprocess.Process) -> None:
    # Not asked to end but killed: it has nothing to save, and one that is stopped or stuck would never answer.
    # Not by process.kill(), which takes the exit status of a child that has just died away from asyncio.
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
    await process.wait()


async def _death(process: asyncio.subprocess.Process) -> str:
    """Wait for the child's end; what happened, in words."""
    status = await process.wait()
    last_words = await _last_words(process)
    return f"died (status {status}{last_words and ': ' + last_words})"


async def _last_words(process: asyncio.subprocess.Process) -> str:
    assert process.stderr is not None
    return (await process.stderr.read()).decode(errors="replace").strip().rpartition("\n")[2]


def _tell_failure(state: RetryCallState) -> None:
    assert state.outcome is not None
    _logger.warning("%s; starting it again in %.1f s", state.outcome.exception(), state.upcoming_sleep)
