import click
import pytest

from slatecast.cli.boot import boot


def test_every_subcommand_is_one() -> None:
    context = click.Context(boot)
    names = boot.list_commands(context)
    assert {"build", "iso"} <= set(names)
    for name in names:
        command = boot.get_command(context, name)
        assert command is not None
        assert command.name == name


@pytest.mark.parametrize("name", ["", "os", "../build", "none"])
def test_nothing_else_is_imported(name: str) -> None:
    assert boot.get_command(click.Context(boot), name) is None
