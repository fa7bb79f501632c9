"""The process of the embedded broker: amqtt on a listening socket that the parent has opened.

Run by broadcaster.broker as ``python -m broadcaster.broker_process FD``. It says ``ready`` on standard output when it
accepts connections, and ends when standard input does. It imports nothing of the roles, so that it starts in a
third of a second and its memory is amqtt's alone. Sessions and retained messages live in memory: what a restarted
broker has forgotten is published again by those who know it.
"""

import asyncio
import ctypes
import logging
import signal
import socket
import sys
from typing import Final

READY: Final = b"ready\n"

_PR_SET_PDEATHSIG: Final = 1
"""prctl(2): the signal that this process is sent when its parent dies"""


async def serve(listener: socket.socket) -> None:
    """Serve MQTT on a listening socket until standard input ends."""
    from broadcaster.room_broker import RoomBroker  # noqa: PLC0415 - a third of a second, see die_with_parent

    broker = RoomBroker()
    await broker.start()
    parent_gone = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), parent_gone.set)
    async with await asyncio.start_server(broker.accept, sock=listener):
        sys.stdout.buffer.write(READY)
        sys.stdout.buffer.flush()
        await parent_gone.wait()


def die_with_parent() -> None:
    """Let the kernel end this process with its parent, where it can (Linux).

    The end of standard input says the same, but only to a process that runs: a parent that was killed and started
    again needs the port at once, though this one may be stopped, starved or still importing amqtt.
    """
    libc = ctypes.CDLL(None)
    if hasattr(libc, "prctl"):
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def main() -> None:
    """Serve on the inherited file descriptor that the only argument names."""
    die_with_parent()
    # amqtt logs each lost connection as a warning or an error; to an operator those are the room's ordinary life.
    logging.disable(logging.CRITICAL)
    listener = socket.socket(fileno=int(sys.argv[1]))
    asyncio.run(serve(listener))


if __name__ == "__main__":
    main()
