"""``slatecast session``: start, list, watch and stop sessions of a console that runs here or elsewhere.

It does what the page does, over the same API and with the same rights.
"""

import json
from collections.abc import Sequence
from typing import Any

import click
import msgspec

from dashboards.fleet.views import SessionView
from protocol.errors import ConfigError, RefusedError
from protocol.operators import SessionStep
from slatecast.cli.console_command import console_options, talk, the_console
from slatecast.cli.parameters import Rate
from slatecast.cli.session_display import headline, sessions_table
from slatecast.cli.session_planning import (
    Tsi,
    follow,
    image_order,
    judge_confirmation,
    plan_and_start,
    somebody_is_there,
)
from slatecast.cli.tables import output_console
from slatecast.console_api import ConsoleApi


@click.group()
def session() -> None:
    """Start, list, watch and stop sessions of a console."""


@session.command()
@click.argument("image")
@click.option("--room", required=True, help="Room whose machines are to be overwritten.")
@click.option("--seat", "seats", multiple=True, help="Only this seat of it; may be given again.")
@click.option(
    "--configuration", metavar="NAME", help="What is done to each disk afterwards.  [default: as the room says]"
)
@click.option(
    "--backup/--no-backup",
    "backs_up",
    default=None,
    help="Capture every disk before it is overwritten, or not.  [default: as the room says]",
)
@click.option("--expect", type=click.IntRange(1), help="How many; asked for when it is not given.")
@click.option("--rate", type=Rate(), help="Bits per second on the link, such as 900M.  [default: the service's]")
@click.option(
    "--wait",
    type=click.FloatRange(min=0),
    default=30.0,
    show_default=True,
    help="Seconds to wait for seats that have not joined the plan.",
)
@click.option("--yes", is_flag=True, help="Do not ask; needs --expect.")
@click.option("--watch", "is_watched", is_flag=True, help="Follow it until it ends.")
@console_options
def start(
    image: str,
    *,
    room: str,
    seats: tuple[str, ...],
    configuration: str | None,
    backs_up: bool | None,
    expect: int | None,
    rate: int | None,
    wait: float,
    yes: bool,
    is_watched: bool,
    **where: Any,
) -> int:
    """Cast IMAGE, NAME or NAME@VERSION, to the machines of a room.

    Shows first what would happen to each seat; nothing is written before it is confirmed.
    """
    judge_confirmation(expect, yes=yes)
    order = {"room": room, **image_order(image), "rate_bits_per_second": rate or 0, "seats": list(seats)}
    if configuration is not None:
        order["configuration"] = configuration
    if backs_up is not None:
        order["backs_up"] = backs_up
    address = the_console(**where)
    tsi = plan_and_start(address, order, expect=expect, wait=wait, yes=yes)
    return talk(address, lambda api: follow(api, tsi)) if is_watched else 0


@session.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for other programs.")
@console_options
def list_sessions(*, as_json: bool, **where: Any) -> None:
    """List the sessions that are open or have just ended."""
    sessions = talk(the_console(**where), lambda api: api.get("sessions", list[SessionView]))
    if as_json:
        click.echo(json.dumps(msgspec.to_builtins(sessions), indent=2))
    elif sessions:
        output_console().print(sessions_table(sessions))
    else:
        click.echo("no session is open")


@session.command()
@click.argument("tsi", required=False)
@console_options
def watch(tsi: str | None, **where: Any) -> int:
    """Follow the session TSI, by default the newest, until it ends."""
    chosen = _checked(tsi) if tsi else None

    async def work(api: ConsoleApi) -> int:
        return await follow(api, chosen or await _newest(api))

    return talk(the_console(**where), work)


@session.command()
@click.argument("tsi")
@click.option("--yes", is_flag=True, help="Do not ask.")
@console_options
def stop(tsi: str, *, yes: bool, **where: Any) -> None:
    """End the session TSI, or drop a plan; disks that are not finished stay marked as incomplete."""
    tsi = _checked(tsi)
    address = the_console(**where)
    view = talk(address, lambda api: api.get(f"sessions/{tsi}", SessionView))
    if not yes and view.step is not SessionStep.PLANNED:
        if not somebody_is_there():
            raise ConfigError("stopping a session needs --yes when nobody can be asked")
        click.confirm(f"Stop this? {headline(view)}", abort=True)
    talk(address, lambda api: api.post(f"sessions/{tsi}/stop"))
    click.echo(f"session {tsi} is stopped")


async def _newest(api: ConsoleApi) -> str:
    sessions: Sequence[SessionView] = await api.get("sessions", list[SessionView])
    if not sessions:
        raise RefusedError("no session is open: 'slatecast session start' begins one")
    return sessions[0].tsi


def _checked(tsi: str) -> str:
    try:
        return msgspec.convert(tsi.strip().lower(), Tsi)
    except msgspec.ValidationError:
        raise ConfigError(f"{tsi[:40]!r} is no session: 'slatecast session list' names them by 16 hex digits") from None
