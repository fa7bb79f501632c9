import errno
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import slatecast.__main__ as front_door
from protocol.errors import (
    ConfigError,
    DiskError,
    IntegrityError,
    LibraryError,
    SourceError,
    TargetError,
    TransportError,
)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """Run the front door with a command ``work`` that does what it is given; gives exit code and standard error."""

    def run(work: Callable[[], int | None], *arguments: str) -> tuple[int, str]:
        @click.command()
        @click.option("--count", type=int)
        def command(count: int | None) -> int | None:
            return work()

        monkeypatch.setattr(front_door._Commands, "get_command", lambda *_: command)
        monkeypatch.setattr(sys, "argv", ["slatecast", *(arguments or ("work",))])
        with pytest.raises(SystemExit) as ended:
            front_door.main()
        assert isinstance(ended.value.code, int)
        return ended.value.code, capsys.readouterr().err

    return run


def failing(error: BaseException) -> Callable[[], int]:
    def work() -> int:
        raise error

    return work


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError("text"), 2),
        (TargetError("/dev/sda", "text"), 3),
        (SourceError("disk.img", "text"), 3),
        (LibraryError("text"), 3),
        (DiskError("/dev/sda", "write", "text", 512), 4),
        (IntegrityError("text", bytes(32), bytes(32)), 5),
        (TransportError("text"), 6),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_an_error_is_one_line_and_a_documented_code(
    run: Callable[..., tuple[int, str]], error: Exception, code: int
) -> None:
    assert run(failing(error)) == (code, f"slatecast: {error}\n")


def test_a_text_of_several_lines_becomes_one(run: Callable[..., tuple[int, str]]) -> None:
    assert run(failing(LibraryError("one\ntwo"))) == (3, "slatecast: one two\n")


@pytest.mark.parametrize("code", [0, 3, 4, None])
def test_a_command_chooses_its_code(run: Callable[..., tuple[int, str]], code: int | None) -> None:
    assert run(lambda: code) == (code or 0, "")


@pytest.mark.parametrize(
    ("environment", "text", "arguments", "folder"),
    [
        ({}, None, [], "/home/ada/.config/slatecast/keys"),
        ({}, 'keys = "/file"', [], "/file"),
        ({"SLATECAST_KEYS": "/environment"}, 'keys = "/file"', [], "/environment"),
        ({"SLATECAST_KEYS": "/environment"}, 'keys = "/file"', ["--keys", "/typed"], "/typed"),
    ],
    ids=["default", "file", "environment", "command line"],
)
def test_where_the_keys_are(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    environment: dict[str, str],
    text: str | None,
    arguments: list[str],
    folder: str,
) -> None:
    """The group ``keys`` and the option ``--keys`` share a word: neither may take the other's place in a file."""
    monkeypatch.setenv("HOME", "/home/ada")
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    if text is not None:
        (tmp_path / "config.toml").write_text(text)
        arguments = ["--config", str(tmp_path / "config.toml"), *arguments]
    result = CliRunner().invoke(front_door.slatecast, [*arguments, "keys", "show"], env=environment)
    assert isinstance(result.exception, ConfigError)
    assert str(result.exception).startswith(f"no keys in {folder}:")


def test_the_options_of_the_keys_commands_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("[keys.show]\njson = true\n")
    arguments = ["--config", str(tmp_path / "config.toml"), "--keys", str(tmp_path / "keys"), "keys"]
    assert CliRunner().invoke(front_door.slatecast, [*arguments, "init"]).exit_code == 0
    shown = CliRunner().invoke(front_door.slatecast, [*arguments, "show"]).stdout
    assert json.loads(shown)["absent"] == []


def test_interruption(run: Callable[..., tuple[int, str]]) -> None:
    code, said = run(failing(KeyboardInterrupt()))
    assert (code, said.strip()) == (130, "slatecast: interrupted")


def test_usage_errors_name_the_help(run: Callable[..., tuple[int, str]]) -> None:
    code, said = run(lambda: 0, "work", "--count", "many")
    assert code == 2
    assert said.startswith("slatecast: Invalid value for '--count'")
    assert said.endswith("(see 'slatecast work --help')\n")


def test_a_bug_is_loud(run: Callable[..., tuple[int, str]]) -> None:
    with pytest.raises(ZeroDivisionError):
        run(failing(ZeroDivisionError()))


def test_an_operating_system_error_is_a_bug_unless_it_is_a_closed_pipe(run: Callable[..., tuple[int, str]]) -> None:
    with pytest.raises(PermissionError):
        run(failing(PermissionError(errno.EACCES, "denied")))


@pytest.mark.system
@pytest.mark.slow
class TestProcess:
    def test_without_a_command_it_explains_itself(self) -> None:
        ran = self.slatecast()
        assert ran.returncode == 2
        for command in ("cast", "demo", "image", "keys", "receive"):
            assert f"  {command} " in ran.stderr

    @pytest.mark.parametrize("argument", ["--help", "-h", "--version"])
    def test_help_is_no_error(self, argument: str) -> None:
        ran = self.slatecast(argument)
        assert (ran.returncode, ran.stderr) == (0, "")
        assert "slatecast" in ran.stdout

    @pytest.mark.parametrize("command", ["cast", "demo", "image", "keys", "receive"])
    def test_every_command_explains_itself(self, command: str) -> None:
        ran = self.slatecast(command, "--help")
        assert (ran.returncode, ran.stderr) == (0, "")
        assert ran.stdout.startswith(f"Usage: slatecast {command} ")

    def test_a_reader_that_leaves_is_no_error_worth_a_line(self) -> None:
        process = subprocess.Popen(
            [sys.executable, "-m", "slatecast", "cast", "--help"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        process.stdout.close()
        _, said = process.communicate(timeout=30)
        assert "Traceback" not in said

    @staticmethod
    def slatecast(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "slatecast", *arguments]
        return subprocess.run(command, check=False, capture_output=True, text=True, timeout=30)
