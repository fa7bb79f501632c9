from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from broadcaster.environment.building import BuildSetting
from broadcaster.environment.description import Environment
from broadcaster.keys import KeyStore
from protocol.errors import ConfigError
from protocol.trust import encode_trust
from slatecast.cli import boot_build
from slatecast.cli.boot_build import build
from slatecast.cli.trust_file import write_trust
from tests.broadcaster.environment.small_environment import small_environment
from tests.slatecast.cli.trusted import trust_of


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Path, BuildSetting]]:
    asked: list[tuple[Path, BuildSetting]] = []

    def build_environment(output: Path, setting: BuildSetting, _say: object) -> Environment:
        asked.append((output, setting))
        return small_environment(output)

    monkeypatch.setattr(boot_build, "build_environment", build_environment)
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    return asked


def call(*arguments: str) -> Result:
    return CliRunner().invoke(build, arguments)


def test_without_options_the_users_data_folder(
    built: list[tuple[Path, BuildSetting]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    result = call()
    assert result.exit_code == 0
    assert built == [(tmp_path / "slatecast/boot", BuildSetting(mirrors=()))]
    assert "Debian 12.1, kernel 6.1.0-1-amd64" in result.stdout


def test_options_reach_the_build(
    built: list[tuple[Path, BuildSetting]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trust = trust_of(KeyStore.open_or_create(tmp_path / "keys").director)
    write_trust(tmp_path / "trust", trust, force=False)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    result = call(
        *("--output", str(tmp_path / "out"), "--trust", str(tmp_path / "trust"), "--suite", "trixie", "--level", "3"),
        *("--mirror", "http://a/debian", "--mirror", "http://a/debian-security", "--cache", str(tmp_path / "cache")),
    )
    assert result.exit_code == 0, result.exception
    expected = BuildSetting(
        suite="trixie",
        mirrors=("http://a/debian", "http://a/debian-security"),
        cache=tmp_path / "cache",
        trust=encode_trust(trust),
        level=3,
        epoch=1_700_000_000,
    )
    assert built == [(tmp_path / "out", expected)]


def test_no_trust_file(built: list[tuple[Path, BuildSetting]], tmp_path: Path) -> None:
    (tmp_path / "trust").write_text("{}")
    error = call("--trust", str(tmp_path / "trust")).exception
    assert isinstance(error, ConfigError)
    assert "is no trust file" in str(error)
    assert not built


@pytest.mark.parametrize("text", ["", "now", "-1", "1.5", "99999999999", "\u0661"])
def test_no_time(built: list[tuple[Path, BuildSetting]], monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", text)
    assert isinstance(call().exception, ConfigError)
    assert not built
