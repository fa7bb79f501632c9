from dataclasses import replace
from pathlib import Path

import pytest

from dashboards.config import BrokerAccess, ConsoleConfig, MailConfig, NoticesConfig
from protocol.link.mqtt import BrokerAddress
from protocol.link.tls import TlsIdentity

IDENTITY = TlsIdentity(b"certificate", b"secret of tls")


def config(host: str, https: TlsIdentity | None) -> ConsoleConfig:
    return ConsoleConfig(
        broker=BrokerAccess(BrokerAddress("10.0.4.2", 8883, tls=True), b"authority", IDENTITY),
        director_key=bytes(32),
        signing_seed=b"secret seed of the console 32 by",
        state=Path("/state"),
        host=host,
        port=8443,
        https=https,
        authority=b"authority",
        notices=NoticesConfig(
            ("https://hook/secret-of-hook",), MailConfig("mail", 587, "a@b", ("c@d",), "user", "secret word")
        ),
    )


@pytest.mark.parametrize(
    ("host", "https", "url"),
    [
        ("10.0.4.2", IDENTITY, "https://10.0.4.2:8443/"),
        ("127.0.0.1", None, "http://127.0.0.1:8443/"),
        ("fd00::2", IDENTITY, "https://[fd00::2]:8443/"),
    ],
)
def test_where_the_page_is(host: str, https: TlsIdentity | None, url: str) -> None:
    assert config(host, https).url == url


def test_who_listens_everywhere_is_found_by_name() -> None:
    everywhere = replace(config("0.0.0.0", IDENTITY), names=("fd00::2", "lab.example"))
    assert everywhere.url == "https://[fd00::2]:8443/"


def test_nothing_secret_is_shown() -> None:
    assert "secret" not in repr(config("10.0.4.2", IDENTITY))
