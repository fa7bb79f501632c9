"""What all commands share: the options that stand before the command."""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])


@dataclass(frozen=True)
class Context:
    """Carried in ``click.Context.obj``."""

    library: Path
    """folder of the image library"""


def default_library() -> Path:
    """The library when nobody names one: in the user's data folder, by the XDG base directory specification."""
    data_home = os.environ.get("XDG_DATA_HOME", "")
    base = Path(data_home) if Path(data_home).is_absolute() else Path.home() / ".local" / "share"
    return base / "slatecast" / "library"


def library_option(command: Command) -> Command:
    """``--library`` behind the command as well as before it, since people write it in both places."""
    return click.option(
        "--library",
        type=click.Path(path_type=Path, file_okay=False),
        expose_value=False,
        callback=_use_library,
        help="Folder of the image library.  [default: the user's data folder]",
    )(command)


def _use_library(context: click.Context, _parameter: click.Parameter, library: Path | None) -> None:
    if library is not None and context.obj is not None:
        context.obj = replace(context.obj, library=library)
