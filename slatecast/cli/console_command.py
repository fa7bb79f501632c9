"""What every command that speaks to a console shares: which console, with which token, and one conversation with it."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from slatecast.cli.context import default_state
from slatecast.console_api import ConsoleAddress, ConsoleApi, environment_token, find_console
from slatecast.serving.places import folder, read_word
from slatecast.serving.settings import read_settings

SERVICE_STATE: Final = Path("/var/lib/slatecast/console")
"""Where the unit for systemd keeps the console's state."""

Command = TypeVar("Command", bound=Callable[..., Any])
Result = TypeVar("Result")


def console_options(command: Command) -> Command:
    """Options of every command that speaks to a console; they come as one ``address``."""
    options = (
        click.option(
            "--console", "url", metavar="URL", envvar="SLATECAST_CONSOLE", help="Its address.  [default: the one here]"
        ),
        click.option(
            "--api-token-file", metavar="FILE", help="File whose first line is an API token.  [default: the one here]"
        ),
        click.option(
            "--ca-file",
            type=click.Path(path_type=Path, dir_okay=False),
            help="PEM file of the authority of the console's certificate.  [default: the one here]",
        ),
        click.option(
            "--state",
            type=click.Path(path_type=Path, file_okay=False),
            help="Folder of the state of a console that runs here.  [default: in the user's state folder]",
        ),
        click.option(
            "--config",
            "config_file",
            envvar="SLATECAST_SERVE_CONFIG",
            type=click.Path(path_type=Path, dir_okay=False),
            help="Configuration file of the service that runs here, instead of that folder.",
        ),
    )
    for option in options:
        command = option(command)
    return command


def the_console(
    *, url: str | None, api_token_file: str | None, ca_file: Path | None, state: Path | None, config_file: Path | None
) -> ConsoleAddress:
    """The console that the options of ``console_options`` mean.

    Raises:
        ConfigError: there is none, or no token for it.
    """
    token = environment_token()
    if api_token_file is not None:
        token = read_word(api_token_file)
    states: tuple[Path, ...] = (default_state(), SERVICE_STATE)
    if state is not None:
        states = (state,)
    elif config_file is not None:
        states = (folder(read_settings(config_file).console.state, default_state()),)
    return find_console(states, url=url, token=token, ca_file=ca_file)


def talk(address: ConsoleAddress, work: Callable[[ConsoleApi], Awaitable[Result]]) -> Result:
    """What ``work`` gives when it is done with the console."""

    async def whole() -> Result:
        async with ConsoleApi(address) as api:
            return await work(api)

    return asyncio.run(whole())
