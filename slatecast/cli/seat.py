"""``slatecast seat``: what the environment runs on a PC that booted it; shows in large letters what becomes of it."""

import asyncio
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final

import click

from protocol.errors import ConfigError, SlatecastError
from slatecast.cli.trust_file import read_trust
from slatecast.seat.boot_arguments import KERNEL_COMMAND_LINE, read_boot_arguments
from slatecast.seat.power import leave_machine
from slatecast.seat.program import SeatPlace, SeatProgram
from slatecast.seat.screen import TerminalScreen
from slatecast.seat.screen_model import plain
from slatecast.seat.serial_log import SerialLog
from slatecast.seat.settings import SeatSettings

TRUST_FILE: Final = Path("/etc/slatecast/trust")
"""What ``slatecast boot build --trust`` puts into the environment."""

_logger = logging.getLogger(__name__)


@click.command()
@click.option(
    "--console",
    type=click.Path(path_type=Path),
    help="Terminal to draw on and to take keys from.  [default: standard input, if it is one]",
)
@click.option("--log", type=click.Path(path_type=Path), help="Serial port or file that gets a plain line per change.")
@click.option(
    "--command-line",
    type=click.Path(path_type=Path),
    default=KERNEL_COMMAND_LINE,
    show_default=True,
    help="File with what the kernel was told.",
)
@click.option(
    "--trust",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File of 'slatecast keys export-trust': obey this broadcaster only.  [default: the environment's]",
)
@click.option(
    "--countdown",
    type=click.FloatRange(0, 600),
    default=10.0,
    show_default=True,
    help="Seconds in which somebody at the seat can stop it before anything is written.",
)
@click.option("--may-restart", is_flag=True, help="Really restart this PC or switch it off; else only say so and end.")
def seat(
    *,
    console: Path | None,
    log: Path | None,
    command_line: Path,
    trust: Path | None,
    countdown: float,
    may_restart: bool,
) -> None:
    """Be the seat of a PC that booted the environment: enrol, take part in sessions, capture, configure, restart.

    What it is told comes from the kernel's command line: slatecast.server, slatecast.seat, slatecast.mode,
    slatecast.target, BOOTIF. It obeys the broadcaster that the trust file names, else the one whose words somebody has
    compared here.
    """
    if trust is None and TRUST_FILE.exists():
        trust = TRUST_FILE
    settings = SeatSettings(
        arguments=read_boot_arguments(command_line),
        trust=None if trust is None else read_trust(trust),
        known=_known_broadcasters(),
        countdown_seconds=countdown,
    )
    with _place(console, log, may_restart=may_restart) as place:
        try:
            with _notes_to(place.log):
                asyncio.run(SeatProgram(settings, place).run())
        except SlatecastError as error:
            place.log.say(plain(f"error: {error}"))
            raise
        except Exception as error:
            _logger.debug("a fault of ours", exc_info=True)
            fault = f"the seat's program failed ({type(error).__name__}: {error}) and is to be started again"
            place.log.say(plain(f"error: {fault}"))
            raise SlatecastError(plain(fault)) from error


class _ToSerial(logging.Handler):
    """What the program's parts warn of goes to the log: on the screen it would stand in the picture."""

    def __init__(self, log: SerialLog) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        self._log.say(plain(f"note: {record.getMessage()}"))


@contextmanager
def _notes_to(log: SerialLog) -> Iterator[None]:
    root = logging.getLogger()
    before = root.handlers[:]
    root.handlers[:] = [_ToSerial(log)]
    try:
        yield
    finally:
        root.handlers[:] = before


@contextmanager
def _place(console: Path | None, log: Path | None, *, may_restart: bool) -> Iterator[SeatPlace]:
    """The terminal and the log; a serial line that is both gets lines and no pictures."""
    with ExitStack() as resources:
        terminal = _terminal(console, resources)
        is_log = terminal is not None and log is not None and _is_same(terminal, log)
        has_lines_only = terminal is None or is_log or os.environ.get("TERM") in {None, "dumb"}
        serial = SerialLog(None, terminal) if is_log else SerialLog(log, None if log else _standard_error(terminal))
        resources.callback(serial.close)
        screen = None if has_lines_only or terminal is None else TerminalScreen(terminal)
        if screen is not None:
            resources.callback(screen.close)
        yield SeatPlace(screen, terminal, serial, leave_machine if may_restart else lambda _how: None)


def _terminal(console: Path | None, resources: ExitStack) -> int | None:
    """What is drawn on and typed on; never one that could hold the seat up."""
    if console is None:
        with suppress(AttributeError, OSError, ValueError):  # standard input is closed, or none
            return sys.stdin.fileno() if os.isatty(sys.stdin.fileno()) else None
        return None
    try:
        descriptor = os.open(console, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise ConfigError(f"{console} cannot be opened ({error.strerror or error}): name a terminal") from error
    resources.callback(os.close, descriptor)
    if not os.isatty(descriptor):
        raise ConfigError(f"{console} is no terminal: name one, such as /dev/tty1")
    return descriptor


def _is_same(terminal: int, log: Path) -> bool:
    try:
        return os.fstat(terminal).st_rdev == log.stat().st_rdev != 0
    except OSError:
        return False


def _standard_error(terminal: int | None) -> int | None:
    """Where lines go that no ``--log`` takes: not over the picture."""
    with suppress(AttributeError, OSError, ValueError):  # it is closed, replaced, or none
        descriptor = sys.stderr.fileno()
        return None if terminal is not None and os.isatty(descriptor) else descriptor
    return None


def _known_broadcasters() -> Path | None:
    """The file of the broadcasters that were confirmed at this PC since it was started."""
    from receiver.known_broadcasters import default_file  # noqa: PLC0415  # only this command's body needs the role

    with suppress(RuntimeError):  # no home
        return default_file()
    return None
