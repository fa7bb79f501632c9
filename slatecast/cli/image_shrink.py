"""``slatecast image shrink``: make the disk of an image smaller, as its next version."""

from typing import Final

import click
from rich.filesize import decimal

from broadcaster.audit import AuditEvent
from broadcaster.keys import KeyStore
from broadcaster.library.library import Library, describe, parse_reference
from broadcaster.library.shrinking import shrink_image
from protocol.errors import ConfigError
from receiver.target_rule import parse_size
from slatecast.cli.auditing import write_down
from slatecast.cli.context import Context, keys_option, library_option
from slatecast.cli.progress import progress_bars

SMALLEST: Final = "smallest"
MAX_SIZE: Final = 1 << 60
"""[bytes] More than any disk has."""


@click.command()
@click.argument("reference", metavar="NAME[@VERSION]")
@click.option(
    "--to",
    "size",
    required=True,
    metavar=f"SIZE|{SMALLEST}",
    help="Bytes of the smallest disk that it must fit on (G is 10^9, Gi is 2^30), or as small as it gets.",
)
@library_option
@keys_option
@click.pass_obj
def shrink(context: Context, reference: str, size: str) -> None:
    """Make the last file system of an image smaller, so that it fits on a smaller disk. Needs root.

    The result is the next version of the image; the version that it was made from stays as it is.
    """
    library = Library.open(context.library)
    name, version = parse_reference(reference)
    disk_size = None if size == SMALLEST else _bytes(size)
    store = KeyStore.open_or_create(context.keys)
    with progress_bars() as progress:
        outcome = shrink_image(
            library, name, version, disk_size, signer=store.image, progress=progress, on_wait=_say_waiting
        )
    header = outcome.added.manifest.header
    write_down(context.library, store, AuditEvent.IMAGE_ADDED, image=header.name, version=header.version)
    click.echo(
        f"{describe(header)}: {decimal(header.disk_size)} ({header.disk_size} bytes) instead of "
        f"{decimal(outcome.before.disk_size)}; {decimal(outcome.added.new_bytes)} of new chunks"
    )
    if outcome.partition is not None:
        moved = "".join(f", moved partition {each.number} down" for each in outcome.moved)
        click.echo(f"made the {outcome.partition.filesystem} in partition {outcome.partition.number} smaller{moved}")
    if outcome.added.signature is None:
        click.echo(
            f"the image key is kept elsewhere: before {name} can be cast, "
            f"'slatecast image sign {name} --image-key FILE' must sign it",
            err=True,
        )


def _bytes(size: str) -> int:
    found = parse_size(size.strip())
    if not found or found >= MAX_SIZE:
        raise ConfigError(f"--to {size!r}: write a size such as 120G, 112Gi or a number of bytes, or {SMALLEST}")
    return int(found)


def _say_waiting() -> None:
    click.echo("waiting for another slatecast command that changes this library", err=True)
