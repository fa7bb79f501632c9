"""The process of one part of the service: ``python -P -m slatecast.serving.part NAME``, started by its supervisor.

The first line of standard input is what the part needs, secrets included: arguments and environment can be read by
others. It says on standard output when it is ready or why it cannot be (``status``), and ends in an orderly way when
it is sent SIGTERM, or when standard input ends because its supervisor is gone.
"""

import asyncio
import contextlib
import logging
import os
import signal
import sys
import warnings
from collections.abc import Awaitable, Callable
from importlib import import_module
from typing import Final

from rich.console import Console
from rich.logging import RichHandler

from protocol.errors import SlatecastError
from slatecast.serving.status import Failed, Ready, StatusLine

PARTS: Final = ("broadcaster", "console", "netboot")

VERBOSITY: Final = "SLATECAST_PART_LOG_LEVEL"
"""Environment variable: a number of ``logging``."""

Work = Callable[[bytes, Callable[[str], None]], Awaitable[None]]
"""does a part's work until cancelled; takes what it was handed over, and whom to tell where it is once it is ready"""


async def live(work: Work, handover: bytes, status: StatusLine) -> None:
    """Work until told to end.

    Raises:
        SlatecastError: the work cannot be done.
    """
    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(work(handover, lambda where: status.say(Ready(where))))
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)

    def supervisor_gone() -> None:
        loop.remove_reader(sys.stdin.fileno())
        task.cancel()

    loop.add_reader(sys.stdin.fileno(), supervisor_gone)
    with contextlib.suppress(asyncio.CancelledError):
        await task


def main() -> None:
    """Be the part that the first argument names."""
    if not sys.warnoptions:
        warnings.simplefilter("ignore")  # as the front door does
    logging.basicConfig(
        level=int(os.environ.get(VERBOSITY, logging.WARNING)),
        format="%(message)s",
        handlers=[RichHandler(console=Console(stderr=True), show_path=False, show_time=False)],
    )
    status = StatusLine()
    name = sys.argv[1]
    assert name in PARTS
    handover = sys.stdin.buffer.readline()
    try:
        work: Work = import_module(f"slatecast.serving.{name}_part").work
        asyncio.run(live(work, handover, status))
    except SlatecastError as error:
        status.say(Failed.of(error))
        sys.exit(1)


if __name__ == "__main__":
    main()
