"""Accounts in their file."""

from pathlib import Path

import pytest
from argon2 import PasswordHasher

from dashboards.access.accounts import Accounts
from dashboards.user import Role, User
from protocol.errors import ConfigError, MessageError, RefusedError
from tests.dashboards.access.console import CHEAP

PASSWORD = "correct horse"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "accounts.json"


@pytest.fixture
def accounts(path: Path) -> Accounts:
    accounts = Accounts(path, hasher=CHEAP, clock=lambda: 5.0)
    accounts.add("ada", accounts.hashed("ada", PASSWORD), Role.ADMIN)
    accounts.add("otto", accounts.hashed("otto", PASSWORD), Role.OPERATOR)
    return accounts


def test_the_file_holds_hashes_and_is_read_again(accounts: Accounts, path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert PASSWORD not in text
    assert text.count("$argon2id$") == 2
    again = Accounts(path, hasher=CHEAP)
    assert [account.user for account in again.all()] == [User("ada", Role.ADMIN), User("otto", Role.OPERATOR)]
    assert again.check("ada", PASSWORD) is not None


def test_passwords(accounts: Accounts) -> None:
    assert accounts.check("ada", "wrong horse") is None
    assert accounts.check("nobody", PASSWORD) is None
    assert accounts.check("nobody", "nobody has this password") is None
    assert accounts.check("ada", "\ud800") is None


def test_the_hash_is_in_no_text(accounts: Accounts) -> None:
    assert "argon2" not in repr(accounts.get("ada"))


def test_a_name_is_there_once(accounts: Accounts) -> None:
    with pytest.raises(RefusedError, match="choose another name"):
        accounts.add("ada", accounts.hashed("ada", PASSWORD), Role.VIEWER)
    with pytest.raises(MessageError):
        accounts.hashed("Ada", PASSWORD)


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR])
def test_the_last_admin_stays(accounts: Accounts, role: Role, path: Path) -> None:
    with pytest.raises(RefusedError, match="last admin"):
        accounts.set_role("ada", role)
    with pytest.raises(RefusedError, match="last admin"):
        accounts.remove("ada")
    accounts.set_role("otto", Role.ADMIN)
    accounts.set_role("ada", role)
    with pytest.raises(RefusedError, match="last admin"):
        accounts.remove("otto")
    accounts.remove("ada")
    assert [account.name for account in Accounts(path, hasher=CHEAP).all()] == ["otto"]


def test_who_is_told_of_a_change(accounts: Accounts) -> None:
    told: list[str] = []
    accounts.on_change.append(told.append)
    accounts.set_password("otto", accounts.hashed("otto", "another horse"))
    accounts.set_role("otto", Role.OPERATOR)
    assert told == ["otto"]
    accounts.set_role("otto", Role.VIEWER)
    accounts.remove("otto")
    assert told == ["otto"] * 3
    with pytest.raises(RefusedError, match="no such account"):
        accounts.remove("otto")


def test_a_password_is_hashed_anew_when_the_parameters_have_changed(accounts: Accounts, path: Path) -> None:
    stronger = Accounts(path, hasher=PasswordHasher(time_cost=2, memory_cost=8, parallelism=1))
    told: list[str] = []
    stronger.on_change.append(told.append)
    checked = stronger.check("ada", PASSWORD)
    assert checked is not None
    stronger.renew(*checked)
    assert "t=2" in path.read_text(encoding="utf-8")
    assert not told, "the login of an account whose password is the same goes on"
    again = stronger.check("ada", PASSWORD)
    assert again is not None
    assert again[1] == ""


def test_a_fresh_hash_of_an_old_password_does_not_come_back(accounts: Accounts) -> None:
    account = accounts.get("ada")
    assert account is not None
    accounts.set_password("ada", accounts.hashed("ada", "another horse"))
    accounts.renew(account, CHEAP.hash(PASSWORD))
    assert accounts.check("ada", PASSWORD) is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"accounts": [{"name": "x"}]}', "\0", '{"accounts":' * 2000])
def test_a_damaged_file_is_told(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    path.chmod(0o600)
    with pytest.raises(ConfigError, match="damaged"):
        Accounts(path, hasher=CHEAP)


def test_a_file_with_a_name_twice_is_told(accounts: Accounts, path: Path) -> None:
    path.write_text(path.read_text(encoding="utf-8").replace("otto", "ada"), encoding="utf-8")
    with pytest.raises(ConfigError, match="twice"):
        Accounts(path, hasher=CHEAP)


def test_a_change_that_cannot_be_written_does_not_hold(accounts: Accounts, path: Path) -> None:
    path.unlink()
    path.mkdir()
    with pytest.raises(ConfigError, match="cannot be written"):
        accounts.remove("otto")
    assert accounts.get("otto") is not None


def test_default_parameters_are_argon2id_as_the_library_advises(path: Path) -> None:
    hasher = PasswordHasher()
    assert (hasher.type.name, hasher.memory_cost) == ("ID", 65536)
