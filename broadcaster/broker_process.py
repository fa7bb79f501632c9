"""The process of the embedded broker: amqtt on a listening socket that the parent has opened.

Run by broadcaster.broker as ``python -m broadcaster.broker_process FD [tls]``. With ``tls`` the first line of standard
input is what to show and whom to believe, as JSON: arguments and environment can be read by others. It says ``ready``
on standard output when it accepts connections, and ends when standard input does. It imports nothing of the roles, so
that it starts in a third of a second and its memory is amqtt's alone. Sessions and retained messages live in memory:
what a restarted broker has forgotten is published again by those who know it.
"""

import asyncio
import ctypes
import json
import logging
import signal
import socket
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from broadcaster.handshakes import TlsListener
from protocol.link.tls import TlsIdentity, server_context

if TYPE_CHECKING:
    from broadcaster.room_broker import RoomBroker

READY: Final = b"ready\n"

_PR_SET_PDEATHSIG: Final = 1
"""prctl(2): the signal that this process is sent when its parent dies"""


async def serve(listener: socket.socket, tls: ssl.SSLContext | None) -> None:
    """Serve MQTT on a listening socket until standard input ends."""
    from broadcaster.room_broker import RoomBroker  # noqa: PLC0415 - a third of a second, see die_with_parent

    broker = RoomBroker(asks_names=tls is not None)
    await broker.start()
    parent_gone = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), parent_gone.set)
    async with _listening(broker, listener, tls):
        sys.stdout.buffer.write(READY)
        sys.stdout.buffer.flush()
        await parent_gone.wait()


@asynccontextmanager
async def _listening(broker: "RoomBroker", listener: socket.socket, tls: ssl.SSLContext | None) -> AsyncIterator[None]:
    if tls is None:
        async with await asyncio.start_server(broker.accept, sock=listener):
            yield
    else:
        async with TlsListener(
            listener, tls, lambda: asyncio.StreamReaderProtocol(asyncio.StreamReader(), broker.accept)
        ):
            yield


def read_tls() -> ssl.SSLContext:
    """The context of the accepting side, from the first line of standard input."""
    given = json.loads(sys.stdin.buffer.readline())
    identity = TlsIdentity(given["certificate"].encode(), given["private_key"].encode())
    return server_context(identity, client_authority=given["authority"].encode())


def die_with_parent() -> None:
    """Let the kernel end this process with its parent, where it can (Linux).

    The end of standard input says the same, but only to a process that runs: a parent that was killed and started
    again needs the port at once, though this one may be stopped, starved or still importing amqtt.
    """
    libc = ctypes.CDLL(None)
    if hasattr(libc, "prctl"):
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def main() -> None:
    """Serve on the inherited file descriptor that the first argument names."""
    die_with_parent()
    # amqtt logs each lost connection as a warning or an error; to an operator those are the room's ordinary life.
    logging.disable(logging.CRITICAL)
    listener = socket.socket(fileno=int(sys.argv[1]))
    asyncio.run(serve(listener, read_tls() if "tls" in sys.argv[2:] else None))


if __name__ == "__main__":
    main()
