"""All of access in one object: who logs in, who is behind a request, who may manage whom."""

import asyncio
import hmac
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from argon2 import PasswordHasher

from dashboards.access.accounts import ACCOUNTS_FILE, Account, Accounts
from dashboards.access.first_login import FirstLogin
from dashboards.access.limits import LoginLimits, TooManyTriesError
from dashboards.access.names import MAX_NAME, MAX_PASSWORD
from dashboards.access.policy import AccessPolicy
from dashboards.access.sessions import Login, Sessions
from dashboards.access.tokens import Tokens
from dashboards.user import Role, User
from protocol.errors import RefusedError

HASHES_AT_ONCE: Final = 2
"""[passwords] that are hashed at once: each takes 64 MiB and a core for tens of milliseconds."""

HASHES_WAITING: Final = 32
"""[passwords] that may wait for it; a flood of logins is refused beyond that, in seconds rather than minutes."""

_FIRST_LOGIN_KEY: Final = "first login"
"""Under which tries of the first-login word are counted; no account can be called so."""

_logger = logging.getLogger(__name__)
_Result = TypeVar("_Result")


class WrongLoginError(RefusedError):
    """Name and password do not belong together; says the same whether there is such an account."""

    def __init__(self) -> None:
        super().__init__("name or password is wrong: check both and try again")


class Access:
    """Everything that the guards, the login page and the API ask."""

    def __init__(
        self,
        folder: Path,
        policy: AccessPolicy,
        *,
        hasher: PasswordHasher | None = None,
        clock: Callable[[], float] = time.time,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """Read what stands in the console's state folder.

        Raises:
            ConfigError: it cannot be read.
        """
        self.policy = policy
        self.now = now
        """monotonic seconds"""
        self.accounts = Accounts(folder / ACCOUNTS_FILE, hasher=hasher, clock=clock)
        self.tokens = Tokens(folder, self.accounts, clock=clock)
        self.sessions = Sessions(self.accounts)
        self.first_login = FirstLogin(folder, self.accounts)
        self._limits = LoginLimits()
        self._hashing = asyncio.Semaphore(HASHES_AT_ONCE)
        self._waiting = 0

    async def log_in(self, name: str, password: str, address: str) -> tuple[str, Login]:
        """Begin a login: the id for the cookie, and the login.

        Raises:
            WrongLoginError: name or password is wrong.
            TooManyTriesError: too many were tried.
        """
        name = name.strip().lower()[: MAX_NAME + 1]
        self._limits.count(address, name)
        account = None
        if len(password) <= MAX_PASSWORD:
            account = await self._checked(name, password)
        if account is None:
            _logger.warning("a login as %r from %s was refused", name, address)
            raise WrongLoginError
        self._limits.remember(address, name)
        _logger.info("%s logged in from %s", account.name, address)
        return self.sessions.begin(account, self.now())

    async def make_first_admin(self, word: str, name: str, password: str, address: str) -> tuple[str, Login]:
        """Make the first account by the word that serve printed, and log it in.

        Raises:
            RefusedError: the word is wrong, or there is an account.
            MessageError: name or password may not be.
            TooManyTriesError: too many were tried.
            ConfigError: the state folder cannot be written.
        """
        self._limits.count(address, _FIRST_LOGIN_KEY)
        name = name.strip().lower()
        self.first_login.check(word)
        password_hash = await self._hashed(lambda: self.accounts.hashed(name, password))
        account = self.first_login.make_admin(word, name, password_hash)
        _logger.warning("%s made the first admin from %s", account.name, address)
        return self.sessions.begin(account, self.now())

    async def change_own_password(self, user: User, old: str, new: str, address: str) -> None:
        """Change the password of whoever knows it; all its logins end.

        Raises:
            WrongLoginError, TooManyTriesError: as for a login.
            MessageError: the new one may not be.
        """
        self._limits.count(address, user.name)
        account = await self._checked(user.name, old) if len(old) <= MAX_PASSWORD else None
        if account is None:
            raise WrongLoginError
        await self.set_password(account.name, new)

    async def add_account(self, name: str, password: str, role: Role) -> Account:
        """Make an account.

        Raises:
            MessageError: name or password may not be.
            RefusedError: the name is taken, or there are too many accounts.
        """
        password_hash = await self._hashed(lambda: self.accounts.hashed(name, password))
        return self.accounts.add(name, password_hash, role)

    async def set_password(self, name: str, password: str) -> Account:
        """Give an account another password; all its logins end.

        Raises:
            MessageError: the password may not be.
            RefusedError: there is no such account.
        """
        password_hash = await self._hashed(lambda: self.accounts.hashed(name, password))
        return self.accounts.set_password(name, password_hash)

    def login_of(self, cookie: str, *, is_deed: bool = True) -> Login | None:
        """Who is behind a session cookie."""
        return self.sessions.get(cookie, self.now(), is_deed=is_deed) if cookie else None

    def is_csrf_token(self, login: Login, given: str) -> bool:
        """Whether a form or a script was given the token of this login."""
        return hmac.compare_digest(login.csrf_token.encode(), given.encode("utf-8", "surrogatepass"))

    async def _checked(self, name: str, password: str) -> Account | None:
        checked = await self._hashed(lambda: self.accounts.check(name, password))
        if checked is None:
            return None
        account, fresh_hash = checked
        if fresh_hash:
            self.accounts.renew(account, fresh_hash)
        return self.accounts.get(account.name)

    async def _hashed(self, work: Callable[[], _Result]) -> _Result:
        if self._waiting >= HASHES_WAITING:
            raise TooManyTriesError("too many people log in at the moment: try again in a few seconds")
        self._waiting += 1
        try:
            async with self._hashing:
                return await asyncio.to_thread(work)
        finally:
            self._waiting -= 1
