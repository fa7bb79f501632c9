from pathlib import Path

from click.testing import CliRunner

from broadcaster.keys import KeyStore
from broadcaster.mosquitto import AUTHORITY, CONFIGURATION
from protocol.errors import ConfigError
from slatecast.cli.context import Context
from slatecast.cli.mosquitto import mosquitto


def test_configuration_is_of_the_keys_in_use(tmp_path: Path) -> None:
    context = Context(library=tmp_path / "no library", keys=tmp_path / "keys")
    result = CliRunner().invoke(mosquitto, [str(tmp_path / "broker"), "--port", "1234"], obj=context)
    assert result.exception is None, result.exception
    assert f"mosquitto -c {tmp_path / 'broker' / CONFIGURATION}" in result.stdout
    assert "--broker mqtts://HOST:1234" in result.stdout
    assert (tmp_path / "broker" / AUTHORITY).read_bytes() == KeyStore.open(tmp_path / "keys").trust.authority
    assert "listener 1234\n" in (tmp_path / "broker" / CONFIGURATION).read_text()


def test_folder_in_use_is_refused(tmp_path: Path) -> None:
    context = Context(library=tmp_path / "no library", keys=tmp_path / "keys")
    (tmp_path / "mine").touch()
    result = CliRunner().invoke(mosquitto, [str(tmp_path)], obj=context)
    assert isinstance(result.exception, ConfigError)
