"""Logins and their ends."""

from pathlib import Path

import pytest

from dashboards.access.accounts import Account, Accounts
from dashboards.access.sessions import MAX_LOGINS_PER_ACCOUNT, Sessions
from dashboards.user import Role
from tests.dashboards.access.console import CHEAP


@pytest.fixture
def accounts(tmp_path: Path) -> Accounts:
    accounts = Accounts(tmp_path / "accounts.json", hasher=CHEAP)
    for name in ("ada", "otto"):
        accounts.add(name, "hash", Role.ADMIN)
    return accounts


@pytest.fixture
def ada(accounts: Accounts) -> Account:
    return accounts.all()[0]


@pytest.fixture
def sessions(accounts: Accounts) -> Sessions:
    return Sessions(accounts, idle_limit=10, absolute_limit=25, max_logins=MAX_LOGINS_PER_ACCOUNT + 2)


def test_ids_are_long_and_never_the_same(sessions: Sessions, ada: Account) -> None:
    ids = {sessions.begin(ada, 0)[0] for _ in range(20)}
    assert len(ids) == 20
    assert all(len(each) >= 43 for each in ids)


def test_forged_ids(sessions: Sessions, ada: Account) -> None:
    session_id, login = sessions.begin(ada, 0)
    for forged in ("", session_id[:-1], session_id + "=", login.csrf_token, "\ud800", "A" * 100_000):
        assert sessions.get(forged, 0) is None
    assert session_id not in repr(vars(sessions))
    assert login.csrf_token not in repr(login)


def test_idle(sessions: Sessions, ada: Account) -> None:
    session_id, login = sessions.begin(ada, 0)
    assert sessions.get(session_id, 9) is login
    assert sessions.get(session_id, 18, is_deed=False) is login
    assert sessions.get(session_id, 19) is None
    assert login.is_ended


def test_absolute(sessions: Sessions, ada: Account) -> None:
    session_id, _ = sessions.begin(ada, 0)
    assert all(sessions.get(session_id, now) for now in (9, 18, 24))
    assert sessions.get(session_id, 25) is None


def test_ends(sessions: Sessions, ada: Account) -> None:
    session_id, login = sessions.begin(ada, 0)
    ends: list[str] = []
    login.on_end.append(lambda: ends.append("told"))
    sessions.end(session_id)
    sessions.end(session_id)
    login.end()
    assert ends == ["told"]
    assert sessions.get(session_id, 0) is None


def test_ends_when_password_role_or_account_change(sessions: Sessions, accounts: Accounts, ada: Account) -> None:
    def change_password() -> None:
        accounts.set_password("ada", "other")

    def change_role() -> None:
        accounts.set_role("ada", Role.VIEWER)

    def remove() -> None:
        accounts.remove("ada")

    other, _ = sessions.begin(accounts.all()[1], 0)
    for change in (change_password, change_role, remove):
        session_id, _ = sessions.begin(ada, 0)
        change()
        assert sessions.get(session_id, 0) is None, change.__name__
    assert sessions.get(other, 0) is not None


def test_an_account_cannot_push_out_another(sessions: Sessions, accounts: Accounts, ada: Account) -> None:
    other, _ = sessions.begin(accounts.all()[1], 0)
    first, _ = sessions.begin(ada, 1)
    for now in range(2, 9):
        for _ in range(MAX_LOGINS_PER_ACCOUNT):
            sessions.begin(ada, now)
    assert sessions.get(other, 9) is not None
    assert sessions.get(first, 9) is None
    assert len(sessions) == MAX_LOGINS_PER_ACCOUNT + 1


def test_logins_are_bounded(accounts: Accounts, ada: Account) -> None:
    sessions = Sessions(accounts, max_logins=2)
    ids = [sessions.begin(ada, now)[0] for now in range(3)]
    assert [sessions.get(each, 3) is not None for each in ids] == [False, True, True]


def test_overdue_logins_are_cleared(sessions: Sessions, ada: Account) -> None:
    sessions.begin(ada, 0)
    sessions.begin(ada, 11)
    assert len(sessions) == 1
