"""What every command that is let in by a broadcaster shares: its options, and finding the broadcaster."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from protocol.link.discovery import find_broadcaster
from protocol.link.front_door_address import FrontDoorAddress
from protocol.link.interfaces import resolve_interface
from slatecast.cli.parameters import keep_from_children

Command = TypeVar("Command", bound=Callable[..., Any])

_OPTIONS: Final = (
    click.option("--server", metavar="HOST[:PORT]", help="The broadcaster; without it multicast DNS finds it."),
    click.option(
        "--token",
        metavar="WORD",
        callback=keep_from_children,
        help="Enrolment token of the broadcaster: nobody has to compare words.",
    ),
    click.option(
        "--trust",
        type=click.Path(path_type=Path, exists=True, dir_okay=False),
        help="File of 'slatecast keys export-trust': obey this broadcaster only.",
    ),
    click.option(
        "--wait",
        type=click.FloatRange(min=0),
        default=300.0,
        show_default=True,
        help="Seconds to wait for a broadcaster.",
    ),
)


def enrolment_options(command: Command) -> Command:
    """``--server``, ``--token``, ``--trust`` and ``--wait``."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


async def broadcaster_at(server: str | None, interface: str | None, wait: float) -> FrontDoorAddress:
    """The front door that ``server`` names, or else the one that multicast DNS finds.

    Raises:
        ConfigError: the address is none.
        TransportError: there is none in time.
    """
    if server:
        return FrontDoorAddress.parse(server)
    return FrontDoorAddress(*await find_broadcaster(wait, resolve_interface(interface) if interface else None))
