"""``slatecast receive``: wait for a session and put its image on one disk."""

import asyncio
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import click
from rich.console import Console
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_delay, wait_fixed

from protocol.errors import ConfigError, TransportError
from protocol.link.discovery import find_broadcaster
from protocol.link.interfaces import InterfaceInfo, resolve_interface
from protocol.link.mqtt import BrokerAddress, MqttLink
from protocol.messages import ReceiverState
from receiver.config import ReceiverConfig, SessionOutcome
from receiver.metrics import ReceiverMetrics
from receiver.service import Receiver
from receiver.target_rule import resolve_target
from slatecast.cli.parameters import ca_file_option
from slatecast.cli.receiver_display import receiver_display

RETRY_SECONDS = 0.5
"""[s] A broker that is not there yet is asked this often; a lab boots its receivers before its broadcaster."""

EXIT_CODES = {
    ReceiverState.VERIFIED: 0,
    ReceiverState.REFUSED: 3,
    ReceiverState.FAILED: 4,
    ReceiverState.DAMAGED: 5,
}


@click.command()
@click.option(
    "--target",
    required=True,
    metavar="PATH|RULE",
    help="The disk to overwrite: a path, serial=..., wwn=..., model=..., or auto for the only fixed disk.",
)
@click.option("--server", metavar="HOST[:PORT]", help="Broker of the broadcaster; without it multicast DNS finds it.")
@click.option("--interface", metavar="IF", help="Interface or address that the multicast arrives on.")
@click.option("--seat", metavar="NAME", default=socket.gethostname, show_default="host name", help="Name of this seat.")
@click.option("--full", is_flag=True, help="Write everything, also what the disk already holds.")
@click.option("--once", is_flag=True, help="Exit after one session.")
@click.option(
    "--wait", type=click.FloatRange(min=0), default=300.0, show_default=True, help="Seconds to wait for a broadcaster."
)
@click.option("--metrics-port", type=click.IntRange(1, 65535), help="Serve Prometheus metrics on this port.")
@ca_file_option
def receive(
    *,
    target: str,
    server: str | None,
    interface: str | None,
    seat: str,
    full: bool,
    once: bool,
    wait: float,
    metrics_port: int | None,
    ca_file: Path | None,
) -> int:
    """Wait for a session and overwrite one disk with its image.

    The disk is checked first, marked incomplete before the first block is written, read back when the last one is, and
    made bootable only then.
    """
    if not 1 <= len(seat) <= 64 or not seat.isprintable():
        raise ConfigError("--seat must be 1 to 64 printable characters")
    disk = resolve_target(target).path
    address = BrokerAddress.parse(server) if server else None

    async def find_and_receive() -> int:
        broker = address or await _discover(interface, wait)
        config = ReceiverConfig(
            seat, disk, resolve_interface(interface, towards=broker.host), broker, ca_file, is_delta=not full
        )
        return await _receive(config, once=once, wait=wait, metrics_port=metrics_port)

    return asyncio.run(find_and_receive())


async def _receive(config: ReceiverConfig, *, once: bool, wait: float, metrics_port: int | None) -> int:
    console = Console(stderr=True)
    receiver = Receiver(config)
    with ReceiverMetrics(receiver, metrics_port), receiver_display(receiver, console):
        async with _patient_link(receiver, config.broker, wait, console) as link:
            while True:
                outcome = await receiver.run_session(link)
                _say(console, config.seat, config.target, outcome)
                if once:
                    receiver.say_goodbye()
                    return EXIT_CODES.get(outcome.state, 4)


async def _discover(interface_name: str | None, wait: float) -> BrokerAddress:
    interface: InterfaceInfo | None = resolve_interface(interface_name) if interface_name else None
    host, port = await find_broadcaster(wait, interface)
    return BrokerAddress(host, port)


@asynccontextmanager
async def _patient_link(
    receiver: Receiver, broker: BrokerAddress, wait: float, console: Console
) -> AsyncIterator[MqttLink]:
    """The link, once the broker is there; TransportError when it is not there in time."""
    is_waiting = False
    link = receiver.link()
    async for attempt in AsyncRetrying(
        retry=retry_if_exception_type(TransportError),
        wait=wait_fixed(RETRY_SECONDS),
        stop=stop_after_delay(wait),
        reraise=True,
    ):
        with attempt:
            if attempt.retry_state.attempt_number > 1 and not is_waiting:
                is_waiting = True
                console.print(f"waiting for the broker {broker}")
            link = receiver.link()
            await link.__aenter__()
    try:
        yield link
    finally:
        await link.__aexit__(None, None, None)


def _say(console: Console, seat: str, target: str, outcome: SessionOutcome) -> None:
    words = {
        ReceiverState.READY: "was not written",
        ReceiverState.VERIFIED: "is written and verified",
        ReceiverState.REFUSED: "was refused, nothing was written",
        ReceiverState.FAILED: "failed and is marked incomplete",
        ReceiverState.DAMAGED: "is damaged and marked incomplete",
    }.get(outcome.state, "is incomplete")
    reason = f": {outcome.reason}" if outcome.reason else ""
    unheard = "" if outcome.is_acknowledged else " (the broadcaster did not acknowledge it)"
    if console.is_terminal:
        console.print(f"seat {seat}: {target} {words}{reason}{unheard}", highlight=False, markup=False)
    else:
        print(f"seat {seat}: {target} {words}{reason}{unheard}", file=sys.stderr)
