from pathlib import Path
from typing import Any

import pytest

from dashboards.fleet.views import SessionView
from dashboards.user import Role
from protocol.errors import ConfigError, RefusedError
from slatecast.cli.console_command import talk, the_console
from slatecast.console_api import ConsoleAddress
from tests.slatecast.played_console import listening_console


def the(**given: Any) -> ConsoleAddress:
    options = {"url": None, "api_token_file": None, "ca_file": None, "state": None, "config_file": None}
    return the_console(**{**options, **given})


def list_sessions(address: ConsoleAddress) -> list[SessionView]:
    return talk(address, lambda api: api.get("sessions", list[SessionView]))


def test_a_folder_without_a_console(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="console"):
        the(state=tmp_path)


@pytest.mark.system
@pytest.mark.slow
def test_with_a_token_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with listening_console(tmp_path) as console:
        file = tmp_path / "token"
        file.write_text(console.token(Role.VIEWER))
        file.chmod(0o600)
        assert list_sessions(the(url=console.url, api_token_file=str(file))) == []
        monkeypatch.setenv("SLATECAST_API_TOKEN", console.token(Role.VIEWER))
        assert list_sessions(the(url=console.url)) == []
        monkeypatch.setenv("SLATECAST_API_TOKEN", "wrong")
        with pytest.raises(RefusedError):
            list_sessions(the(url=console.url))


@pytest.mark.system
@pytest.mark.slow
def test_the_state_is_found_by_the_configuration_of_the_service(tmp_path: Path) -> None:
    with listening_console(tmp_path) as console:
        file = tmp_path / "slatecast.toml"
        file.write_text(f'[console]\nstate = "{console.state}"\n')
        assert list_sessions(the(config_file=file)) == []
        file.write_text("[console]\nstaet = 1\n")
        with pytest.raises(ConfigError, match="'staet' is no key here"):
            the(config_file=file)
