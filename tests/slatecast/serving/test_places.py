from pathlib import Path
from typing import Any

import pytest

from protocol.errors import ConfigError, TransportError
from slatecast.serving.places import MAX_WORD_FILE, find_places, notices_of, read_word
from slatecast.serving.settings import NoticesSettings, Settings, read_settings
from tests.certificates import certificate


def settings(**sections: dict[str, Any]) -> Settings:
    return read_settings(None, {"broadcaster": {"interface": "lo"}, **sections})


def test_defaults_are_the_users_folders(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    for variable in ("XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(variable, raising=False)
    places = find_places(settings())
    assert places.library == Path("/home/ada/.local/share/slatecast/library")
    assert places.keys == Path("/home/ada/.config/slatecast/keys")
    assert places.state == Path("/home/ada/.local/state/slatecast/console")
    assert find_places(settings(console={"state": "~/here"})).state == Path("/home/ada/here")


def test_all_is_on_the_address_of_the_interface() -> None:
    places = find_places(settings())
    assert (places.host, places.console_host, str(places.front_door)) == ("127.0.0.1", "127.0.0.1", "127.0.0.1:8884")
    assert (str(places.broker), places.is_broker_ours) == ("mqtts://127.0.0.1:8883", True)
    assert find_places(settings(console={"listen": "10.0.4.2"})).console_host == "10.0.4.2"


@pytest.mark.parametrize(
    ("console", "own", "names"),
    [
        ({}, "server", ("127.0.0.1", "server")),
        ({"listen": "10.0.4.2", "names": ("Lab.Example",)}, "server", ("10.0.4.2", "lab.example", "server")),
        ({"listen": "0.0.0.0"}, "not_a_name\n", ("127.0.0.1",)),
        ({"listen": "::", "names": ("server",)}, "server", ("127.0.0.1", "server")),
    ],
)
def test_names_of_the_console(
    monkeypatch: pytest.MonkeyPatch, console: dict[str, Any], own: str, names: tuple[str, ...]
) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: own)
    assert find_places(settings(console=console)).console_names == names


def test_another_broker() -> None:
    places = find_places(settings(broker={"address": "mqtts://user:word@10.0.4.2", "ca_file": "/ca.pem"}))
    assert (str(places.broker), places.is_broker_ours) == ("mqtts://user@10.0.4.2:8883", False)
    assert places.ca_file == Path("/ca.pem")


def test_no_such_interface() -> None:
    with pytest.raises(TransportError, match="no interface has the name or address nope"):
        find_places(settings(broadcaster={"interface": "nope"}))


def test_the_token_is_never_shown(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("february-blanket\nsecond line\n")
    file.chmod(0o600)
    places = find_places(settings(broadcaster={"interface": "lo", "token_file": str(file)}))
    assert places.token == "february-blanket"
    assert "february" not in repr(places)
    assert find_places(settings()).token is None


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "holds no word: write one into its first line"),
        (b"\nlater", "holds no word"),
        (b"\xff", "holds no word"),
        (b"abc", "a token has 4 to 128 characters"),
        (b"a" * (MAX_WORD_FILE + 100), "a token has 4 to 128 characters"),
    ],
)
def test_a_file_without_a_token(tmp_path: Path, content: bytes, fault: str) -> None:
    file = tmp_path / "token"
    file.write_bytes(content)
    file.chmod(0o600)
    with pytest.raises(ConfigError, match=fault):
        find_places(settings(broadcaster={"interface": "lo", "token_file": str(file)}))


def test_a_word_that_others_can_read(tmp_path: Path) -> None:
    file = tmp_path / "word"
    file.write_text("secret")
    file.chmod(0o644)
    with pytest.raises(ConfigError, match=f"{file} can be read by other users: chmod 600 {file}"):
        read_word(str(file))
    with pytest.raises(ConfigError, match="nowhere: No such file or directory"):
        read_word(str(tmp_path / "nowhere"))


def test_who_is_told(tmp_path: Path) -> None:
    file = tmp_path / "word"
    file.write_text("secret\n")
    file.chmod(0o600)
    assert notices_of(NoticesSettings()).mail is None
    given = NoticesSettings(
        webhooks=("https://hook",),
        smtp_host="mail",
        smtp_user="ada",
        smtp_password_file=str(file),
        mail_from="lab@x",
        mail_to=("ada@x",),
    )
    told = notices_of(given)
    assert told.mail is not None
    assert (told.mail.password, told.mail.port, told.webhooks) == ("secret", 587, ("https://hook",))
    assert (told.webhook_secret, told.authority) == (b"", None)


def test_who_is_told_is_proved_and_proves(tmp_path: Path) -> None:
    secret, authority = tmp_path / "word", tmp_path / "authority.pem"
    secret.write_text("secret\n")
    secret.chmod(0o600)
    pem = certificate()
    authority.write_bytes(pem)
    given = {"webhooks": ("https://hook",), "webhook_secret_file": str(secret), "ca_file": str(authority)}
    told = notices_of(NoticesSettings(**given))  # type: ignore[arg-type]  # texts, and one tuple of them
    assert (told.webhook_secret, told.authority) == (b"secret", pem)
    assert "secret" not in repr(told)
    authority.write_text("no certificate")
    for file in (authority, tmp_path / "none.pem"):
        with pytest.raises(ConfigError, match=r"\[notices\] ca_file .*; name a PEM file of certificates"):
            notices_of(NoticesSettings(ca_file=str(file)))
