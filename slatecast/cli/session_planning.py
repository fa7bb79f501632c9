"""A session from the order to its end, as a terminal sees it: planned, shown, confirmed, started, followed."""

import asyncio
import sys
from collections.abc import Mapping
from contextlib import nullcontext
from typing import Annotated, Final

import click
import msgspec
from rich.console import Console
from rich.live import Live
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_delay, wait_fixed

from broadcaster.host.backup_gate import NOT_BACKED_UP
from dashboards.desk_rules import to_overwrite
from dashboards.fleet.capture_view import CaptureView
from dashboards.fleet.views import SeatState, SessionView
from protocol.errors import ConfigError, RefusedError, SlatecastError, TransportError
from protocol.operators import SessionStep
from slatecast.cli.console_command import talk
from slatecast.cli.proof import one_line
from slatecast.cli.session_display import exit_code, is_plan_complete, plan_table, session_picture
from slatecast.cli.tables import output_console
from slatecast.console_api import ConsoleAddress, ConsoleApi

LOOK_AGAIN: Final = 1.0
"""[s] between two tries to reach a console that is started again, or to start a plan whose backups are being made"""

PATIENCE: Final = 30.0
"""[s] in which a console that was there comes back"""

BACKUP_NEWS: Final = 5.0
"""[s] before a plan whose backups nobody makes is given up: the console hears of them within 2 s"""

Tsi = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{16}\Z")]


class _Planned(msgspec.Struct, frozen=True):
    tsi: Tsi


def judge_confirmation(expect: int | None, *, yes: bool) -> None:
    """Make sure that somebody confirms what will be overwritten, here or in the command.

    Raises:
        ConfigError: nobody can.
    """
    if yes and expect is None:
        raise ConfigError("--yes needs --expect: the number of machines that will be overwritten")
    if not yes and not somebody_is_there():
        raise ConfigError("nobody can be asked: give --expect and --yes to overwrite without asking")


def plan_and_start(
    address: ConsoleAddress, order: Mapping[str, object], *, expect: int | None, wait: float, yes: bool
) -> str:
    """Order a plan, show it, let it be confirmed and start it; its tsi. Without confirmation it is dropped.

    Args:
        address: of the console.
        order: what POST /sessions takes.
        expect: how many seats must be overwritten; None asks.
        wait: seconds for seats that have not joined the plan.
        yes: whether not to ask.

    Raises:
        SlatecastError: it is refused, or the console cannot be reached; nothing was written.
    """
    tsi = talk(address, lambda api: _planned(api, order))
    try:
        view = talk(address, lambda api: _settled_plan(api, tsi, expect, wait))
        output_console().print(plan_table(view))
        # Asked outside of any event loop, which would not let Ctrl-C through.
        typed_room, typed_count = _confirmed(view, expect, yes)
        typed = {"typed_room": typed_room, "typed_count": typed_count}
        talk(address, lambda api: _start(api, view, typed))
    except BaseException:
        _drop(address, tsi)
        raise
    click.echo(f"session {tsi} has started")
    return tsi


async def follow(api: ConsoleApi, tsi: str) -> int:
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


def somebody_is_there() -> bool:
    """Whether a person can be asked."""
    return sys.stdin.isatty()


def _drop(address: ConsoleAddress, tsi: str) -> None:
    """Drop a plan because of an error, which is to be told whether this succeeds or not."""
    try:
        talk(address, lambda api: api.post(f"sessions/{tsi}/stop"))
        click.echo("the plan was dropped; nothing was written", err=True)
    except SlatecastError:
        click.echo(f"the plan could not be dropped: 'slatecast session stop {tsi}' does it", err=True)


async def _planned(api: ConsoleApi, order: object) -> str:
    """The tsi of a new plan."""
    planned = await api.post("sessions", order, _Planned)
    assert planned is not None
    return planned.tsi


async def _start(api: ConsoleApi, view: SessionView, typed: object) -> None:
    """Start a plan that was confirmed, once the backups that it waits for are in the library."""
    machines = {seat.machine for seat in view.seats}
    loop = asyncio.get_running_loop()
    deadline, said = loop.time() + BACKUP_NEWS, ""
    while True:
        try:
            await api.post(f"sessions/{view.tsi}/start", typed)
        except RefusedError as error:
            if not str(error).startswith(NOT_BACKED_UP):
                raise
            captures = await api.get("captures", list[CaptureView])
            is_running = any(each.is_open and each.is_backup and each.machine in machines for each in captures)
            if not is_running and loop.time() >= deadline:
                raise
            if str(error) != said:
                said = str(error)
                click.echo(said, err=True)
        else:
            return
        await asyncio.sleep(LOOK_AGAIN)


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


def image_order(text: str) -> dict[str, object]:
    """An image as operators write it, as fields of an order.

    Raises:
        ConfigError: neither NAME nor NAME@VERSION.
    """
    name, _, version = text.partition("@")
    if version and not (version.isascii() and version.isdigit() and int(version)):
        raise ConfigError(f"image {text[:80]!r}: write NAME, or NAME@VERSION with a version from 1 on")
    return {"image": name, "version": int(version or 0)}
