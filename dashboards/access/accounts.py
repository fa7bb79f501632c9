"""The accounts of the console, in one file that only it may read.

Passwords are kept as argon2id hashes. A login of an unknown name costs the same hash as one of a known name, so the
time of the answer tells nobody which names there are.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Final

import msgspec
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from dashboards.access.names import NAME_PATTERN, judge_name, judge_password
from dashboards.access.private_files import read_private, write_private
from dashboards.user import Role, User
from protocol.errors import ConfigError, RefusedError

ACCOUNTS_FILE: Final = "accounts.json"
"""Where they are kept, in the console's state folder."""

MAX_ACCOUNTS: Final = 1000

_STRANGER: Final = "nobody has this password"


class Account(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One account, as it is kept."""

    name: Annotated[str, msgspec.Meta(pattern=NAME_PATTERN)]
    role: Role
    password_hash: Annotated[str, msgspec.Meta(min_length=1, max_length=512)]
    """argon2id in its own text form, parameters and salt included"""
    created_at: float
    """seconds since 1970"""
    changed_at: float
    """seconds since 1970, when password or role were last set"""

    def __repr__(self) -> str:
        return f"Account({self.name!r}, {self.role.name})"

    @property
    def user(self) -> User:
        """Who acts with this account."""
        return User(self.name, self.role)


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    accounts: Annotated[tuple[Account, ...], msgspec.Meta(max_length=MAX_ACCOUNTS)] = ()


_DECODER: Final = msgspec.json.Decoder(_File)


class Accounts:
    """All accounts; every change is on the disk before it holds.

    ``hashed`` and ``check`` take tens of milliseconds on purpose and change nothing: they may run in a thread.
    """

    def __init__(
        self, path: Path, *, hasher: PasswordHasher | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        """Read ``path``, which need not exist.

        Raises:
            ConfigError: it cannot be read, or holds no accounts.
        """
        self._path = path
        self._hasher = hasher or PasswordHasher()
        self._clock = clock
        self._stranger = self._hasher.hash(_STRANGER)
        self._accounts = {account.name: account for account in _load(path)}
        self.on_change: list[Callable[[str], object]] = []
        """told the name of an account whose password or role was changed, or that was removed"""

    def __len__(self) -> int:
        return len(self._accounts)

    def get(self, name: str) -> Account | None:
        """The account of that name."""
        return self._accounts.get(name)

    def all(self) -> list[Account]:
        """All accounts by name."""
        return sorted(self._accounts.values(), key=lambda account: account.name)

    def hashed(self, name: str, password: str) -> str:
        """What ``add`` and ``set_password`` keep of a password.

        Raises:
            MessageError: name or password may not be.
        """
        return self._hasher.hash(judge_password(judge_name(name), password))

    def check(self, name: str, password: str) -> tuple[Account, str] | None:
        """The account, if this is its password, with a fresh hash if the kept one is weaker than those of today.

        Takes the same time when there is no such account.
        """
        account = self._accounts.get(name)
        known = self._stranger if account is None else account.password_hash
        try:
            self._hasher.verify(known, password.encode("utf-8", "surrogatepass"))
        except (VerificationError, InvalidHashError):
            return None
        if account is None:
            return None
        return account, self._hasher.hash(password) if self._hasher.check_needs_rehash(known) else ""

    def renew(self, account: Account, password_hash: str) -> None:
        """Keep a fresh hash of the same password, if the account is still as it was; its logins go on."""
        if self._accounts.get(account.name) is account:
            renewed = msgspec.structs.replace(account, password_hash=password_hash)
            self._save({**self._accounts, account.name: renewed})

    def add(self, name: str, password_hash: str, role: Role) -> Account:
        """Make an account.

        Raises:
            MessageError: the name may not be.
            RefusedError: the name is taken, or there are too many accounts.
        """
        judge_name(name)
        if name in self._accounts:
            raise RefusedError(f"there is an account {name!r}: choose another name")
        if len(self._accounts) >= MAX_ACCOUNTS:
            raise RefusedError(f"there are {MAX_ACCOUNTS} accounts: remove one first")
        now = self._clock()
        account = Account(name=name, role=role, password_hash=password_hash, created_at=now, changed_at=now)
        self._save({**self._accounts, name: account})
        return account

    def set_password(self, name: str, password_hash: str) -> Account:
        """Give an account another password; its logins end.

        Raises:
            RefusedError: there is no such account.
        """
        return self._replace(self._known(name), password_hash=password_hash)

    def set_role(self, name: str, role: Role) -> Account:
        """Give an account another role; its logins end.

        Raises:
            RefusedError: there is no such account, or it is the last admin.
        """
        account = self._known(name)
        if role is account.role:
            return account
        if role is not Role.ADMIN:
            self._keep_an_admin(account)
        return self._replace(account, role=role)

    def remove(self, name: str) -> None:
        """Remove an account; its logins and tokens end.

        Raises:
            RefusedError: there is no such account, or it is the last admin.
        """
        account = self._known(name)
        self._keep_an_admin(account)
        self._save({each: kept for each, kept in self._accounts.items() if each != name})
        self._tell(name)

    def _known(self, name: str) -> Account:
        account = self._accounts.get(name)
        if account is None:
            raise RefusedError("there is no such account: look at the list again")
        return account

    def _keep_an_admin(self, account: Account) -> None:
        admins = [each for each in self._accounts.values() if each.role is Role.ADMIN]
        if admins == [account]:
            raise RefusedError(f"{account.name!r} is the last admin: make another admin first")

    def _replace(self, account: Account, *, role: Role | None = None, password_hash: str | None = None) -> Account:
        changed = msgspec.structs.replace(
            account,
            role=account.role if role is None else role,
            password_hash=account.password_hash if password_hash is None else password_hash,
            changed_at=self._clock(),
        )
        self._save({**self._accounts, account.name: changed})
        self._tell(account.name)
        return changed

    def _save(self, accounts: dict[str, Account]) -> None:
        write_private(self._path, msgspec.json.format(msgspec.json.encode(_File(tuple(accounts.values())))))
        self._accounts = accounts

    def _tell(self, name: str) -> None:
        for told in self.on_change:
            told(name)


def _load(path: Path) -> tuple[Account, ...]:
    data = read_private(path)
    if data is None:
        return ()
    try:
        accounts = _DECODER.decode(data).accounts
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise ConfigError(f"{path} is damaged: restore it from a backup, or move it away and begin anew") from None
    if len({account.name for account in accounts}) < len(accounts):
        raise ConfigError(f"{path} names an account twice: remove one of them")
    return accounts
