from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from broadcaster.configurations.shelf import CONFIGURATIONS_FOLDER
from protocol.errors import ConfigError
from slatecast.cli.configuration import configuration
from slatecast.cli.context import Context
from tests.end_to_end.room import ROOT

EXAMPLE = ROOT / "docs/examples/lab.toml"


def invoked(folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(configuration, arguments, obj=Context(library=folder), catch_exceptions=False)


@pytest.fixture
def library(tmp_path: Path) -> Path:
    (tmp_path / CONFIGURATIONS_FOLDER).mkdir()
    (tmp_path / CONFIGURATIONS_FOLDER / "room.toml").write_text('[hostname]\nname = "{{ seat }}-{{ image }}"\n')
    return tmp_path


def test_the_names_of_a_library(library: Path, tmp_path: Path) -> None:
    assert invoked(library, "list").output == "room\n"
    assert "there is none in" in invoked(tmp_path / "none", "list").output


def test_what_would_be_done(library: Path) -> None:
    said = invoked(library, "check", "room", "--seat", "a", "--seat", "b", "--image", "deb").output
    assert said == "a: 1 steps, then reboot\n  hostname: name a-deb\nb: 1 steps, then reboot\n  hostname: name b-deb\n"


def test_the_example_is_made_for_the_seats_that_it_names_without_its_secrets(tmp_path: Path) -> None:
    said = invoked(tmp_path, "check", str(EXAMPLE)).output
    assert said.startswith("pc-07: 10 steps, then reboot\n  grow: partition 0\n")
    assert "hostname: name teacher.lab.example" in said
    assert "not-a-real-key" not in said


@pytest.mark.parametrize("what", ["none", "none.toml", "../room"])
def test_one_that_is_not_there_is_told(library: Path, what: str) -> None:
    with pytest.raises(ConfigError):
        invoked(library, "check", what)
