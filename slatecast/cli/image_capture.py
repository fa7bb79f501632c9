"""``slatecast image capture``: let a machine that is there send its disk into the library, over a console.

It does what the page does, over the same API and with the same rights.
"""

import asyncio
from typing import Any, Final

import click
import msgspec

from dashboards.fleet.capture_view import CaptureView
from protocol.capture import CaptureStep
from protocol.errors import RefusedError
from slatecast.cli.console_command import console_options, talk, the_console
from slatecast.cli.progress import progress_bars
from slatecast.console_api import ConsoleApi

LOOK_SECONDS: Final = 1.0
"""[s] between two looks at a capture: as often as the broadcaster tells of it"""

MISSED_LOOKS: Final = 10
"""[looks] that do not find the capture, before it is given up: the console hears of a new one within 2 s"""


class _Ordered(msgspec.Struct):
    """What the console answers."""

    capture_ids: tuple[str, ...]


@click.command()
@click.argument("machine")
@click.option("--name", required=True, help="Name of the image; a name that is there gets a new version.")
@click.option(
    "--accept", "accepts", metavar="CODE", multiple=True, help="Finding that does not refuse it; may be given again."
)
@click.option("--no-wait", is_flag=True, help="Only order it.")
@console_options
def capture(machine: str, *, name: str, accepts: tuple[str, ...], no_wait: bool, **where: Any) -> None:
    """Capture the disk of MACHINE, which has booted the environment, into the library."""
    order = {"machine": machine, "image": name, "accepts": list(accepts)}

    async def work(api: ConsoleApi) -> CaptureView | None:
        ordered = await api.post("captures", order, _Ordered)
        if ordered is None or not ordered.capture_ids:
            raise RefusedError("the broadcaster has not said which capture that is: look at the console")
        return None if no_wait else await _end_of(api, ordered.capture_ids[0])

    ended = talk(the_console(**where), work)
    if ended is None:
        click.echo(f"the capture of {machine} is ordered: its image will be {name}")
    elif ended.step is CaptureStep.DONE:
        click.echo(f"captured {machine}: image {ended.image}, version {ended.version}")
        if ended.findings:
            click.echo(f"{ended.findings} things were found on the disk: the console lists them", err=True)
    else:
        raise RefusedError(f"the capture of {machine} is {ended.step}: {ended.reason or 'look at the console'}")


async def _end_of(api: ConsoleApi, capture_id: str) -> CaptureView:
    """The capture once it has ended; tells how far it is until then."""
    missed, said = 0, ""
    with progress_bars() as show:
        while True:
            shown = await api.get("captures", list[CaptureView])
            found = next((each for each in shown if each.capture_id == capture_id), None)
            missed = missed + 1 if found is None else 0
            if missed > MISSED_LOOKS:
                raise RefusedError("the console does not know the capture any more: look at the list of captures")
            if found is not None:
                if not found.is_open:
                    return found
                if found.reason != said:
                    said = found.reason
                    click.echo(said or "it goes on", err=True)
                # Of what is read, not of the disk: whose size is known at the end only.
                show(found.step.value, found.read_bytes, int(found.read_bytes / found.done) if found.done else 0)
            await asyncio.sleep(LOOK_SECONDS)
