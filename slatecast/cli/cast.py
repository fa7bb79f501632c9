"""``slatecast cast``: cast one image to a room with the embedded broker, show progress, report, exit."""

import secrets
from pathlib import Path

import click
import msgspec
from rich.console import Console

from broadcaster.cast_config import START_RATE, CastConfig, default_rate
from broadcaster.control_side import ControlSetting
from broadcaster.keys import KeyStore
from broadcaster.library.adding import find_or_add
from broadcaster.library.library import Library
from broadcaster.readiness import StartPolicy
from broadcaster.report import SessionReport
from broadcaster.roster import INCOMPLETE
from broadcaster.service import INTERRUPTED
from protocol.errors import ConfigError
from protocol.link.interfaces import InterfaceInfo, resolve_interface
from protocol.link.mqtt import BrokerAddress
from protocol.messages import ReceiverState
from protocol.pairing import WORDS_SEED_LENGTH, new_token, normalized_token
from slatecast.casting import CastSetting, run_cast
from slatecast.cli.context import Context, keys_option, library_option
from slatecast.cli.parameters import Rate, ca_file_option, keep_from_children
from slatecast.cli.progress import progress_bars
from slatecast.cli.room_display import print_report, say


@click.command()
@click.argument("image")
@click.option("--expect", type=click.IntRange(1), default=1, show_default=True, help="Seats to wait for.")
@click.option("--interface", metavar="IF", help="Interface or address to send from.  [default: the one of the route]")
@click.option("--rate", type=Rate(), help="Bits per second on the link, such as 900M.  [default: 90 % of the link]")
@click.option("--max-rate", type=Rate(), help="Bits per second of all casts of this machine on the interface together.")
@click.option(
    "--wait",
    type=click.FloatRange(min=0),
    default=300.0,
    show_default=True,
    help="Seconds to wait for the expected seats; then cast to those that are there.",
)
@click.option("--new", is_flag=True, help="Begin anew instead of resuming a cast of IMAGE that was killed.")
@click.option("--report", type=click.Path(path_type=Path, dir_okay=False), help="Write the report as JSON.")
@click.option(
    "--broker",
    metavar="URL",
    callback=keep_from_children,
    help="Use this broker, mqtt[s]://user@host, instead of the embedded one.",
)
@click.option(
    "--port", type=click.IntRange(1, 65535), help="Port where receivers enrol.  [default: 8884 or a free one]"
)
@click.option(
    "--broker-port", type=click.IntRange(1, 65535), help="Port of the embedded broker.  [default: 8883 or a free one]"
)
@click.option(
    "--token",
    metavar="WORD",
    callback=keep_from_children,
    help="Receivers with this token need no operator.  [default: four new words]",
)
@click.option("--ipv6", is_flag=True, help="Multicast over IPv6.")
@click.option("--metrics-port", type=click.IntRange(1, 65535), help="Serve Prometheus metrics on this port.")
@ca_file_option
@library_option
@keys_option
@click.pass_obj
def cast(
    context: Context,
    *,
    image: str,
    expect: int,
    interface: str | None,
    rate: int | None,
    max_rate: int | None,
    wait: float,
    new: bool,
    report: Path | None,
    broker: str | None,
    port: int | None,
    broker_port: int | None,
    token: str | None,
    ipv6: bool,
    metrics_port: int | None,
    ca_file: Path | None,
) -> int:
    """Cast IMAGE, a name in the library or a file, to EXPECT seats at once.

    Starts when all are ready. Seats that come later are served as well; none can hold up the others.
    """
    if broker and broker_port:
        raise ConfigError("--broker-port is the embedded broker's; put the port of another broker into --broker")
    word = given_token(token)
    address = BrokerAddress.parse(broker) if broker else None
    if report is not None and not report.absolute().parent.is_dir():
        raise ConfigError(f"--report {report}: the folder {report.absolute().parent} does not exist")
    resolved = _resolve_interface(interface, address)
    keys = KeyStore.open_or_create(context.keys)
    library = Library.open_or_create(context.library)
    with progress_bars() as progress:
        manifest = find_or_add(library, image, progress=progress, signer=keys.image)
    config = CastConfig(
        interface=resolved,
        policy=StartPolicy(expect, wait),
        rate_bits_per_second=rate or default_rate(resolved),
        start_rate_bits_per_second=rate or START_RATE,
        use_ipv6=ipv6,
        max_rate_bits_per_second=max_rate,
    )
    control = ControlSetting(word, address, ca_file, port, broker_port, is_token_new=token is None)
    setting = CastSetting(control, metrics_port, resumes=not new)
    outcome = run_cast(library, manifest, keys, config, setting)
    if report is not None:
        _write_report(outcome, report)
    is_interrupted = outcome.end_reason == INTERRUPTED
    if not is_interrupted or any(seat.receiver for seat in outcome.seats):
        print_report(outcome, Console())
    if is_interrupted:
        raise KeyboardInterrupt
    say_what_failed(outcome)
    return exit_code(outcome)


def given_token(token: str | None) -> str:
    """The enrolment token of a cast: the operator's, or four new words.

    Raises:
        ConfigError: it is too short or too long.
    """
    if token is None:
        return new_token(secrets.token_bytes(WORDS_SEED_LENGTH))
    normalized_token(token)
    return token


def _resolve_interface(name: str | None, broker: BrokerAddress | None) -> InterfaceInfo:
    """Where receivers listen that are told as little: the interface that leads to the broker.

    A broker that is reached over loopback says nothing about the room; then, and for the embedded one, the default.
    """
    if name is None and broker is not None:
        towards = resolve_interface(towards=broker.host)
        if not towards.is_loopback:
            return towards
    return resolve_interface(name)


def _write_report(outcome: SessionReport, path: Path) -> None:
    try:
        path.write_bytes(msgspec.json.format(msgspec.json.encode(outcome), indent=2))
    except OSError as error:
        raise ConfigError(f"--report {path}: {error.strerror or error}; the cast itself has ended") from error


def say_what_failed(report: SessionReport) -> None:
    """One line about the seats that are not verified; nothing when all are."""
    failed = [
        f"{seat.seat} {seat.outcome}" + (f" ({seat.reason})" if seat.reason else "")
        for seat in report.seats
        if not seat.verified
    ]
    if failed:
        say(f"slatecast: {len(failed)} of {len(report.seats)} seats are not verified: {'; '.join(failed)}")


def exit_code(report: SessionReport) -> int:
    """0 all verified, 5 wrong bytes on a disk or in the library, 3 nothing was written anywhere, 4 otherwise."""
    outcomes = {seat.outcome for seat in report.seats}
    if outcomes == {ReceiverState.VERIFIED.value}:
        return 0
    if outcomes & {ReceiverState.DAMAGED.value, INCOMPLETE}:
        return 5
    return 3 if outcomes <= {ReceiverState.REFUSED.value, "absent"} else 4
