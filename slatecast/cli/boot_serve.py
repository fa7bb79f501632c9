"""``slatecast boot serve``: hand the environment to PCs that start from the network."""

import asyncio
import signal
from pathlib import Path

import click

from broadcaster.netboot.config import DEFAULT_BOOT_PORT, Dhcp, NetbootConfig
from broadcaster.netboot.http_service import machine_address
from broadcaster.netboot.orders import ORDERS_FILE
from broadcaster.netboot.service import Netboot
from protocol.errors import ConfigError
from protocol.link.front_door_address import DEFAULT_FRONT_DOOR_PORT, FrontDoorAddress
from protocol.link.interfaces import resolve_interface
from slatecast.cli.context import Context, default_environment


@click.command()
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Environment, as 'slatecast boot build' made it.  [default: the user's data folder]",
)
@click.option("--interface", metavar="IF", help="Interface or address to serve.  [default: the one of the route]")
@click.option(
    "--dhcp",
    type=click.Choice([str(mode) for mode in Dhcp]),
    default=str(Dhcp.PROXY),
    show_default=True,
    help="proxy: beside the site's own DHCP. reserved: too, with a few addresses of our own, which Secure Boot needs. "
    "full: the only DHCP of a closed room.",
)
@click.option(
    "--range", "addresses", default="", metavar="FIRST-LAST", help="Addresses that are ours to give, unless proxy."
)
@click.option(
    "--port", type=click.IntRange(1, 65535), default=DEFAULT_BOOT_PORT, show_default=True, help="TCP port of HTTP."
)
@click.option("--server", metavar="HOST[:PORT]", help="Where seats enrol.  [default: this machine]")
@click.option(
    "--secure-boot/--no-secure-boot",
    default=True,
    help="PCs with UEFI get Debian's signed loaders, unless proxy.  [default: they do]",
)
@click.option("--everyone", is_flag=True, help="Every machine boots the environment: for a closed room.")
@click.option(
    "--answer-all",
    "answers_all",
    is_flag=True,
    help="Send strangers too to their own disks at once; else their firmware waits in vain. Always with full.",
)
@click.option("--machine", "machines", multiple=True, metavar="MAC", help="So does this one; may be given again.")
@click.option(
    "--orders",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File of boot orders that a broadcaster writes.  [default: in the folder of the library]",
)
@click.pass_obj
def serve(
    context: Context,
    /,
    *,
    folder: Path | None,
    interface: str | None,
    dhcp: str,
    addresses: str,
    port: int,
    server: str | None,
    secure_boot: bool,
    everyone: bool,
    answers_all: bool,
    machines: tuple[str, ...],
    orders: Path | None,
) -> int:
    """Hand the environment to PCs that start from the network, until Ctrl-C. Needs root and dnsmasq.

    A machine without an order boots its own disk.
    """
    chosen = resolve_interface(interface)
    config = NetbootConfig(
        environment=folder or default_environment(),
        orders=orders or context.library / ORDERS_FILE,
        interface=chosen.name,
        server=str(FrontDoorAddress.parse(server) if server else _here(chosen.ipv4)),
        dhcp=Dhcp(dhcp),
        addresses=addresses,
        port=port,
        secure_boot=secure_boot,
        everyone=everyone,
        answers_all=answers_all,
        machines=tuple(_address(text) for text in machines),
    )
    if asyncio.run(_until_told(Netboot(config, click.echo))) is signal.SIGINT:
        raise KeyboardInterrupt
    return 0


async def _until_told(netboot: Netboot) -> signal.Signals:
    """Serve until SIGINT or SIGTERM; which of them."""
    loop = asyncio.get_running_loop()
    told: asyncio.Future[signal.Signals] = loop.create_future()

    def hear(number: signal.Signals) -> None:
        if not told.done():
            told.set_result(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, hear, number)
    serving = asyncio.create_task(netboot.run(lambda where: click.echo(f"ready on {where}")))
    await asyncio.wait((serving, told), return_when=asyncio.FIRST_COMPLETED)
    if serving.done():
        await serving
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)
    return await told


def _here(address: str | None) -> FrontDoorAddress:
    return FrontDoorAddress(address or "", DEFAULT_FRONT_DOOR_PORT)


def _address(text: str) -> str:
    address = machine_address(text)
    if address is None:
        raise ConfigError(f"{text!r} is no MAC address: write one like 52:54:00:12:34:56")
    return address
