import getpass
import os
import pwd
import stat
from pathlib import Path

import pytest
from cryptography import x509

from broadcaster.access import ROLES, ROOT, SESSION_ROLES
from broadcaster.authority import Authority
from broadcaster.mosquitto import (
    ACCESS_RULES,
    AUTHORITY,
    CERTIFICATE,
    CONFIGURATION,
    MOSQUITTO_USER,
    PRIVATE_KEY,
    access_rules,
    write_configuration,
)
from protocol.errors import ConfigError

# That Mosquitto takes these files, and what it lets whom do with them, is in test_access.py.


def has_mosquitto_user() -> bool:
    try:
        pwd.getpwnam(MOSQUITTO_USER)
    except KeyError:
        return False
    return True


def test_everything_is_there_and_the_key_is_for_one_user(tmp_path: Path) -> None:
    authority = Authority.create()
    folder = tmp_path / "new" / "broker"
    old = os.umask(0)
    try:
        write_configuration(folder, authority)
    finally:
        os.umask(old)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert modes == {
        CONFIGURATION: 0o644,
        ACCESS_RULES: 0o644,
        AUTHORITY: 0o644,
        CERTIFICATE: 0o644,
        PRIVATE_KEY: 0o600,
    }
    assert stat.S_IMODE(folder.stat().st_mode) == 0o755
    assert (folder / AUTHORITY).read_bytes() == authority.certificate
    shown = x509.load_pem_x509_certificate((folder / CERTIFICATE).read_bytes())
    shown.verify_directly_issued_by(x509.load_pem_x509_certificate(authority.certificate))
    expected = MOSQUITTO_USER if os.geteuid() == 0 and has_mosquitto_user() else getpass.getuser()
    assert (folder / PRIVATE_KEY).owner() == expected


def test_configuration_says_what_it_promises(tmp_path: Path) -> None:
    folder = tmp_path / "broker"
    write_configuration(folder, Authority.create(), port=1234, address="10.0.0.1")
    lines = (folder / CONFIGURATION).read_text().splitlines()
    for line in (
        "listener 1234 10.0.0.1",
        "allow_anonymous false",
        "require_certificate true",
        "use_identity_as_username true",
        "use_username_as_clientid true",
        "tls_version tlsv1.3",
        "persistence false",
        f"acl_file {folder / ACCESS_RULES}",
    ):
        assert line in lines
    assert "PRIVATE" not in (folder / CONFIGURATION).read_text()


def test_rules_give_receivers_their_own_topics_only() -> None:
    for line in access_rules().splitlines():
        if line.startswith("pattern write"):
            assert f"{ROOT}/receivers/%u/" in line
        if line.startswith("pattern read"):
            assert f"{ROOT}/receivers/%u/#" in line or f"{ROOT}/sessions/+/" in line
    roles = len((*ROLES, *SESSION_ROLES))
    assert access_rules().count("user ") == access_rules().count(f"topic readwrite {ROOT}/#") == roles


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "mine").touch()
    with pytest.raises(ConfigError, match="is not empty"):
        write_configuration(tmp_path, Authority.create())
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
    with pytest.raises(ConfigError, match="choose a folder"):
        write_configuration(tmp_path / "mine", Authority.create())


def test_name_that_would_be_another_line_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="choose another") as caught:
        write_configuration(tmp_path / "a\nallow_anonymous true", Authority.create())
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []
