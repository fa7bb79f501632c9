"""The word for the first admin."""

import stat
from pathlib import Path

import pytest

from dashboards.access.accounts import Accounts
from dashboards.access.first_login import FIRST_LOGIN, FirstLogin
from dashboards.user import Role
from protocol.errors import ConfigError, MessageError, RefusedError
from tests.dashboards.access.console import CHEAP


@pytest.fixture
def accounts(tmp_path: Path) -> Accounts:
    return Accounts(tmp_path / "accounts.json", hasher=CHEAP)


@pytest.fixture
def first(tmp_path: Path, accounts: Accounts) -> FirstLogin:
    return FirstLogin(tmp_path, accounts)


def test_the_word_stays_until_it_is_used_and_is_gone_then(
    first: FirstLogin, accounts: Accounts, tmp_path: Path
) -> None:
    word = first.prepare()
    assert word is not None
    assert len(word.split("-")) == 4
    assert first.prepare() == word
    assert stat.S_IMODE((tmp_path / FIRST_LOGIN).stat().st_mode) == 0o600
    account = first.make_admin(f" {word.upper().replace('-', '  ')}\n", "ada", "hash")
    assert account.role is Role.ADMIN
    assert not (tmp_path / FIRST_LOGIN).exists()
    assert not first.is_open
    with pytest.raises(RefusedError):
        first.make_admin(word, "eve", "hash")
    assert len(accounts) == 1
    assert first.prepare() is None


@pytest.mark.parametrize("word", ["", "wrong", "\ud800", "ä" * 100, "-"])
def test_a_wrong_word(first: FirstLogin, accounts: Accounts, word: str) -> None:
    first.prepare()
    with pytest.raises(RefusedError, match="not the first-login word"):
        first.make_admin(word, "ada", "hash")
    assert not len(accounts)


def test_a_wrong_name_leaves_the_word_good(first: FirstLogin, accounts: Accounts) -> None:
    word = first.prepare()
    assert word is not None
    with pytest.raises(MessageError):
        first.make_admin(word, "A D A", "hash")
    assert first.make_admin(word, "ada", "hash")


def test_no_word_opens_without_a_file(first: FirstLogin) -> None:
    with pytest.raises(RefusedError):
        first.make_admin("", "ada", "hash")


def test_a_word_that_was_left_behind_opens_nothing(first: FirstLogin, accounts: Accounts, tmp_path: Path) -> None:
    word = first.prepare()
    assert word is not None
    accounts.add("ada", "hash", Role.ADMIN)
    with pytest.raises(RefusedError):
        first.check(word)
    assert first.prepare() is None
    assert not (tmp_path / FIRST_LOGIN).exists()


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff"])
def test_an_empty_file_is_told_and_opens_nothing(first: FirstLogin, tmp_path: Path, content: bytes) -> None:
    (tmp_path / FIRST_LOGIN).write_bytes(content)
    (tmp_path / FIRST_LOGIN).chmod(0o600)
    with pytest.raises(ConfigError, match="damaged"):
        first.check("")
