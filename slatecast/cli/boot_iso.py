"""``slatecast boot iso``: the environment as one image for optical media and USB sticks."""

from pathlib import Path

import click


@click.command()
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="File to make.")
def iso(*, output: Path | None) -> int:
    """Make a bootable image of the environment."""
    raise NotImplementedError(output)
