"""``slatecast configuration``: which there are, and whether what they would do to a disk can be made for each seat."""

from pathlib import Path

import click

from broadcaster.configurations.schema import read_configuration
from broadcaster.configurations.shelf import CONFIGURATIONS_FOLDER, ConfigurationShelf, example_facts
from protocol.configuration import AnyStep, files_of, name_of
from protocol.errors import ConfigError
from slatecast.cli.context import Context, library_option
from slatecast.cli.tables import output_console

EXAMPLE_IMAGE = "image"


@click.group()
def configuration() -> None:
    """What is done to disks once they are verified: names, identities, files, drivers, scripts."""


@configuration.command("list")
@library_option
@click.pass_obj
def list_configurations(context: Context) -> None:
    """List the configurations of the library."""
    folder = context.library / CONFIGURATIONS_FOLDER
    names = ConfigurationShelf(folder).names()
    if not names:
        click.echo(f"there is none in {folder}")
    for name in names:
        click.echo(name)


@configuration.command("check")
@click.argument("what", metavar="NAME|FILE")
@click.option("--seat", "seats", multiple=True, help="Seat to make it for; repeat it.  [default: those that it names]")
@click.option("--image", default=EXAMPLE_IMAGE, show_default=True, help="What {{ image }} stands for.")
@library_option
@click.pass_obj
def check_configuration(context: Context, what: str, seats: tuple[str, ...], image: str) -> None:
    """Make a configuration for seats, and print what would be done to their disks; nothing is written.

    NAME is one of the library, FILE a TOML file anywhere. Values of files and secrets are not printed.
    """
    shelf = ConfigurationShelf(context.library / CONFIGURATIONS_FOLDER)
    path = Path(what) if what.endswith(".toml") else shelf.path_of(what)
    if not path.name.endswith(".toml"):
        raise ConfigError(f"{path} is no configuration: its name must end with .toml")
    named = tuple(read_configuration(path).seats)
    renderer = shelf.renderer(path)
    console = output_console()
    for facts in example_facts(image, seats or named or ("pc-01",)):
        made = renderer.render(facts).configuration
        lines = [f"{facts.seat}: {len(made.steps)} steps, then {made.restart.value}"]
        lines += [f"  {_in_words(step)}" for step in made.steps]
        for line in lines:
            console.print(line, markup=False, highlight=False)


def _in_words(step: AnyStep) -> str:
    """A step in one line: what it is, what it says of itself, and how many files it brings."""
    skipped = {"files", "sets", "file", "unattend", "seed", "machine_id", "label", "on_error"}
    facts = [f"{field} {getattr(step, field)}" for field in step.__struct_fields__ if field not in skipped]
    files = files_of(step)
    named = ", ".join(file.path for file in files[:3]) + (f" and {len(files) - 3} more" if len(files) > 3 else "")
    return ": ".join(filter(None, (name_of(step), "; ".join(filter(None, (*facts, named))))))
