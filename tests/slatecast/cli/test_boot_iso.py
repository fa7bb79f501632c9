from collections.abc import Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from protocol.errors import ConfigError
from slatecast.cli import boot_iso
from slatecast.cli.boot_iso import iso
from tests.broadcaster.environment.small_environment import small_environment


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Path, Path, Sequence[str], bool]]:
    asked: list[tuple[Path, Path, Sequence[str], bool]] = []

    def write_boot_image(folder: Path, output: Path, arguments: Sequence[str], *, has_serial: bool) -> int:
        asked.append((folder, output, arguments, has_serial))
        return 1_000_000

    monkeypatch.setattr(boot_iso, "write_boot_image", write_boot_image)
    return asked


def call(*arguments: str) -> Result:
    return CliRunner().invoke(iso, arguments)


def test_without_options(
    made: list[tuple[Path, Path, Sequence[str], bool]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert call().stdout == "slatecast.iso: 1.0 MB\n"
    assert made == [(tmp_path / "slatecast/boot", Path("slatecast.iso"), ["slatecast.mode=receive"], False)]


def test_arguments_of_the_kernel(made: list[tuple[Path, Path, Sequence[str], bool]]) -> None:
    result = call("--server", "[fd00::1]", "--seat", "Platz 7; ä", "--mode", "capture", "--serial")
    assert result.exit_code == 0, result.exception
    assert made[0][2:] == (
        ["slatecast.mode=capture", "slatecast.server=[fd00::1]:8884", "slatecast.seat=Platz%207%3B%20%C3%A4"],
        True,
    )


@pytest.mark.parametrize("server", ["", "a b", "host:0", "host:port", "a;b c"])
def test_no_server(made: list[tuple[Path, Path, Sequence[str], bool]], server: str) -> None:
    assert isinstance(call("--server", server).exception, ConfigError)
    assert not made


def test_a_server_that_is_a_line_of_the_menu(tmp_path: Path) -> None:
    small_environment(tmp_path / "boot")
    error = call("--environment", str(tmp_path / "boot"), "--output", str(tmp_path / "x"), "--server", "a;{}").exception
    assert isinstance(error, ConfigError)
    assert not (tmp_path / "x").exists()
