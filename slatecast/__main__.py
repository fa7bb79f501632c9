"""The front door: parses the command line, and is the only place that turns an error into an exit code.

    0    all seats verified, or the command did what it was asked
    2    usage: an option or argument cannot be (click's own code too)
    3    refused before anything was written
    4    some seats did not finish
    5    integrity failure: bytes are not what the manifest promises
    6    network or broker unreachable
    130  interrupted (128 + SIGINT, as shells expect)

Bad input never prints a traceback: one line on standard error says what is wrong and what to do.
"""

import errno
import logging
import os
import sys
import tomllib
import warnings
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import click
from rich.console import Console
from rich.logging import RichHandler

from protocol.errors import (
    ConfigError,
    DiskError,
    IntegrityError,
    RefusedError,
    SlatecastError,
    TransportError,
)
from slatecast.cli.context import Context, default_keys, default_library

EXIT_USAGE: Final = 2
EXIT_REFUSED: Final = 3
EXIT_UNFINISHED: Final = 4
EXIT_INTEGRITY: Final = 5
EXIT_UNREACHABLE: Final = 6
EXIT_INTERRUPTED: Final = 130

SHOWN_OF_A_PATH: Final = 60
"""[characters] of one that is too long for the system; enough to see which one it is."""

_EXIT_CODES: Final[tuple[tuple[type[SlatecastError], int], ...]] = (
    (ConfigError, EXIT_USAGE),
    (RefusedError, EXIT_REFUSED),
    (IntegrityError, EXIT_INTEGRITY),
    (TransportError, EXIT_UNREACHABLE),
    (DiskError, EXIT_UNFINISHED),
)


_COMMANDS: Final = (
    "audit",
    "boot",
    "capture",
    "cast",
    "config",
    "configuration",
    "demo",
    "image",
    "keys",
    "receive",
    "report",
    "restore",
    "seat",
    "serve",
    "session",
)


class _Commands(click.Group):
    """Imports a command when it is called: a receiver starts fast, and without what only a broadcaster needs."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command = getattr(import_module(f"slatecast.cli.{cmd_name}"), cmd_name)
        assert isinstance(command, click.Command)
        return command


@click.group(
    cls=_Commands,
    no_args_is_help=True,
    context_settings={"auto_envvar_prefix": "SLATECAST", "help_option_names": ["-h", "--help"]},
)
@click.version_option(package_name="slatecast")
@click.option("--library", type=click.Path(path_type=Path, file_okay=False), help="Folder of the image library.")
@click.option(
    "--keys",
    "keys_folder",  # not "keys": in a configuration that is the table of the command
    type=click.Path(path_type=Path, file_okay=False),
    envvar="SLATECAST_KEYS",
    help="Folder of the broadcaster's keys.",
)
@click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    callback=lambda context, _, path: _load_config(context, path),
    is_eager=True,
    expose_value=False,
    help="TOML file with options: a table per command, such as [cast]. The command line and SLATECAST_* come first.",
)
@click.option("-v", "--verbose", count=True, help="Say more on standard error; twice for everything.")
@click.pass_context
def slatecast(context: click.Context, library: Path | None, keys_folder: Path | None, verbose: int) -> None:
    """Reimage a room of PCs at once: multicast with repair, every disk verified."""
    context.obj = Context(library=library or default_library(), keys=keys_folder or default_keys())
    level = (logging.WARNING, logging.INFO, logging.DEBUG)[min(verbose, 2)]
    handler = RichHandler(console=Console(stderr=True), show_path=False, show_time=verbose > 0)
    logging.basicConfig(level=level, format="%(message)s", handlers=[handler])


def _load_config(context: click.Context, path: Path | None) -> None:
    if path is None:
        return
    try:
        options = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise click.BadParameter(f"{path} is not a TOML file: {error}") from error
    context.default_map = _as_typed(options, slatecast, context, f"{path}: ")


def _as_typed(options: dict[str, Any], command: click.Command, context: click.Context, where: str) -> dict[str, Any]:
    """The options of a command and its subcommands as if they had been typed: by click's names, values as text."""
    known = _names_by_spelling(command)
    typed: dict[str, Any] = {}
    for key, value in options.items():
        name = key.replace("-", "_")
        subcommand = command.get_command(context, key) if isinstance(command, click.Group) else None
        if subcommand is not None and isinstance(value, dict):
            typed[key] = _as_typed(value, subcommand, context, f"{where}{key}.")
        elif name not in known or isinstance(value, dict):
            raise click.BadParameter(f"{where}{key} is neither an option nor a table of options")
        elif not isinstance(value, str | int | float):
            raise click.BadParameter(f"{where}{key} must be a text or a number")
        elif "\0" in str(value):  # which no command line can hold, so nothing behind expects it
            raise click.BadParameter(f"{where}{key} must not hold a NUL character")
        else:
            typed[known[name]] = value if isinstance(value, bool) else str(value)
    return typed


def _names_by_spelling(command: click.Command) -> dict[str, str]:
    """Click's name of every option, by the one that people write, with underscores."""
    return {
        spelling.lstrip("-").replace("-", "_"): parameter.name
        for parameter in command.params
        if parameter.name is not None and not parameter.is_eager
        for spelling in parameter.opts
        if spelling.startswith("--") or not spelling.startswith("-")
    }


def main() -> None:
    """Run the command line and exit with its code."""
    if not sys.warnoptions:
        warnings.simplefilter(
            "ignore"
        )  # a library's hints to programmers, which a peer's odd key could put on the screen
    try:
        code = slatecast.main(standalone_mode=False, prog_name="slatecast")
    except click.Abort:
        _say("interrupted")
        code = EXIT_INTERRUPTED
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        code = EXIT_USAGE
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx is not None else "slatecast"
        _say(f"{error.format_message()} (see '{command} --help')")
        code = EXIT_USAGE
    except click.ClickException as error:
        _say(error.format_message())
        code = EXIT_USAGE
    except SlatecastError as error:
        _say(str(error))
        code = next((code for kind, code in _EXIT_CODES if isinstance(error, kind)), 1)
    except KeyboardInterrupt:
        _say("interrupted")
        code = EXIT_INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output is gone; closing the pipe quietly is what pipelines expect.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = EXIT_USAGE
    except OSError as error:
        # Any look at a path may end like this, before anything is done with it.
        if error.errno != errno.ENAMETOOLONG:
            raise
        _say(f"{str(error.filename)[:SHOWN_OF_A_PATH]}...: {error.strerror}; choose a shorter one")
        code = EXIT_USAGE
    sys.exit(code or 0)


def _say(text: str) -> None:
    print(f"slatecast: {text}".replace("\n", " "), file=sys.stderr)


if __name__ == "__main__":
    main()
