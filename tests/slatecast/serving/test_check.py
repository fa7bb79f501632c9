import importlib.util
import os
import socket
from pathlib import Path
from typing import Any

import pytest

from broadcaster.keys import KeyStore
from protocol.errors import ConfigError
from slatecast.serving.check import check_libraries, faults
from slatecast.serving.settings import read_settings
from tests.end_to_end.room import free_port


def found(folder: Path, file: Path | None = None, /, **sections: dict[str, Any]) -> list[str]:
    """What is wrong with settings that are good but for ``sections``."""
    good: dict[str, dict[str, Any]] = {
        "broadcaster": {
            "interface": "lo",
            "library": str(folder / "library"),
            "keys": str(folder / "keys"),
            "port": free_port(),
        },
        "broker": {"port": free_port()},
        "console": {"port": free_port(), "state": str(folder / "state")},
        "notices": {},
    }
    for section, keys in sections.items():
        good[section].update(keys)
    return list(faults(read_settings(None, good), file))


def test_nothing_is_wrong_and_nothing_is_made(tmp_path: Path) -> None:
    assert found(tmp_path) == []
    assert os.listdir(tmp_path) == []  # noqa: PTH208 - the question is whether it is empty


def test_every_fault_is_told(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")
    wrong = found(tmp_path, broadcaster={"interface": "nope"}, console={})
    assert len(wrong) == 2
    assert wrong[0].startswith("[broadcaster] interface: no interface has the name")
    assert wrong[1].startswith("[console] state: ")


@pytest.mark.parametrize("section", ["broadcaster", "broker", "console"])
def test_a_port_that_is_taken(tmp_path: Path, section: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        wrong = found(tmp_path, None, **{section: {"port": port}})
    assert wrong == [f"[{section}] port: port {port} is in use: is the service running, or another program?"]


@pytest.mark.parametrize("listen", ["10.255.255.1", "lab.example", "::g"])
def test_an_address_that_is_not_ours(tmp_path: Path, listen: str) -> None:
    wrong = found(tmp_path, console={"listen": listen})
    assert wrong
    assert wrong[0].startswith("[console] listen: ")


def test_a_file_where_a_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "library").write_text("")
    assert found(tmp_path) == [f"[broadcaster] library: {tmp_path / 'library'} is not a folder"]


def test_a_folder_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, _: path != tmp_path)  # root may write everywhere
    (line, *_) = found(tmp_path)
    assert line == f"[broadcaster] library: {tmp_path} cannot be written by this user"


def test_keys_that_must_not_be_used(tmp_path: Path) -> None:
    KeyStore.open_or_create(tmp_path / "keys")
    assert found(tmp_path) == []
    (tmp_path / "keys/director.key").chmod(0o644)
    (line,) = found(tmp_path)
    assert line.startswith("[broadcaster] keys: ")
    assert "can be read by other users" in line


def test_a_certificate_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nonsense")
    broker = {"address": "mqtts://127.0.0.1", "ca_file": str(tmp_path / "ca.pem")}
    (line,) = found(tmp_path, broker=broker)
    assert line.startswith(f"[broker] ca_file: {tmp_path / 'ca.pem'}: ")
    assert found(tmp_path, broker={**broker, "ca_file": str(tmp_path / "none.pem")})


def test_a_secret_in_a_file_for_all(tmp_path: Path) -> None:
    file = tmp_path / "slatecast.toml"
    file.write_text("")
    file.chmod(0o644)
    (line,) = found(tmp_path, file, broadcaster={"token": "four-words"})
    assert line.startswith(f"[broadcaster] token: {file} holds a secret and can be read by other users")
    file.chmod(0o640)
    assert found(tmp_path, file, broadcaster={"token": "four-words"}) == []


def test_a_word_that_is_not_there(tmp_path: Path) -> None:
    assert found(tmp_path, broadcaster={"token_file": str(tmp_path / "none")}) == [
        f"[broadcaster] token_file: {tmp_path / 'none'}: No such file or directory"
    ]


def test_what_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    check_libraries()
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ConfigError, match=r"pip install 'slatecast\[console,server\]'"):
        check_libraries()


def test_webhooks_that_cannot_be(tmp_path: Path) -> None:
    (line,) = found(tmp_path, notices={"webhooks": ["https://ada:word@host/"]})
    assert line.startswith("[notices] webhooks: the webhook at host holds a name or password")
    assert found(tmp_path, notices={"ca_file": str(tmp_path / "none")})[0].startswith("[notices] ca_file: ")
