"""What all commands share: the options that stand before the command."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])


def default_library() -> Path:
    """The library when nobody names one: in the user's data folder, by the XDG base directory specification."""
    return _base_folder("XDG_DATA_HOME", ".local/share") / "slatecast" / "library"


def default_keys() -> Path:
    """The broadcaster's keys when nobody names them: in the user's configuration folder, by the same specification."""
    return _base_folder("XDG_CONFIG_HOME", ".config") / "slatecast" / "keys"


def default_state() -> Path:
    """The console's state when nobody names a place: in the user's state folder, by the same specification."""
    return _base_folder("XDG_STATE_HOME", ".local/state") / "slatecast" / "console"


def default_environment() -> Path:
    """The environment that PCs boot when nobody names one: in the user's data folder, by the same specification."""
    return _base_folder("XDG_DATA_HOME", ".local/share") / "slatecast" / "boot"


@dataclass(frozen=True)
class Context:
    """Carried in ``click.Context.obj``."""

    library: Path
    """folder of the image library"""
    keys: Path = field(default_factory=default_keys)
    """folder of the broadcaster's keys"""


def library_option(command: Command) -> Command:
    """``--library`` behind the command as well as before it, since people write it in both places."""
    return click.option(
        "--library",
        type=click.Path(path_type=Path, file_okay=False),
        expose_value=False,
        callback=_use_library,
        help="Folder of the image library.  [default: the user's data folder]",
    )(command)


def keys_option(command: Command) -> Command:
    """``--keys`` behind the command as well as before it."""
    return click.option(
        "--keys",
        type=click.Path(path_type=Path, file_okay=False),
        expose_value=False,
        callback=_use_keys,
        help="Folder of the broadcaster's keys.  [default: the user's configuration folder]",
    )(command)


def _use_library(context: click.Context, _parameter: click.Parameter, library: Path | None) -> None:
    if library is not None and context.obj is not None:
        context.obj = replace(context.obj, library=library)


def _use_keys(context: click.Context, _parameter: click.Parameter, keys: Path | None) -> None:
    if keys is not None and context.obj is not None:
        context.obj = replace(context.obj, keys=keys)


def _base_folder(variable: str, otherwise: str) -> Path:
    """What the specification calls a base directory: a relative one counts as none."""
    named = Path(os.environ.get(variable, ""))
    return named if named.is_absolute() else Path.home() / otherwise
