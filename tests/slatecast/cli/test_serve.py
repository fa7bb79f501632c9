import signal
from collections.abc import Set
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from protocol.errors import ConfigError
from slatecast.__main__ import slatecast
from slatecast.serving import service
from slatecast.serving.places import Places


class PlayedService:
    """Takes the place of the real one."""

    made: "list[tuple[Places, Set[str]]]"
    ended_by = signal.SIGTERM

    def __init__(self, places: Places, parts: Set[str], _say: Any) -> None:
        self.made.append((places, parts))

    async def run(self) -> signal.Signals:
        return self.ended_by


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> type[PlayedService]:
    monkeypatch.setattr(service, "Service", PlayedService)
    PlayedService.made = []
    return PlayedService


def run(*arguments: str, environment: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(slatecast, arguments, env=environment, standalone_mode=False)


def test_without_anything(played: type[PlayedService]) -> None:
    assert run("serve", "--interface", "lo").return_value == 0
    ((places, parts),) = played.made
    assert parts == {"broker", "broadcaster", "console", "netboot"}
    assert places.settings.console.port == 8443


def test_command_line_before_environment_before_file(played: type[PlayedService], tmp_path: Path) -> None:
    file = tmp_path / "slatecast.toml"
    file.write_text(
        "[broadcaster]\ninterface = 'lo'\nrate = '100M'\nmax_rate = '3G'\nlibrary = '/file'\n[console]\nport = 4000\n"
    )
    environment = {
        "SLATECAST_SERVE_RATE": "200M",
        "SLATECAST_SERVE_MAX_RATE": "4G",
        "SLATECAST_LIBRARY": "/environment",
    }
    ran = run("serve", "--config", str(file), "--max-rate", "5G", environment=environment)
    assert ran.exception is None
    settings = played.made[0][0].settings
    assert (settings.broadcaster.rate, settings.broadcaster.max_rate) == (200_000_000, 5_000_000_000)
    assert (settings.broadcaster.library, settings.console.port) == ("/environment", 4000)


def test_every_option_reaches_its_key(played: type[PlayedService], tmp_path: Path) -> None:
    ran = run(
        *("--keys", "/before", "serve", "--interface", "lo", "--token", "abcde", "--library", "/l", "--keys", "/k"),
        *("--state", "/s", "--port", "1", "--broker", "mqtts://x", "--ca-file", "/ca", "--listen", "127.0.0.1"),
        *("--broker-port", "6", "--console-port", "2", "--plain", "--metrics", "--metrics-port", "3"),
        *("--only", "console", "--only", "broker"),
    )
    assert ran.exception is None
    ((places, parts),) = played.made
    assert parts == {"console", "broker"}
    told = places.settings
    assert (told.broadcaster.token, told.broadcaster.library, told.broadcaster.keys) == ("abcde", "/l", "/k")
    assert (told.broadcaster.port, told.broadcaster.metrics_port, told.broker.port) == (1, 3, 6)
    assert (told.broker.address, told.broker.ca_file) == ("mqtts://x", "/ca")
    assert (told.console.listen, told.console.port, told.console.state) == ("127.0.0.1", 2, "/s")
    assert (told.console.https, told.console.metrics) == (False, True)


def test_keys_before_the_command_count_too(played: type[PlayedService]) -> None:
    run("--keys", "/before", "serve", "--interface", "lo")
    assert played.made[0][0].keys == Path("/before")


def test_a_token_on_the_command_line_comes_before_a_file_of_one(played: type[PlayedService], tmp_path: Path) -> None:
    file = tmp_path / "slatecast.toml"
    file.write_text("[broadcaster]\ntoken_file = '/nowhere'\ninterface = 'lo'\n")
    run("serve", "--config", str(file), environment={"SLATECAST_SERVE_TOKEN": "abcde"})
    assert played.made[0][0].token == "abcde"


def test_the_end_by_a_terminal_is_an_interruption(played: type[PlayedService], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PlayedService, "ended_by", signal.SIGINT)
    assert isinstance(run("serve", "--interface", "lo").exception, click.Abort)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--config", "/nowhere.toml"], "/nowhere.toml: No such file or directory"),
        (["--port", "8443"], "need ports of their own"),
        (["--rate", "2G", "--max-rate", "1G"], "is more than"),
        (["--broker", "http://x"], "the scheme must be mqtt or mqtts"),
    ],
)
def test_what_cannot_be_starts_nothing(played: type[PlayedService], arguments: list[str], text: str) -> None:
    ran = run("serve", "--interface", "lo", *arguments)
    assert isinstance(ran.exception, ConfigError)
    assert text in str(ran.exception)
    assert played.made == []
