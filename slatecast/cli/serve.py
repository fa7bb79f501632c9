"""``slatecast serve``: broker, broadcaster and console as one service, until it is told to end."""

import asyncio
import signal
from pathlib import Path
from typing import Any, Final

import click

from slatecast.cli.parameters import Rate, keep_from_children
from slatecast.serving.check import check_libraries
from slatecast.serving.places import find_places
from slatecast.serving.settings import read_settings

_PLACES: Final = {
    "interface": ("broadcaster", "interface"),
    "rate": ("broadcaster", "rate"),
    "max_rate": ("broadcaster", "max_rate"),
    "library": ("broadcaster", "library"),
    "keys": ("broadcaster", "keys"),
    "token": ("broadcaster", "token"),
    "port": ("broadcaster", "port"),
    "metrics_port": ("broadcaster", "metrics_port"),
    "broker": ("broker", "address"),
    "broker_port": ("broker", "port"),
    "ca_file": ("broker", "ca_file"),
    "listen": ("console", "listen"),
    "console_port": ("console", "port"),
    "https": ("console", "https"),
    "metrics": ("console", "metrics"),
    "state": ("console", "state"),
}
"""Section and key that an option stands for."""

_PORT: Final = click.IntRange(1, 65535)
_FOLDER: Final = click.Path(file_okay=False)


@click.command()
@click.option(
    "--config",
    "config_file",
    envvar="SLATECAST_SERVE_CONFIG",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Configuration file; 'slatecast config init' writes one.",
)
@click.option("--interface", metavar="IF", help="Interface or address to send from.  [default: the one of the route]")
@click.option("--rate", type=Rate(), help="Bits per second on the link, such as 900M.  [default: 90 % of the link]")
@click.option("--max-rate", type=Rate(), help="Bits per second of all casts of this machine on the interface together.")
@click.option(
    "--token",
    metavar="WORD",
    callback=keep_from_children,
    help="Receivers with this token need no operator.  [default: an operator lets them in]",
)
@click.option("--library", type=_FOLDER, help="Folder of the image library.  [default: the user's data folder]")
@click.option("--keys", type=_FOLDER, help="Folder of the keys.  [default: the user's configuration folder]")
@click.option("--state", type=_FOLDER, help="Folder of the console's state.  [default: in the user's state folder]")
@click.option("--port", type=_PORT, help="Port where receivers enrol.  [default: 8884]")
@click.option("--broker-port", type=_PORT, help="Port of the embedded broker.  [default: 8883]")
@click.option(
    "--broker", metavar="URL", callback=keep_from_children, help="Use this broker instead of the embedded one."
)
@click.option("--ca-file", type=click.Path(dir_okay=False), help="PEM file of the authority of that broker.")
@click.option("--listen", metavar="ADDRESS", help="Address of the console.  [default: that of the interface]")
@click.option("--console-port", type=_PORT, help="Port of the console.  [default: 8443]")
@click.option("--https/--plain", default=None, help="Serve the console with TLS or without.  [default: with]")
@click.option("--metrics/--no-metrics", default=None, help="Serve the metrics of the seats to anybody.  [default: no]")
@click.option(
    "--metrics-port", type=_PORT, help="Serve the broadcaster's own Prometheus metrics on this port.  [default: no]"
)
@click.option(
    "--only",
    type=click.Choice(["broker", "broadcaster", "console", "netboot"]),
    multiple=True,
    help="Run this part alone; may be given twice.",
)
@click.pass_context
def serve(context: click.Context, /, *, config_file: Path | None, only: tuple[str, ...], **options: Any) -> int:
    """Run broker, broadcaster and console, and what boots PCs, until Ctrl-C or SIGTERM.

    Prints where operators find the console and where receivers enrol.
    """
    check_libraries()
    from slatecast.serving.service import PARTS, Service, hand_down_verbosity  # noqa: PLC0415 - needs those

    settings = read_settings(config_file, _overrides(context, options))
    hand_down_verbosity()
    service = Service(find_places(settings), frozenset(only or PARTS), click.echo)
    if asyncio.run(service.run()) is signal.SIGINT:
        raise KeyboardInterrupt
    return 0


def _overrides(context: click.Context, options: dict[str, Any]) -> dict[str, dict[str, object]]:
    """What stands on the command line and in the environment, by section and key."""
    before = context.parent.params if context.parent is not None else {}
    given = {"library": before.get("library"), "keys": before.get("keys_folder")}
    given |= {name: value for name, value in options.items() if value is not None}
    overrides: dict[str, dict[str, object]] = {}
    for name, value in given.items():
        if value is not None:
            section, key = _PLACES[name]
            overrides.setdefault(section, {})[key] = str(value) if isinstance(value, Path) else value
    if "token" in overrides.get("broadcaster", {}):
        overrides["broadcaster"]["token_file"] = ""
    return overrides
