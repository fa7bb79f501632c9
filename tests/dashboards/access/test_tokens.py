"""API tokens."""

import stat
from pathlib import Path

import msgspec
import pytest

from dashboards.access.accounts import Accounts
from dashboards.access.tokens import CONSOLE_FILE, LAST_USED_STEP, ConsoleFile, Tokens
from dashboards.user import Role, User
from protocol.errors import ConfigError, MessageError, RefusedError
from tests.dashboards.access.console import CHEAP, Time


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def accounts(tmp_path: Path) -> Accounts:
    accounts = Accounts(tmp_path / "accounts.json", hasher=CHEAP)
    accounts.add("ada", "hash", Role.ADMIN)
    accounts.add("otto", "hash", Role.OPERATOR)
    return accounts


@pytest.fixture
def tokens(tmp_path: Path, accounts: Accounts, time: Time) -> Tokens:
    return Tokens(tmp_path, accounts, clock=time)


OTTO = User("otto", Role.OPERATOR)


def test_a_token_acts_in_the_name_of_its_maker(tokens: Tokens, tmp_path: Path) -> None:
    token, secret = tokens.make(OTTO, "nightly", Role.VIEWER)
    assert tokens.user_of(secret) == User("otto/nightly", Role.VIEWER)
    assert secret not in (tmp_path / "tokens.json").read_text(encoding="utf-8")
    assert token.digest not in repr(token)


def test_tokens_are_there_after_a_restart(tokens: Tokens, tmp_path: Path, accounts: Accounts) -> None:
    _, secret = tokens.make(OTTO, "nightly", Role.OPERATOR)
    assert Tokens(tmp_path, accounts).user_of(secret) == User("otto/nightly", Role.OPERATOR)


def test_forged_tokens(tokens: Tokens) -> None:
    token, secret = tokens.make(OTTO, "nightly", Role.OPERATOR)
    for forged in ("", secret[:-1], secret + "A", secret.swapcase(), token.digest, token.token_id, "\ud800"):
        assert tokens.user_of(forged) is None


def test_no_more_than_the_role_of_its_maker(tokens: Tokens, accounts: Accounts) -> None:
    with pytest.raises(RefusedError, match="your role is operator"):
        tokens.make(OTTO, "nightly", Role.ADMIN)
    _, secret = tokens.make(OTTO, "nightly", Role.OPERATOR)
    accounts.set_role("otto", Role.VIEWER)
    assert tokens.user_of(secret) == User("otto/nightly", Role.VIEWER)


def test_a_token_makes_no_tokens(tokens: Tokens) -> None:
    _, secret = tokens.make(OTTO, "nightly", Role.OPERATOR)
    user = tokens.user_of(secret)
    assert user is not None
    with pytest.raises(RefusedError, match="log in"):
        tokens.make(user, "more", Role.VIEWER)


def test_a_token_ends_with_its_account_for_ever(tokens: Tokens, accounts: Accounts) -> None:
    _, secret = tokens.make(OTTO, "nightly", Role.OPERATOR)
    accounts.remove("otto")
    assert tokens.user_of(secret) is None
    accounts.add("otto", "hash", Role.ADMIN)
    assert tokens.user_of(secret) is None


def test_a_token_expires(tokens: Tokens, time: Time) -> None:
    _, secret = tokens.make(OTTO, "nightly", Role.OPERATOR, expires_at=time.now + 60)
    time.now += 59
    assert tokens.user_of(secret) is not None
    time.now += 1
    assert tokens.user_of(secret) is None
    with pytest.raises(MessageError, match="later"):
        tokens.make(OTTO, "late", Role.OPERATOR, expires_at=time.now)


def test_a_token_is_revoked(tokens: Tokens) -> None:
    token, secret = tokens.make(OTTO, "nightly", Role.OPERATOR)
    tokens.revoke(token.token_id)
    assert tokens.user_of(secret) is None
    with pytest.raises(RefusedError, match="no such token"):
        tokens.revoke(token.token_id)


def test_names_are_judged_and_unique(tokens: Tokens) -> None:
    tokens.make(OTTO, "nightly", Role.OPERATOR)
    with pytest.raises(RefusedError, match="you have a token"):
        tokens.make(OTTO, "nightly", Role.OPERATOR)
    with pytest.raises(MessageError):
        tokens.make(OTTO, "<b>", Role.OPERATOR)


def test_last_use_is_kept_now_and_then(tokens: Tokens, time: Time, tmp_path: Path) -> None:
    token, secret = tokens.make(OTTO, "nightly", Role.OPERATOR)
    tokens.user_of(secret)
    first = time.now
    time.now += LAST_USED_STEP - 1
    tokens.user_of(secret)
    kept = tokens.get(token.token_id)
    assert kept is not None
    assert kept.last_used_at == first
    time.now += 1
    tokens.user_of(secret)
    assert f'"last_used_at": {time.now}' in (tmp_path / "tokens.json").read_text(encoding="utf-8")


def test_the_file_for_terminals_of_this_machine(tokens: Tokens, tmp_path: Path) -> None:
    path = tokens.write_console_file("https://192.0.2.1:8443/", "PEM")
    assert path == tmp_path / CONSOLE_FILE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    first = msgspec.json.decode(path.read_bytes(), type=ConsoleFile)
    assert (first.url, first.certificate) == ("https://192.0.2.1:8443/", "PEM")
    assert first.token not in repr(first)
    assert tokens.user_of(first.token) == User("local", Role.ADMIN)
    tokens.write_console_file("https://192.0.2.1:8443/", "PEM")
    assert tokens.user_of(first.token) is None, "each start draws its own"


def test_a_damaged_file_is_told(tmp_path: Path, accounts: Accounts) -> None:
    (tmp_path / "tokens.json").write_text("{", encoding="utf-8")
    (tmp_path / "tokens.json").chmod(0o600)
    with pytest.raises(ConfigError, match="damaged"):
        Tokens(tmp_path, accounts)
