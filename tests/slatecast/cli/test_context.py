from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from slatecast.cli.context import Context, default_keys, default_library, keys_option, library_option


@click.command()
@library_option
@click.pass_obj
def show(context: Context) -> None:
    """Print the library."""
    click.echo(context.library)


@click.command()
@keys_option
@click.pass_obj
def show_keys(context: Context) -> None:
    """Print the folder of the keys."""
    click.echo(context.keys)


@pytest.mark.parametrize(("arguments", "folder"), [([], "/before"), (["--keys", "/behind"], "/behind")])
def test_the_keys_behind_a_command_come_before_those_before_it(arguments: list[str], folder: str) -> None:
    result = CliRunner().invoke(show_keys, arguments, obj=Context(Path("/library"), Path("/before")))
    assert result.output == f"{folder}\n"


@pytest.mark.parametrize(
    ("config_home", "folder"),
    [
        ("/etc", "/etc/slatecast/keys"),
        ("", "/home/ada/.config/slatecast/keys"),
        ("not/absolute", "/home/ada/.config/slatecast/keys"),
    ],
)
def test_the_default_keys_are_in_the_users_configuration(
    monkeypatch: pytest.MonkeyPatch, config_home: str, folder: str
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", config_home)
    monkeypatch.setenv("HOME", "/home/ada")
    assert default_keys() == Context(Path("/library")).keys == Path(folder)


@pytest.mark.parametrize(("arguments", "library"), [([], "/before"), (["--library", "/behind"], "/behind")])
def test_the_library_behind_a_command_comes_before_the_one_before_it(arguments: list[str], library: str) -> None:
    result = CliRunner().invoke(show, arguments, obj=Context(Path("/before")))
    assert result.output == f"{library}\n"


def test_a_file_is_no_library(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert CliRunner().invoke(show, ["--library", str(tmp_path / "file")], obj=Context(tmp_path)).exit_code == 2


@pytest.mark.parametrize(
    ("data_home", "library"),
    [
        ("/data", "/data/slatecast/library"),
        ("", "/home/ada/.local/share/slatecast/library"),
        ("not/absolute", "/home/ada/.local/share/slatecast/library"),
    ],
)
def test_the_default_is_in_the_users_data_folder(monkeypatch: pytest.MonkeyPatch, data_home: str, library: str) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", data_home)
    monkeypatch.setenv("HOME", "/home/ada")
    assert default_library() == Path(library)
