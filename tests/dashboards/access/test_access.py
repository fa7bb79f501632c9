"""Logging in, and whether the time of the answer tells anything."""

import asyncio
import statistics
import time
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from dashboards.access.access import HASHES_WAITING, Access, WrongLoginError
from dashboards.access.limits import TooManyTriesError
from dashboards.access.policy import AccessPolicy
from dashboards.user import Role, User
from protocol.errors import MessageError, RefusedError
from tests.dashboards.access.console import CHEAP, Time

pytestmark = pytest.mark.asyncio

PASSWORD = "correct horse"
POLICY = AccessPolicy(hosts=frozenset({"console"}))


@pytest.fixture
def access(tmp_path: Path) -> Access:
    access = Access(tmp_path, POLICY, hasher=CHEAP, now=Time())
    access.accounts.add("ada", CHEAP.hash(PASSWORD), Role.ADMIN)
    return access


async def test_login(access: Access) -> None:
    session_id, login = await access.log_in(" Ada ", PASSWORD, "192.0.2.1")
    assert login.user == User("ada", Role.ADMIN)
    assert access.login_of(session_id) is login
    assert access.is_csrf_token(login, login.csrf_token)
    assert not access.is_csrf_token(login, "")
    assert not access.is_csrf_token(login, "\ud800")
    assert access.login_of("") is None


@pytest.mark.parametrize(
    ("name", "password"),
    [("ada", "wrong"), ("nobody", PASSWORD), ("", ""), ("A" * 1_000_000, "B" * 1_000_000), ("<b>\0", "\ud800")],
    ids=["password", "name", "empty", "megabytes", "strange"],
)
async def test_wrong_logins_are_all_the_same(access: Access, name: str, password: str) -> None:
    with pytest.raises(WrongLoginError, match=r"^name or password is wrong: check both and try again$"):
        await access.log_in(name, password, "192.0.2.1")


async def test_too_many_tries(access: Access) -> None:
    for _ in range(10):
        with pytest.raises(WrongLoginError):
            await access.log_in("ada", "wrong", "192.0.2.1")
    with pytest.raises(TooManyTriesError):
        await access.log_in("ada", PASSWORD, "192.0.2.1")


async def test_tries_at_the_same_moment_are_counted_before_they_are_judged(access: Access) -> None:
    tries = (access.log_in("ada", "wrong", "192.0.2.1") for _ in range(30))
    refusals = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(isinstance(each, WrongLoginError) for each in refusals) == 10


async def test_a_flood_waits_in_a_bounded_queue(tmp_path: Path) -> None:
    access = Access(tmp_path, POLICY, hasher=CHEAP)
    tries = (access.log_in(f"name{each}", "wrong", f"198.51.100.{each}") for each in range(HASHES_WAITING + 20))
    refusals = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(isinstance(each, TooManyTriesError) for each in refusals) == 20
    with pytest.raises(WrongLoginError):
        await access.log_in("later", "wrong", "192.0.2.1")


@pytest.mark.slow
async def test_the_time_does_not_tell_which_accounts_there_are(tmp_path: Path) -> None:
    access = Access(tmp_path, POLICY, hasher=PasswordHasher(time_cost=8, memory_cost=2048, parallelism=1))
    await access.add_account("ada", PASSWORD, Role.ADMIN)
    seconds: dict[str, list[float]] = {"ada": [], "nobody": []}
    for number in range(30):
        for name, taken in seconds.items():
            begun = time.thread_time()
            access.accounts.check(name, f"wrong {number}")
            taken.append(time.thread_time() - begun)
    known, unknown = (statistics.median(taken) for taken in seconds.values())
    assert abs(known - unknown) < 0.2 * max(known, unknown)


async def test_the_first_admin(tmp_path: Path) -> None:
    access = Access(tmp_path, POLICY, hasher=CHEAP)
    word = access.first_login.prepare()
    assert word is not None
    with pytest.raises(MessageError, match="characters"):
        await access.make_first_admin(word, "ada", "short", "192.0.2.1")
    _, login = await access.make_first_admin(word, "Ada", PASSWORD, "192.0.2.1")
    assert login.user == User("ada", Role.ADMIN)
    with pytest.raises(RefusedError):
        await access.make_first_admin(word, "eve", PASSWORD, "192.0.2.1")


async def test_two_who_have_the_word_make_one_admin(tmp_path: Path) -> None:
    access = Access(tmp_path, POLICY, hasher=CHEAP)
    word = access.first_login.prepare()
    assert word is not None
    made = await asyncio.gather(
        *(access.make_first_admin(word, name, PASSWORD, "192.0.2.1") for name in ("ada", "eve")), return_exceptions=True
    )
    assert sum(isinstance(each, RefusedError) for each in made) == 1
    assert len(access.accounts) == 1


async def test_the_word_cannot_be_guessed_fast(tmp_path: Path) -> None:
    access = Access(tmp_path, POLICY, hasher=CHEAP)
    access.first_login.prepare()
    refusals = [
        await asyncio.gather(
            access.make_first_admin("wrong", "ada", PASSWORD, f"192.0.2.{each}"), return_exceptions=True
        )
        for each in range(30)
    ]
    assert sum(isinstance(each, TooManyTriesError) for (each,) in refusals) == 20


async def test_own_password(access: Access) -> None:
    session_id, login = await access.log_in("ada", PASSWORD, "192.0.2.1")
    with pytest.raises(WrongLoginError):
        await access.change_own_password(login.user, "wrong", "another horse", "192.0.2.1")
    await access.change_own_password(login.user, PASSWORD, "another horse", "192.0.2.1")
    assert access.login_of(session_id) is None
    await access.log_in("ada", "another horse", "192.0.2.1")


async def test_no_password_in_the_log(access: Access, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    await access.log_in("ada", PASSWORD, "192.0.2.1")
    with pytest.raises(WrongLoginError):
        await access.log_in("eve\x1b[2J", "secret of eve", "192.0.2.1")
    assert "ada logged in from 192.0.2.1" in caplog.text
    assert PASSWORD not in caplog.text
    assert "secret of eve" not in caplog.text
    assert "\x1b" not in caplog.text
