"""``slatecast boot iso``: the environment as one image for optical media and USB sticks."""

from pathlib import Path
from urllib.parse import quote

import click

from broadcaster.environment.boot_image import write_boot_image
from protocol.link.front_door_address import FrontDoorAddress
from slatecast.cli.context import default_environment
from slatecast.cli.words import bytes_in_words


@click.command()
@click.option(
    "--environment",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of 'slatecast boot build'.  [default: the user's data folder]",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("slatecast.iso"),
    show_default=True,
    help="File to make; an older one is replaced.",
)
@click.option("--server", metavar="HOST[:PORT]", help="The broadcaster; without it seats ask by multicast DNS.")
@click.option("--seat", metavar="NAME", help="Name of the one seat that starts from this image.")
@click.option(
    "--mode",
    type=click.Choice(["receive", "menu", "capture"]),
    default="receive",
    show_default=True,
    help="What a seat that starts from it does.",
)
@click.option("--serial", is_flag=True, help="Show the loader's menu on the first serial line too.")
def iso(
    *, environment: Path | None, output: Path, server: str | None, seat: str | None, mode: str, serial: bool
) -> int:
    """Make an image for USB sticks and optical media: for PCs that cannot start from the network.

    It starts by BIOS, by UEFI, and with Secure Boot on. Write it to a stick as it is, such as with 'cp'.
    """
    arguments = [f"slatecast.mode={mode}"]
    if server is not None:
        arguments.append(f"slatecast.server={FrontDoorAddress.parse(server)}")
    if seat is not None:
        arguments.append(f"slatecast.seat={quote(seat, safe='')}")
    size = write_boot_image(environment or default_environment(), output, arguments, has_serial=serial)
    print(f"{output}: {bytes_in_words(size)}")
    return 0
