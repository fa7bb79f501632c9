"""``slatecast session``: start, list, watch and stop sessions of a console that runs here or elsewhere.

It does what the page does, over the same API and with the same rights.
"""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import click
import msgspec
from rich.console import Console
from rich.live import Live
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_delay, wait_fixed

from dashboards.desk_rules import to_overwrite
from dashboards.fleet.views import SeatState, SessionView
from protocol.errors import ConfigError, RefusedError, SlatecastError, TransportError
from protocol.operators import SessionStep
from slatecast.cli.context import default_state
from slatecast.cli.parameters import Rate
from slatecast.cli.proof import one_line
from slatecast.cli.session_display import (
    exit_code,
    headline,
    is_plan_complete,
    plan_table,
    session_picture,
    sessions_table,
)
from slatecast.cli.tables import output_console
from slatecast.console_api import ConsoleAddress, ConsoleApi, environment_token, find_console
from slatecast.serving.places import folder, read_word
from slatecast.serving.settings import read_settings

SERVICE_STATE: Final = Path("/var/lib/slatecast/console")
"""Where the unit for systemd keeps the console's state."""

LOOK_AGAIN: Final = 1.0
"""[s] between two tries to reach a console that is started again"""

PATIENCE: Final = 30.0
"""[s] in which a console that was there comes back"""

Command = TypeVar("Command", bound=Callable[..., Any])
Result = TypeVar("Result")
Tsi = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{16}\Z")]


class _Planned(msgspec.Struct, frozen=True):
    tsi: Tsi


def console_options(command: Command) -> Command:
    """Options of every command that speaks to a console; they come as one ``address``."""
    options = (
        click.option(
            "--console", "url", metavar="URL", envvar="SLATECAST_CONSOLE", help="Its address.  [default: the one here]"
        ),
        click.option(
            "--api-token-file", metavar="FILE", help="File whose first line is an API token.  [default: the one here]"
        ),
        click.option(
            "--ca-file",
            type=click.Path(path_type=Path, dir_okay=False),
            help="PEM file of the authority of the console's certificate.  [default: the one here]",
        ),
        click.option(
            "--state",
            type=click.Path(path_type=Path, file_okay=False),
            help="Folder of the state of a console that runs here.  [default: in the user's state folder]",
        ),
        click.option(
            "--config",
            "config_file",
            envvar="SLATECAST_SERVE_CONFIG",
            type=click.Path(path_type=Path, dir_okay=False),
            help="Configuration file of the service that runs here, instead of that folder.",
        ),
    )
    for option in options:
        command = option(command)
    return command


def _find(
    *, url: str | None, api_token_file: str | None, ca_file: Path | None, state: Path | None, config_file: Path | None
) -> ConsoleAddress:
    token = environment_token()
    if api_token_file is not None:
        token = read_word(api_token_file)
    states: tuple[Path, ...] = (default_state(), SERVICE_STATE)
    if state is not None:
        states = (state,)
    elif config_file is not None:
        states = (folder(read_settings(config_file).console.state, default_state()),)
    return find_console(states, url=url, token=token, ca_file=ca_file)


@click.group()
def session() -> None:
    """Start, list, watch and stop sessions of a console."""


@session.command()
@click.argument("image")
@click.option("--room", required=True, help="Room whose machines are to be overwritten.")
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
    if yes and expect is None:
        raise ConfigError("--yes needs --expect: the number of machines that will be overwritten")
    if not yes and not _somebody_is_there():
        raise ConfigError("nobody can be asked: give --expect and --yes to overwrite without asking")
    order = {"room": room, **_image(image), "rate_bits_per_second": rate or 0}
    address = _find(**where)
    tsi = _with(address, lambda api: _planned(api, order))
    try:
        view = _with(address, lambda api: _settled_plan(api, tsi, expect, wait))
        output_console().print(plan_table(view))
        # Asked outside of any event loop, which would not let Ctrl-C through.
        typed_room, typed_count = _confirmed(view, expect, yes)
        typed = {"typed_room": typed_room, "typed_count": typed_count}
        _with(address, lambda api: api.post(f"sessions/{tsi}/start", typed))
    except BaseException:
        _drop(address, tsi)
        raise
    click.echo(f"session {tsi} has started")
    return _with(address, lambda api: _follow(api, tsi)) if is_watched else 0


@session.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for other programs.")
@console_options
def list_sessions(*, as_json: bool, **where: Any) -> None:
    """List the sessions that are open or have just ended."""
    sessions = _with(_find(**where), lambda api: api.get("sessions", list[SessionView]))
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
        return await _follow(api, chosen or await _newest(api))

    return _with(_find(**where), work)


@session.command()
@click.argument("tsi")
@click.option("--yes", is_flag=True, help="Do not ask.")
@console_options
def stop(tsi: str, *, yes: bool, **where: Any) -> None:
    """End the session TSI, or drop a plan; disks that are not finished stay marked as incomplete."""
    tsi = _checked(tsi)
    address = _find(**where)
    view = _with(address, lambda api: api.get(f"sessions/{tsi}", SessionView))
    if not yes and view.step is not SessionStep.PLANNED:
        if not _somebody_is_there():
            raise ConfigError("stopping a session needs --yes when nobody can be asked")
        click.confirm(f"Stop this? {headline(view)}", abort=True)
    _with(address, lambda api: api.post(f"sessions/{tsi}/stop"))
    click.echo(f"session {tsi} is stopped")


def _with(address: ConsoleAddress, work: Callable[[ConsoleApi], Awaitable[Result]]) -> Result:
    async def whole() -> Result:
        async with ConsoleApi(address) as api:
            return await work(api)

    return asyncio.run(whole())


def _somebody_is_there() -> bool:
    return sys.stdin.isatty()


def _drop(address: ConsoleAddress, tsi: str) -> None:
    """Drop a plan because of an error, which is to be told whether this succeeds or not."""
    try:
        _with(address, lambda api: api.post(f"sessions/{tsi}/stop"))
        click.echo("the plan was dropped; nothing was written", err=True)
    except SlatecastError:
        click.echo(f"the plan could not be dropped: 'slatecast session stop {tsi}' does it", err=True)


async def _planned(api: ConsoleApi, order: object) -> str:
    """The tsi of a new plan."""
    planned = await api.post("sessions", order, _Planned)
    assert planned is not None
    return planned.tsi


async def _settled_plan(api: ConsoleApi, tsi: str, expected: int | None, wait: float) -> SessionView:
    """The plan once every seat has looked at its disk; those that have not joined are waited for a while."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + wait
    async for view in api.events(f"events/sessions/{tsi}", SessionView):
        is_scanning = any(seat.state is SeatState.SCANNING for seat in view.seats)
        if is_plan_complete(view, expected) or (loop.time() >= deadline and not is_scanning):
            return view
        if view.step is not SessionStep.PLANNED:
            raise RefusedError(f"the plan has ended: {view.end_reason or view.step}")
    raise TransportError("the console has ended its answer: look at 'slatecast session list'")


def _confirmed(view: SessionView, expected: int | None, yes: bool) -> tuple[str, int]:
    """Room and number as the operator gives them, typed anew unless ``yes``.

    Raises:
        RefusedError: nothing can be overwritten, or not as many as are expected.
    """
    count = len(to_overwrite(view))
    if not count:
        raise RefusedError("no seat of the plan can be overwritten: the table says why")
    if expected is not None and expected != count:
        raise RefusedError(f"{count} seats can be overwritten, not {expected}: the table says why")
    if yes and expected is not None:
        return view.room, expected  # which was given with --room
    typed_room = click.prompt(f"{count} disks will be overwritten. Type the name of the room", type=str)
    typed_count = click.prompt("Type the number of machines", type=int)
    return typed_room, typed_count


async def _follow(api: ConsoleApi, tsi: str) -> int:
    """Show a session until it ends; the exit code that it deserves."""
    console = output_console()
    shown = _Shown(console)
    view = await api.get(f"sessions/{tsi}", SessionView)
    with Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else nullcontext() as live:
        while view.step is not SessionStep.ENDED:
            async for attempt in AsyncRetrying(
                retry=retry_if_exception_type(TransportError),
                wait=wait_fixed(LOOK_AGAIN),
                stop=stop_after_delay(PATIENCE),
                reraise=True,
            ):
                with attempt:
                    async for view in api.events(f"events/sessions/{tsi}", SessionView):
                        if live is None:
                            shown.happenings(view)
                        else:
                            live.update(session_picture(view), refresh=True)
                        if view.step is SessionStep.ENDED:
                            break
    console.print(session_picture(view))
    return exit_code(view)


class _Shown:
    """Tells what happened in lines, each once, where there is no terminal to draw on."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._told: set[tuple[float, str]] = set()

    def happenings(self, view: SessionView) -> None:
        """Tell what is new."""
        for each in view.happenings:
            if (each.at, each.text) not in self._told:
                self._told.add((each.at, each.text))
                self._console.print(one_line(each.text), markup=False, highlight=False)


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


def _image(text: str) -> dict[str, object]:
    name, _, version = text.partition("@")
    if version and not (version.isascii() and version.isdigit() and int(version)):
        raise ConfigError(f"image {text[:80]!r}: write NAME, or NAME@VERSION with a version from 1 on")
    return {"image": name, "version": int(version or 0)}
