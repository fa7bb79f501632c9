"""``slatecast boot``: the environment that PCs start before their disks are written, and what hands it to them."""

from importlib import import_module
from typing import Final

import click

_COMMANDS: Final = ("build", "iso", "serve")


class _BootCommands(click.Group):
    """Imports a subcommand when it is called: building and serving need tools that the other has no use for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command = getattr(import_module(f"slatecast.cli.boot_{cmd_name}"), cmd_name)
        assert isinstance(command, click.Command)
        return command


@click.group(cls=_BootCommands)
def boot() -> None:
    """Build the environment that PCs boot to be reimaged, and hand it to them."""
