"""The embedded MQTT broker: amqtt in a process of its own, so that control traffic cannot disturb the pacing.

This side opens the listening socket and hands it over: a port that is taken is told at once, the port is known before
the child runs, and early connections wait in the socket's queue. The child lives no longer than this process: when
this process dies, by whatever signal, the pipe on the child's standard input ends. A terminal's Ctrl-C does not reach
it, so that the room can still be told that the session ends.
"""

import asyncio
import contextlib
import errno
import importlib.util
import socket
import sys
from types import TracebackType
from typing import Final, Self

from protocol.errors import ConfigError, SessionStateError, TransportError
from protocol.link.mqtt import DEFAULT_PORT, BrokerAddress

ALL_INTERFACES: Final = ""

LOOPBACK: Final = "127.0.0.1"

START_TIMEOUT: Final = 20.0
"""[seconds] Measured 0.3 s on an idle core; a machine that needs sixty times as long will not cast either."""

LISTEN_BACKLOG: Final = 128
"""[connections] that may wait at once: a room that is switched on together."""


class EmbeddedBroker:
    """A broker that runs while the context is entered.

    Args:
        host: address to listen on; empty for all interfaces, IPv4 and IPv6.
        port: port to listen on; 0 takes a free one.
    """

    def __init__(self, host: str = LOOPBACK, port: int = DEFAULT_PORT) -> None:
        self._host = host
        self._port = port
        self._process: asyncio.subprocess.Process | None = None

    @property
    def port(self) -> int:
        """The port it listens on; known once the context is entered."""
        return self._port

    @property
    def pid(self) -> int | None:
        """The child's process id, while it runs."""
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    @property
    def address(self) -> BrokerAddress:
        """How this machine's own roles reach it."""
        is_everywhere = self._host in (ALL_INTERFACES, "0.0.0.0", "::")
        return BrokerAddress(LOOPBACK if is_everywhere else self._host, self._port)

    async def __aenter__(self) -> Self:
        """Start the broker and wait until it accepts connections.

        Raises:
            ConfigError: amqtt is not installed.
            TransportError: the address is not one of this machine, the port is taken, or amqtt does not start.
        """
        if importlib.util.find_spec("amqtt") is None:
            raise ConfigError("the embedded broker needs amqtt: pip install 'slatecast[server]', or name a --broker")
        with self._listen() as listener:
            self._port = listener.getsockname()[1]
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-P",  # the current folder must not supply modules
                "-m",
                "broadcaster.broker_process",
                str(listener.fileno()),
                pass_fds=[listener.fileno()],
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                process_group=0,
            )
        try:
            await self._ready(self._process)
        except BaseException:
            await self._stop(self._process)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the broker; it has nothing to save."""
        if self._process is not None:
            await self._stop(self._process)

    async def wait(self) -> int:
        """Wait until the broker ends, which it does by itself only in trouble; the exit status."""
        if self._process is None:
            raise SessionStateError("the broker was not started")
        return await self._process.wait()

    def _listen(self) -> socket.socket:
        try:
            if self._host == ALL_INTERFACES and socket.has_dualstack_ipv6():
                return socket.create_server(
                    ("::", self._port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=LISTEN_BACKLOG
                )
            family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
            return socket.create_server((self._host, self._port), family=family, backlog=LISTEN_BACKLOG)
        except OSError as error:
            where = f"{self._host or 'all interfaces'} port {self._port}"
            is_taken = error.errno == errno.EADDRINUSE
            hint = "end what uses it or choose another port" if is_taken else "choose an address of this machine"
            reason = str(error.strerror).partition(" (")[0]  # without the address, which Python puts behind
            raise TransportError(f"the broker cannot listen on {where}: {reason}; {hint}") from None

    async def _ready(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        assert process.stderr is not None
        line = b""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(START_TIMEOUT):
                line = await process.stdout.readline()
        if line:
            return
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        last_words = (await process.stderr.read()).decode(errors="replace").strip().rpartition("\n")[2]
        raise TransportError(f"the embedded broker did not start: {last_words or 'it said nothing'}")

    async def _stop(self, process: asyncio.subprocess.Process) -> None:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()
