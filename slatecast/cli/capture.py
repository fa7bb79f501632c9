"""``slatecast capture``: bring the disk of this machine, or a disk image on it, into the broadcaster's library."""

import asyncio
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

import click
from rich.console import Console
from tenacity import AsyncRetrying, retry_if_exception, stop_after_delay, wait_fixed

from protocol.capture import CaptureState, CaptureStep, CaptureWish
from protocol.errors import ConfigError, LibraryError, RefusedError
from protocol.fields import MAX_SHORT_TEXT
from protocol.link.interfaces import resolve_interface
from protocol.link.tls import pinned_context
from protocol.manifest import IMAGE_NAME
from protocol.seat_api import CaptureOrder
from receiver.capture.findings import refusals
from receiver.capture.patience import patiently
from receiver.capture.run import CaptureNews, check_disk, inspect, run_capture
from receiver.identity import ReceiverIdentity
from receiver.machine import machine_name
from receiver.seat_api_link import SeatApiLink
from receiver.target_rule import resolve_target
from slatecast.cli.capture_display import capture_display, end_in_words, finding_in_words, print_line
from slatecast.cli.enrolling import broadcaster_at, enrolment_options
from slatecast.cli.pairing import Pairing
from slatecast.cli.trust_file import read_trust

EXIT_CODES: Final = {CaptureStep.DONE: 0, CaptureStep.REFUSED: 3, CaptureStep.FAILED: 4}
EXIT_REFUSED: Final = 3
EXIT_INTERRUPTED: Final = 130

DECISION_INTERVAL: Final = 2.0
"""[s] between two questions whether the operator has decided: what a person does not notice as a delay."""

TAKEOVER_PATIENCE: Final = 12.0
"""[s] for which a refused wish is repeated: a machine that was just interrupted is believed to be running its capture
until it has been silent for 8 s."""

_MAX_ACCEPTS: Final = 32


@click.command()
@click.option("--name", metavar="NAME", help="Name of the image in the library; needed unless --inspect-only.")
@click.option(
    "--target",
    default="auto",
    show_default=True,
    metavar="PATH|RULE",
    help="The disk to read: a path, also of a disk image or a stopped virtual machine's disk, serial=..., wwn=..., "
    "model=..., or auto for the only fixed disk.",
)
@enrolment_options
@click.option(
    "--accept",
    "accepts",
    multiple=True,
    metavar="CODE",
    help="Capture although this was found, such as dirty or failing-disk; may be given several times.",
)
@click.option("--inspect-only", is_flag=True, help="Say what is found on the disk; no broadcaster is asked.")
@click.option("--interface", metavar="IF", help="Interface or address that leads to the broadcaster.")
@click.option("--seat", metavar="NAME", default=socket.gethostname, show_default="host name", help="Name of this seat.")
@click.option(
    "--machine",
    metavar="NAME",
    help="Name that this PC keeps from start to start.  [default: MAC address of the interface]",
)
def capture(
    *,
    name: str | None,
    target: str,
    server: str | None,
    token: str | None,
    trust: Path | None,
    wait: float,
    accepts: tuple[str, ...],
    inspect_only: bool,
    interface: str | None,
    seat: str,
    machine: str | None,
) -> int:
    """Bring the disk of a reference machine into the broadcaster's library, over the network.

    Nothing may use the disk meanwhile: start the machine from the network or from a live system. Only blocks in use are
    read, page and swap files are left out, and only chunks that the library lacks are sent. Whatever must not be on
    every machine, such as host keys or passwords, is named. An operator must allow it. When it is interrupted, the same
    command sends the rest.
    """
    console = Console(stderr=True)
    if inspect_only:
        return _inspect(Path(resolve_target(target).path), accepts, console)
    if name is None:
        raise ConfigError("--name is missing: give the image a name")
    if not IMAGE_NAME.fullmatch(name):
        raise ConfigError(f"--name {name!r}: use letters, digits, '.', '_' and '-', 64 at most")
    for option, text in (("--seat", seat), ("--machine", machine), *(("--accept", code) for code in accepts)):
        if text is not None and (not 1 <= len(text) <= MAX_SHORT_TEXT or not text.isprintable()):
            raise ConfigError(f"{option} must be 1 to {MAX_SHORT_TEXT} printable characters")
    if len(accepts) > _MAX_ACCEPTS:
        raise ConfigError(f"--accept {_MAX_ACCEPTS} times at most")
    disk = resolve_target(target)
    check_disk(Path(disk.path))
    pairing = Pairing(token, None if trust is None else read_trust(trust), console)

    async def enrol_and_capture() -> int:
        where = await broadcaster_at(server, interface, wait)
        resolved = resolve_interface(interface, towards=where.host)
        enrolment = await pairing.enrol(ReceiverIdentity.draw(), where, seat, wait)
        tls = pinned_context(enrolment.trust.authority, enrolment.certificate)
        wish = CaptureWish(
            image=name,
            machine=machine or machine_name(resolved, seat),
            target=str(disk)[:MAX_SHORT_TEXT],
            disk_size=disk.size,
        )
        async with SeatApiLink(enrolment.seat_api, tls) as api:
            return await _capture(api, wish, Path(disk.path), accepts, console)

    try:
        return asyncio.run(enrol_and_capture())
    except KeyboardInterrupt:
        print_line(console, "interrupted: the library keeps what it has; the same command sends the rest")
        return EXIT_INTERRUPTED


def _inspect(disk: Path, accepts: tuple[str, ...], console: Console) -> int:
    """Findings go to standard output, one in a line."""
    findings = inspect(disk)
    for finding in findings:
        click.echo(finding_in_words(finding))
    refused = refusals(findings, accepts)
    words = (
        f"would be refused for {', '.join(sorted({each.code for each in refused}))}" if refused else "can be captured"
    )
    print_line(console, f"{disk} {words}")
    return EXIT_REFUSED if refused else 0


async def _capture(api: SeatApiLink, wish: CaptureWish, disk: Path, accepts: tuple[str, ...], console: Console) -> int:
    news = CaptureNews("looking")
    with capture_display(console) as show:

        def shown(newer: CaptureNews) -> None:
            nonlocal news
            news = newer
            show(news)

        state = await _decided(api, wish, lambda reason: shown(replace(news, waits_for=reason)))
        if state.step in (CaptureStep.ORDERED, CaptureStep.RUNNING):
            order = CaptureOrder(
                capture_id=state.capture_id,
                image=state.image,
                is_backup=False,
                target="",
                accepts=tuple(dict.fromkeys((*state.accepts, *accepts)))[:_MAX_ACCEPTS],
            )
            state = await run_capture(api, order, disk, shown, machine=wish.machine)
    print_line(console, end_in_words(state, news))
    return EXIT_CODES[state.step]


async def _decided(api: SeatApiLink, wish: CaptureWish, on_wait: Callable[[str], None]) -> CaptureState:
    """Ask for the capture, and wait until an operator has allowed or refused it."""
    async for attempt in AsyncRetrying(
        # A library that is full is one too, and is waited for inside.
        retry=retry_if_exception(lambda error: isinstance(error, RefusedError) and not isinstance(error, LibraryError)),
        wait=wait_fixed(DECISION_INTERVAL),
        stop=stop_after_delay(TAKEOVER_PATIENCE),
        before_sleep=lambda call: on_wait(str(call.outcome.exception() if call.outcome is not None else "")),
        reraise=True,
    ):
        with attempt:
            state = await patiently(lambda: api.wish_capture(wish), on_wait)
    capture_id = state.capture_id
    if state.step is CaptureStep.ASKED:
        on_wait(f"an operator must allow the capture of {wish.image}")
    while state.step is CaptureStep.ASKED:
        await asyncio.sleep(DECISION_INTERVAL)
        state = await patiently(lambda: api.capture_state(capture_id), on_wait)
    on_wait("")
    return state
