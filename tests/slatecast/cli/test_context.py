from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from slatecast.cli.context import Context, default_library, library_option


@click.command()
@library_option
@click.pass_obj
def show(context: Context) -> None:
    """Print the library."""
    click.echo(context.library)


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
