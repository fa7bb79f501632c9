"""``slatecast keys mosquitto``: write the configuration of a Mosquitto that takes only this broadcaster's rooms."""

from pathlib import Path

import click

from broadcaster.keys import KeyStore
from broadcaster.mosquitto import CONFIGURATION, write_configuration
from protocol.link.mqtt import DEFAULT_TLS_PORT
from slatecast.cli.context import Context, keys_option


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    default=DEFAULT_TLS_PORT,
    show_default=True,
    help="Where Mosquitto will listen.",
)
@keys_option
@click.pass_obj
def mosquitto(context: Context, folder: Path, port: int) -> None:
    """Write a configuration of Mosquitto 2.0 into DIR, with TLS, a certificate for it, and rules of access.

    Its receivers need nothing else: they are told of the broker when they enrol.
    """
    store = KeyStore.open_or_create(context.keys)
    write_configuration(folder, store.authority, port=port)
    click.echo(f"start it with: mosquitto -c {folder.absolute() / CONFIGURATION}")
    click.echo(f"cast with: slatecast cast IMAGE --broker mqtts://HOST:{port}")
