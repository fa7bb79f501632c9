"""``slatecast boot build``: make kernel, initrd and loaders from Debian packages and our own."""

from pathlib import Path

import click


@click.command()
@click.option("--output", type=click.Path(path_type=Path, file_okay=False), help="Folder to make.")
def build(*, output: Path | None) -> int:
    """Make the environment that PCs boot."""
    raise NotImplementedError(output)
