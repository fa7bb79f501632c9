"""Command injection, path tricks and nonsense through every parameter of every command.

FOG CVE-2024-39914, CVE-2025-58443, CVE-2026-24138: texts of strangers reached a shell. The commands and parameters come
from the program itself; a new command fails here until it has a line in ``GIVEN``.
"""

import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from broadcaster.keys import KeyStore
from broadcaster.library.adding import add_image
from broadcaster.library.library import Library
from protocol.errors import ConfigError, SlatecastError
from slatecast.__main__ import main, slatecast
from slatecast.cli import cast as cast_module
from slatecast.cli import demo as demo_module
from slatecast.cli import seat as seat_module
from slatecast.serving import service as service_module
from tests.attacks import hostile
from tests.broadcaster.library.disks import MIB, needs, noise, run

pytestmark = [pytest.mark.slow]

CONSOLE = {"url": "https://127.0.0.1:1", "api_token_file": "token.txt"}

GIVEN: dict[str, dict[str, str]] = {
    "audit show": {},
    "audit verify": {},
    "boot build": {"suite": "12", "mirrors": "ftp://nowhere"},  # never both good, so nothing is ever built
    "boot iso": {"environment": "nothing", "output": "out.iso"},
    "boot serve": {"folder": "nothing", "interface": "lo"},  # never an environment, so nothing is ever served
    "capture": {"name": "new", "target": "seat.disk", "server": "127.0.0.1:1", "wait": "0", "interface": "lo"},
    "cast": {"image": "lab", "interface": "lo", "wait": "0"},
    "configuration check": {"what": "lab.toml"},
    "configuration list": {},
    "config check": {"file": "serve.toml"},
    "config init": {"file": "new.toml"},
    "demo": {},
    "image add": {"source": "source.img", "name": "new"},
    "image capture": {**CONSOLE, "machine": "pc", "name": "new"},
    "image extract": {"reference": "lab", "path": "/0/etc", "destination": "taken-out"},
    "image files": {"reference": "lab", "path": "/0/etc"},
    "image export": {"reference": "lab", "file": "out.raw"},
    "image list": {},
    "image remove": {"reference": "lab@7"},
    "image shrink": {"reference": "lab", "size": "smallest"},
    "image show": {"reference": "lab"},
    "image sign": {"reference": "lab"},
    "image verify": {"reference": "lab"},
    "keys export-trust": {"file": "trust.json"},
    "keys init": {},
    "keys mosquitto": {"folder": "mosquitto"},
    "keys revoke": {"name": "nothing", "yes": ""},
    "keys rotate director": {},
    "keys rotate image": {},
    "keys show": {},
    "receive": {"target": "seat.disk", "server": "127.0.0.1:1", "wait": "0", "interface": "lo"},
    "report verify": {"file": "report.json"},
    "restore": {**CONSOLE, "seat": "desk", "wait": "0", "yes": ""},
    "seat": {"command_line": "serve.toml"},
    "serve": {"interface": "lo", "listen": "127.0.0.1", "state": "state"},
    "session list": CONSOLE,
    "session start": {**CONSOLE, "image": "lab", "room": "Lab", "expect": "1", "yes": ""},
    "session stop": {**CONSOLE, "tsi": "0" * 16, "yes": ""},
    "session watch": {**CONSOLE, "tsi": "0" * 16},
}
"""What each command needs beside the parameter that is attacked."""

ALL_TEXTS = (*hostile.COMMANDS, *hostile.PATHS, *hostile.URLS, *hostile.MARKUP, *hostile.CONTROL, *hostile.LONG)
TEXTS = tuple(text for text in ALL_TEXTS if "\0" not in text)
"""What a command line can hold."""


def commands(group: click.Group, context: click.Context, prefix: str = "") -> Iterator[tuple[str, click.Command]]:
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from commands(command, context, f"{prefix}{name} ")
        elif command is not None:
            yield prefix + name, command


COMMANDS = dict(commands(slatecast, click.Context(slatecast)))
PARAMETERS = [
    (name, parameter.name)
    for name, command in COMMANDS.items()
    for parameter in command.params
    if parameter.name is not None and not getattr(parameter, "is_flag", False)
]


def argv_of(command: str, attacked: str, text: str) -> list[str]:
    values = {**GIVEN[command], attacked: text}
    options: list[str] = []
    arguments: list[str] = []
    for parameter in COMMANDS[command].params:
        if parameter.name not in values:
            continue
        if isinstance(parameter, click.Argument):
            arguments.append(values[parameter.name])
        elif getattr(parameter, "is_flag", False):
            options.append(parameter.opts[0])
        else:
            options.append(f"{parameter.opts[0]}={values[parameter.name]}")
    return [*command.split(), *options, "--", *arguments]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All that the commands work on, made once."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "source.img").write_bytes(noise(1, MIB))
    (folder / "seat.disk").write_bytes(bytes(MIB))
    (folder / "report.json").write_text("{}")
    (folder / "serve.toml").write_text("")
    (folder / "lab.toml").write_text('[hostname]\nname = "{{ image }}"\n')
    (folder / "token.txt").write_text("no token")
    signer = KeyStore.open_or_create(folder / "keys").image
    add_image(Library.open_or_create(folder / "library"), folder / "source.img", "lab", signer=signer)
    return folder


@pytest.fixture
def place(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, which is the current folder."""
    here = tmp_path / "here"
    shutil.copytree(made, here)
    for name in [name for name in os.environ if name.startswith("SLATECAST_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(here / "home"))
    monkeypatch.setenv("XDG_STATE_HOME", str(here / "state"))
    monkeypatch.chdir(here)
    return here


def call(place: Path, argv: list[str]) -> BaseException | None:
    """What the command ends with, if that is an error that the program knows."""
    given = ["--library", str(place / "library"), "--keys", str(place / "keys")]
    try:
        slatecast.main([*given, *argv], standalone_mode=False, prog_name="slatecast")
    except (SlatecastError, click.ClickException, click.Abort) as error:
        return error
    except OSError as error:  # for which the program has words, see below
        if error.errno != errno.ENAMETOOLONG:
            raise
        return error
    return None


def test_a_path_that_is_too_long_is_told_in_one_line(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for argv in (["image", "list", "--library"], ["report", "verify", "a", "--keys"]):
        monkeypatch.setattr("sys.argv", ["slatecast", *argv, "x" * 5000])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert "File name too long; choose a shorter one" in line
        assert len(line) < 200
    assert place.is_dir()


def test_every_command_is_attacked() -> None:
    assert set(GIVEN) == set(COMMANDS), "say in GIVEN what the new command needs"
    assert len(PARAMETERS) > 40


@pytest.mark.parametrize(("command", "parameter"), PARAMETERS, ids=str)
def test_fog_cve_2024_39914_no_text_reaches_a_shell(
    place: Path,
    command: str,
    parameter: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def stop(*_arguments: object) -> None:
        raise ConfigError("everything before the cast was done")

    monkeypatch.setattr(cast_module, "run_cast", stop)
    monkeypatch.setattr(demo_module, "run_cast", stop)
    monkeypatch.setattr(service_module, "Service", stop)
    monkeypatch.setattr(seat_module, "SeatProgram", stop)
    outside = {path: path.stat().st_mtime_ns for path in place.parent.iterdir()}
    for text in TEXTS:
        error = call(place, argv_of(command, parameter, text))
        if error is not None:
            assert len(str(error)) < 10_000 or len(text) > 10_000
    capsys.readouterr()
    assert not list(place.rglob(hostile.PWNED))
    assert {path: path.stat().st_mtime_ns for path in place.parent.iterdir()}.keys() == outside.keys()


@pytest.mark.parametrize(("command", "parameter"), PARAMETERS, ids=str)
def test_a_configuration_can_hold_no_more_than_a_command_line(place: Path, command: str, parameter: str) -> None:
    """TOML can write every character."""
    option = next(one for one in COMMANDS[command].params if one.name == parameter).opts[0].lstrip("-")
    file = place / "attack.toml"
    file.write_text(f'[{command.replace(" ", ".")}]\n{option} = "a\\u0000b"\n')
    error = call(place, ["--config", str(file), *argv_of(command, "", "")])
    assert isinstance(error, click.UsageError)
    assert "must not hold a NUL character" in error.message


@needs("qemu-img", "qemu-utils")
@pytest.mark.parametrize("name", ["$(touch pwned).img", "; touch pwned #.img", "-f raw.img", "nbd:127.0.0.1:1", "`a`"])
def test_fog_cve_2025_58443_a_hostile_file_name_is_a_name(place: Path, name: str) -> None:
    raw, virtual = place / name, place / f"{name}.qcow2"
    raw.write_bytes((place / "source.img").read_bytes())
    run("qemu-img", "convert", "-f", "raw", "-O", "qcow2", str(raw), str(virtual))
    for source, image in ((raw, "one"), (virtual, "two")):
        assert call(place, ["image", "add", "--name", image, "--", source.name]) is None
        assert call(place, ["image", "export", "--", image, f"out {name} {image}"]) is None
        assert (place / f"out {name} {image}").read_bytes() == raw.read_bytes()
    assert not list(place.rglob(hostile.PWNED))
