"""``slatecast receive``: enrol with a broadcaster, wait for its order, and put the image on one disk."""

import asyncio
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import click
from rich.console import Console

from protocol.errors import ConfigError
from protocol.firmware import Firmware
from protocol.link.interfaces import resolve_interface
from protocol.link.mqtt import MqttLink
from protocol.messages import ReceiverState
from receiver.config import DEFAULT_COUNTDOWN, ReceiverConfig, SessionOutcome
from receiver.firmware import firmware_of_this_pc
from receiver.identity import ReceiverIdentity
from receiver.machine import machine_name
from receiver.metrics import ReceiverMetrics
from receiver.service import Receiver
from receiver.target_rule import resolve_target
from slatecast.cli.enrolling import broadcaster_at, enrolment_options
from slatecast.cli.pairing import Pairing, patiently
from slatecast.cli.receiver_display import receiver_display
from slatecast.cli.trust_file import read_trust

EXIT_CODES = {
    ReceiverState.VERIFIED: 0,
    ReceiverState.REFUSED: 3,
    ReceiverState.FAILED: 4,
    ReceiverState.DAMAGED: 5,
}

FIRMWARES = {"bios": Firmware.BIOS, "uefi": Firmware.UEFI, "any": Firmware.BOTH}
"""What ``--firmware`` says; ``auto`` asks this PC."""


@click.command()
@click.option(
    "--target",
    required=True,
    metavar="PATH|RULE",
    help="The disk to overwrite: a path, serial=..., wwn=..., model=..., or auto for the only fixed disk.",
)
@enrolment_options
@click.option(
    "--countdown",
    type=click.FloatRange(0, 600),
    default=DEFAULT_COUNTDOWN,
    show_default=True,
    help="Seconds in which somebody at the seat can stop it before anything is written.",
)
@click.option("--interface", metavar="IF", help="Interface or address that the multicast arrives on.")
@click.option("--seat", metavar="NAME", default=socket.gethostname, show_default="host name", help="Name of this seat.")
@click.option(
    "--machine",
    metavar="NAME",
    help="Name that this PC keeps from start to start.  [default: MAC address of the interface]",
)
@click.option(
    "--firmware",
    type=click.Choice(("auto", "bios", "uefi", "any")),
    default="auto",
    show_default=True,
    help="What the PC of this disk boots by; an image that boots otherwise is refused.",
)
@click.option("--full", is_flag=True, help="Write everything, also what the disk already holds.")
@click.option("--once", is_flag=True, help="Exit after one session; a plan that is dropped is none.")
@click.option("--metrics-port", type=click.IntRange(1, 65535), help="Serve Prometheus metrics on this port.")
def receive(
    *,
    target: str,
    server: str | None,
    token: str | None,
    trust: Path | None,
    countdown: float,
    interface: str | None,
    seat: str,
    machine: str | None,
    firmware: str,
    full: bool,
    once: bool,
    wait: float,
    metrics_port: int | None,
) -> int:
    """Enrol with a broadcaster, wait for its order, and overwrite one disk with its image.

    The broadcaster is trusted when it knows the token, when the trust file names it, or when somebody at this seat
    confirms that the operator's screen shows the same words. The disk is checked before anything is written, marked
    incomplete before the first block is, read back when the last one is, and made bootable only then.
    """
    if not 1 <= len(seat) <= 64 or not seat.isprintable():
        raise ConfigError("--seat must be 1 to 64 printable characters")
    if machine is not None and (not 1 <= len(machine) <= 64 or not machine.isprintable()):
        raise ConfigError("--machine must be 1 to 64 printable characters")
    disk = resolve_target(target).path
    known = None if trust is None else read_trust(trust)
    console = Console(stderr=True)
    pairing = Pairing(token, known, console)

    async def find_and_receive() -> int:
        where = await broadcaster_at(server, interface, wait)
        resolved = resolve_interface(interface, towards=where.host)
        identity = ReceiverIdentity.draw()
        enrolment = await pairing.enrol(identity, where, seat, wait)
        config = ReceiverConfig(
            seat,
            disk,
            resolved,
            is_delta=not full,
            countdown_seconds=countdown,
            machine=machine or machine_name(resolved, seat),
            firmware=FIRMWARES.get(firmware) or firmware_of_this_pc(),
            metrics_port=metrics_port,
        )
        receiver = Receiver(config, identity, enrolment)
        with ReceiverMetrics(receiver, metrics_port), receiver_display(receiver, console, pairing.words):
            return await _receive(receiver, config, console, once=once, wait=wait)

    return asyncio.run(find_and_receive())


async def _receive(receiver: Receiver, config: ReceiverConfig, console: Console, *, once: bool, wait: float) -> int:
    async with _patient_link(receiver, wait) as link:
        while True:
            outcome = await receiver.run_session(link)
            _say(console, config.seat, config.target, outcome)
            # A plan that is dropped is none: the operator who drops it plans the same room anew.
            if once and outcome.state is not ReceiverState.PLANNED:
                receiver.say_goodbye()
                return EXIT_CODES.get(outcome.state, 4)


@asynccontextmanager
async def _patient_link(receiver: Receiver, wait: float) -> AsyncIterator[MqttLink]:
    """The link, once the broker is there; TransportError when it is not there in time."""
    link = receiver.link()
    async for attempt in patiently(wait):
        with attempt:
            link = receiver.link()
            await link.__aenter__()
    try:
        yield link
    finally:
        await link.__aexit__(None, None, None)


def _say(console: Console, seat: str, target: str, outcome: SessionOutcome) -> None:
    words = {
        ReceiverState.PLANNED: "was not written",
        ReceiverState.ARMING: "was not written",
        ReceiverState.READY: "was not written",
        ReceiverState.VERIFIED: "is written and verified",
        ReceiverState.REFUSED: "was refused, nothing was written",
        ReceiverState.FAILED: "failed and is marked incomplete",
        ReceiverState.DAMAGED: "is damaged and marked incomplete",
    }.get(outcome.state, "is incomplete")
    reason = f": {outcome.reason}" if outcome.reason else ""
    is_over = outcome.is_acknowledged or outcome.state is ReceiverState.PLANNED
    unheard = "" if is_over else " (the broadcaster did not acknowledge it)"
    if console.is_terminal:
        console.print(f"seat {seat}: {target} {words}{reason}{unheard}", highlight=False, markup=False)
    else:
        print(f"seat {seat}: {target} {words}{reason}{unheard}", file=sys.stderr)
