import ssl
from pathlib import Path

import pytest

from broadcaster.authority import Authority
from protocol.link.tls import server_context
from slatecast.serving.console_identity import IDENTITY_FILE, console_identity

HOSTS = ("10.0.4.2",)


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority.create()


def test_it_stays_the_same_and_private(tmp_path: Path, authority: Authority) -> None:
    first = console_identity(tmp_path, authority, HOSTS)
    assert console_identity(tmp_path, authority, HOSTS) == first
    assert (tmp_path / IDENTITY_FILE).stat().st_mode & 0o777 == 0o600
    assert isinstance(server_context(first, client_authority=None), ssl.SSLContext)


@pytest.mark.parametrize("hosts", [("10.0.4.3",), ("10.0.4.2", "fd00::2"), ("lab.example",)])
def test_another_address_takes_another(tmp_path: Path, authority: Authority, hosts: tuple[str, ...]) -> None:
    first = console_identity(tmp_path, authority, HOSTS)
    other = console_identity(tmp_path, authority, hosts)
    assert other != first
    assert console_identity(tmp_path, authority, hosts) == other


def test_an_address_has_many_spellings(tmp_path: Path, authority: Authority) -> None:
    first = console_identity(tmp_path, authority, ("fd00:0:0::2",))
    assert console_identity(tmp_path, authority, ("fd00::2",)) == first


def test_another_authority_takes_another(tmp_path: Path, authority: Authority) -> None:
    first = console_identity(tmp_path, authority, HOSTS)
    assert console_identity(tmp_path, Authority.create(), HOSTS) != first


@pytest.mark.parametrize("text", [b"", b"nonsense", b"-----BEGIN CERTIFICATE-----", b"\xff" * 100])
def test_a_damaged_one_is_replaced(tmp_path: Path, authority: Authority, text: bytes) -> None:
    first = console_identity(tmp_path, authority, HOSTS)
    (tmp_path / IDENTITY_FILE).write_bytes(text)
    assert console_identity(tmp_path, authority, HOSTS) != first


def test_a_key_of_another_certificate_is_replaced(tmp_path: Path, authority: Authority) -> None:
    first = console_identity(tmp_path, authority, HOSTS)
    strange = authority.server_identity(HOSTS).private_key
    (tmp_path / IDENTITY_FILE).write_bytes(strange + first.certificate)
    assert console_identity(tmp_path, authority, HOSTS).private_key != strange
