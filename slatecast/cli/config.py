"""``slatecast config``: write the configuration file of the service, and judge it."""

import os
from pathlib import Path
from typing import Final

import click

from protocol.errors import ConfigError
from slatecast.serving.check import faults
from slatecast.serving.config_text import commented_file
from slatecast.serving.settings import read_settings

DEFAULT_FILE: Final = Path("slatecast.toml")


@click.group()
def config() -> None:
    """Write and judge the configuration file of 'slatecast serve'."""


@config.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False), default=DEFAULT_FILE)
@click.option("--force", is_flag=True, help="Replace FILE if it is there.")
def init(file: Path, force: bool) -> None:
    """Write FILE, by default slatecast.toml, with every key, its description and its default."""
    try:
        if force:
            file.unlink(missing_ok=True)
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)
    except FileExistsError:
        raise ConfigError(f"{file} is there already: choose another name, or give --force") from None
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror or error}") from None
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(commented_file())
    click.echo(f"written to {file}; change what you need, then: slatecast serve --config {file}")


@config.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False), required=False)
@click.option("--file-only", is_flag=True, help="Judge what stands in FILE, not this machine.")
def check(file: Path | None, file_only: bool) -> None:
    """Say what 'slatecast serve' would stumble over on this machine, with FILE or without one."""
    settings = read_settings(file)
    found = [] if file_only else list(faults(settings, file))
    where = "" if file is None else f"{file}: "
    for fault in found[:-1]:
        click.echo(f"{where}{fault}", err=True)
    if found:
        raise ConfigError(f"{where}{found[-1]}")
    click.echo(f"{where}good")
