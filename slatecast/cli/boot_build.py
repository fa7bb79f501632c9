"""``slatecast boot build``: make kernel, initrd and loaders from Debian packages and our own."""

import os
import signal
from pathlib import Path

import click
from rich.console import Console

from broadcaster.environment.building import DEFAULT_LEVEL, BuildSetting, build_environment
from broadcaster.environment.description import INITRD
from broadcaster.environment.recipe import SUITE
from protocol.errors import ConfigError
from protocol.trust import encode_trust
from slatecast.cli.context import default_environment
from slatecast.cli.trust_file import read_trust
from slatecast.cli.words import bytes_in_words


@click.command()
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder to make; an older environment there is replaced.  [default: the user's data folder]",
)
@click.option(
    "--trust",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="File of 'slatecast keys export-trust': seats obey this broadcaster only, and nobody has to compare words.",
)
@click.option("--suite", default=SUITE, show_default=True, metavar="NAME", help="Release of Debian.")
@click.option(
    "--mirror",
    "mirrors",
    multiple=True,
    metavar="URL",
    help="Mirror of Debian, or of its security updates; may be given again.  [default: this machine's]",
)
@click.option(
    "--cache", type=click.Path(path_type=Path, file_okay=False), help="Folder that keeps packages for the next build."
)
@click.option(
    "--level",
    type=click.IntRange(1, 19),
    default=DEFAULT_LEVEL,
    show_default=True,
    help="How hard the initrd is compressed; 3 builds a minute sooner.",
)
def build(
    *, output: Path | None, trust: Path | None, suite: str, mirrors: tuple[str, ...], cache: Path | None, level: int
) -> int:
    """Build the environment that PCs boot to be reimaged. Needs root and the Debian package mmdebstrap.

    The folder is replaced when all of it is there; an attempt that fails leaves it as it was.
    """
    console = Console(stderr=True)
    setting = BuildSetting(
        suite=suite,
        mirrors=mirrors,
        cache=cache,
        trust=None if trust is None else encode_trust(read_trust(trust)),
        level=level,
        epoch=_epoch(),
    )
    folder = output or default_environment()
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)  # what is half built goes then, too
    try:
        with console.status("building") as status:
            environment = build_environment(folder, setting, status.update)
    finally:
        signal.signal(signal.SIGTERM, before)
    size, memory = environment.files[INITRD].size, environment.initrd_unpacked
    print(
        f"{folder}: slatecast {environment.slatecast}, Debian {environment.debian}, kernel {environment.kernel}, ",
        end="",
    )
    print(f"{INITRD} {bytes_in_words(size)} ({bytes_in_words(memory)} of memory at a seat)")
    return 0


def _epoch() -> int | None:
    text = os.environ.get("SOURCE_DATE_EPOCH")
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or int(text) >= 1 << 32:
        raise ConfigError("SOURCE_DATE_EPOCH must be a number of seconds since 1970")
    return int(text)
