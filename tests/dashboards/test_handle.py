import os
from pathlib import Path

import pytest

from dashboards.handle import HANDLE_FILE, ConsoleHandle, read_handle, remove_handle, write_handle
from protocol.errors import ConfigError

HANDLE = ConsoleHandle(url="https://10.0.4.2:8443/", token="secret", certificate="PEM")


def test_what_was_written_is_read(tmp_path: Path) -> None:
    write_handle(tmp_path, ConsoleHandle(url="http://127.0.0.1:1/", token="old"))
    write_handle(tmp_path, HANDLE)
    assert read_handle(tmp_path) == HANDLE
    assert os.listdir(tmp_path) == [HANDLE_FILE]  # noqa: PTH208 - names are compared
    assert (tmp_path / HANDLE_FILE).stat().st_mode & 0o777 == 0o600


def test_nobody_is_there(tmp_path: Path) -> None:
    assert read_handle(tmp_path) is None
    assert read_handle(tmp_path / "nowhere") is None
    remove_handle(tmp_path)


def test_it_goes_with_the_console(tmp_path: Path) -> None:
    write_handle(tmp_path, HANDLE)
    remove_handle(tmp_path)
    assert read_handle(tmp_path) is None


@pytest.mark.parametrize(
    "text", [b"", b"\xff", b"{}", b'{"url": "ftp://x/", "token": ""}', b"[" * 100_000, b'{"url": "https://a b/"}']
)
def test_a_damaged_one_is_told(tmp_path: Path, text: bytes) -> None:
    (tmp_path / HANDLE_FILE).write_bytes(text)
    with pytest.raises(ConfigError, match=r"console\.json is damaged: start"):
        read_handle(tmp_path)


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"console\.json: No such file or directory"):
        write_handle(tmp_path / "nowhere", HANDLE)


def test_the_token_is_not_shown() -> None:
    assert "secret" not in repr(HANDLE)
