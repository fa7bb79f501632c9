from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from protocol.errors import ConfigError
from slatecast.cli.config import config
from slatecast.serving.settings import Settings, read_settings
from tests.end_to_end.room import free_port


def run(*arguments: str) -> Result:
    return CliRunner().invoke(config, arguments, standalone_mode=False)


def test_what_is_written_is_good(tmp_path: Path) -> None:
    file = tmp_path / "slatecast.toml"
    assert "slatecast serve --config" in run("init", str(file)).output
    assert read_settings(file) == Settings()
    assert file.stat().st_mode & 0o007 == 0
    assert run("check", "--file-only", str(file)).output == f"{file}: good\n"


def test_nothing_is_overwritten_unless_it_is_meant(tmp_path: Path) -> None:
    file = tmp_path / "slatecast.toml"
    file.write_text("mine")
    ran = run("init", str(file))
    assert isinstance(ran.exception, ConfigError)
    assert str(ran.exception) == f"{file} is there already: choose another name, or give --force"
    assert file.read_text() == "mine"
    assert run("init", "--force", str(file)).exception is None
    assert read_settings(file) == Settings()


def test_where_nothing_can_be_written(tmp_path: Path) -> None:
    ran = run("init", str(tmp_path / "nowhere/slatecast.toml"))
    assert isinstance(ran.exception, ConfigError)
    assert "No such file or directory" in str(ran.exception)


def test_every_fault_of_the_machine_is_a_line(tmp_path: Path) -> None:
    file = tmp_path / "slatecast.toml"
    ports = [free_port() for _ in range(3)]
    (tmp_path / "plain").write_text("")
    file.write_text(
        f"[broadcaster]\ninterface = 'lo'\nport = {ports[0]}\nlibrary = '{tmp_path / 'plain'}'\n"
        f"keys = '{tmp_path / 'plain'}'\n[broker]\nport = {ports[1]}\n"
        f"[console]\nport = {ports[2]}\nstate = '{tmp_path / 'state'}'\n"
    )
    ran = run("check", str(file))
    assert isinstance(ran.exception, ConfigError)
    assert ran.stderr.startswith(f"{file}: [broadcaster] library: ")
    assert str(ran.exception).startswith(f"{file}: [broadcaster] keys: ")
    assert run("check", "--file-only", str(file)).exception is None


@pytest.mark.parametrize("text", ["x = 1", "[console]\nport = 'x'", "\0"])
def test_a_fault_of_the_file_is_a_line(tmp_path: Path, text: str) -> None:
    file = tmp_path / "slatecast.toml"
    file.write_text(text)
    assert isinstance(run("check", str(file)).exception, ConfigError)
