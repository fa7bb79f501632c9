"""Where options come from: the command line, then SLATECAST_*, then the TOML file (DESIGN.md section 11)."""

from pathlib import Path

import pytest

from tests.end_to_end.room import Room

pytestmark = [pytest.mark.system, pytest.mark.slow]


@pytest.fixture
def config(room: Room) -> Path:
    path = room.folder / "slatecast.toml"
    path.write_text(f'library = "{room.library}"\n[cast]\nrate = "10M"\ninterface = "lo"\nwait = 0\n')
    return path


@pytest.mark.parametrize(
    ("environment", "options", "rate"),
    [
        ({}, (), "10 Mbit/s"),
        ({"SLATECAST_CAST_RATE": "20M"}, (), "20 Mbit/s"),
        ({"SLATECAST_CAST_RATE": "20M"}, ("--rate", "30M"), "30 Mbit/s"),
        ({}, ("--rate", "30M"), "30 Mbit/s"),
    ],
    ids=["file", "environment before file", "command line before both", "command line before file"],
)
def test_precedence(room: Room, config: Path, environment: dict[str, str], options: tuple[str, ...], rate: str) -> None:
    cast = room.start("--config", config, "cast", room.source(), *options, environment=environment)
    assert cast.finish() == 3
    assert cast.errors.until(" at ([0-9]+ Mbit/s), ")[1] == rate
    assert room.library.is_dir()


def test_the_config_file_may_be_named_by_the_environment(room: Room, config: Path) -> None:
    cast = room.start("cast", room.source(), environment={"SLATECAST_CONFIG": str(config)})
    assert cast.finish() == 3
    assert "at 10 Mbit/s" in cast.errors.text


def test_the_library_of_the_environment_comes_before_that_of_the_file(room: Room, config: Path) -> None:
    environment = {"SLATECAST_LIBRARY": str(room.folder / "other")}
    assert room.start("--config", config, "cast", room.source(), environment=environment).finish() == 3
    assert (room.folder / "other").is_dir()
    assert not room.library.exists()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[cast\n", "is not a TOML file"),
        ("[sing]\nkey = 1\n", "bad.toml: sing is neither an option nor a table of options"),
        ("cast = 3\n", "bad.toml: cast is neither an option nor a table of options"),
        ("[cast]\nloudness = 3\n", "bad.toml: cast.loudness is neither"),
        ("[cast.rate]\nhigh = 3\n", "bad.toml: cast.rate is neither"),
        ("[image.add]\nlevels = 3\n", "bad.toml: image.add.levels is neither"),
        ("library = [3]\n", "bad.toml: library must be a text or a number"),
        ('[cast]\nrate = "fast"\n', "'fast' is not a rate"),
        ("[cast]\nrate = 9\n", "'9' is only 9 bit/s"),
        ("[cast]\nmetrics-port = 70000\n", "70000"),
    ],
)
def test_a_bad_config_file_is_one_line(room: Room, text: str, reason: str) -> None:
    path = room.folder / "bad.toml"
    path.write_text(text)
    assert reason in room.start("--config", path, "cast", "image", "--interface", "lo").complaint(2)
