"""API tokens: shown once, kept as SHA-256, never more than their maker's role.

A token is 256 random bits, so a fast hash of it is as good as a slow one.
"""

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Final

import msgspec

from dashboards.access.accounts import Accounts
from dashboards.access.names import NAME_PATTERN, judge_name
from dashboards.access.private_files import read_private, write_private
from dashboards.user import Role, User
from protocol.errors import ConfigError, MessageError, RefusedError

MAX_TOKENS: Final = 1000

LAST_USED_STEP: Final = 3600.0
"""[s] between two writes of a token's last use: exact enough to find one that nobody uses, and spares the disk."""

CONSOLE_FILE: Final = "console.json"
"""Name of the file by which a terminal on the same machine finds the console."""

LOCAL_NAME: Final = "local"
"""Name under which the owner of that file acts."""

_PREFIX: Final = "slatecast_"
"""lets scanners for leaked secrets know one"""


class Token(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One token, as it is kept."""

    token_id: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{16}$")]
    name: Annotated[str, msgspec.Meta(pattern=NAME_PATTERN)]
    account: Annotated[str, msgspec.Meta(pattern=NAME_PATTERN)]
    """who made it"""
    role: Role
    digest: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
    """SHA-256"""
    created_at: float
    """seconds since 1970"""
    last_used_at: float | None = None
    """seconds since 1970, a little behind; None before the first use"""
    expires_at: float | None = None
    """seconds since 1970; None for never"""

    def __repr__(self) -> str:
        return f"Token({self.account}/{self.name}, {self.role.name})"


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    tokens: Annotated[tuple[Token, ...], msgspec.Meta(max_length=MAX_TOKENS)] = ()


class ConsoleFile(msgspec.Struct, frozen=True, kw_only=True):
    """What a terminal on the same machine needs to use the API."""

    url: str
    certificate: str
    """PEM of the authority to believe; empty when the console speaks plain HTTP"""
    token: str

    def __repr__(self) -> str:
        return f"ConsoleFile({self.url!r})"


_DECODER: Final = msgspec.json.Decoder(_File)


class Tokens:
    """All tokens; a change is on the disk before it holds."""

    def __init__(self, folder: Path, accounts: Accounts, *, clock: Callable[[], float] = time.time) -> None:
        """Read the tokens of the state folder.

        Raises:
            ConfigError: they cannot be read.
        """
        self._folder = folder
        self._path = folder / "tokens.json"
        self._accounts = accounts
        self._clock = clock
        self._tokens = {token.token_id: token for token in _load(self._path)}
        self._by_digest = {token.digest: token.token_id for token in self._tokens.values()}
        self._local = hashlib.sha256(secrets.token_bytes(32)).hexdigest()
        accounts.on_change.append(self._account_changed)

    def of(self, account: str | None = None) -> list[Token]:
        """The tokens of an account, or all, the newest first."""
        chosen = [token for token in self._tokens.values() if account in {None, token.account}]
        return sorted(chosen, key=lambda token: -token.created_at)

    def get(self, token_id: str) -> Token | None:
        """The token of that id."""
        return self._tokens.get(token_id)

    def make(self, user: User, name: str, role: Role, expires_at: float | None = None) -> tuple[Token, str]:
        """A new token and its secret, which nobody can read again.

        Raises:
            MessageError: the name may not be, or it would have expired.
            RefusedError: the role is beyond the maker's, the name is taken, or there are too many.
        """
        judge_name(name)
        if self._accounts.get(user.name) is None:
            raise RefusedError("a token cannot make tokens: log in with an account")
        if role > user.role:
            raise RefusedError(f"your role is {user.role.name.lower()}: a token cannot have more")
        if expires_at is not None and expires_at <= self._clock():
            raise MessageError("the token would have expired already: choose a later time")
        if any(token.name == name for token in self.of(user.name)):
            raise RefusedError(f"you have a token {name!r}: choose another name, or revoke it first")
        if len(self._tokens) >= MAX_TOKENS:
            raise RefusedError(f"there are {MAX_TOKENS} tokens: revoke one first")
        secret = _PREFIX + secrets.token_urlsafe(32)
        token = Token(
            token_id=secrets.token_hex(8),
            name=name,
            account=user.name,
            role=role,
            digest=_digest(secret),
            created_at=self._clock(),
            expires_at=expires_at,
        )
        self._save({**self._tokens, token.token_id: token})
        return token, secret

    def revoke(self, token_id: str) -> None:
        """End a token.

        Raises:
            RefusedError: there is no such token.
        """
        if token_id not in self._tokens:
            raise RefusedError("there is no such token: look at the list again")
        self._save({each: token for each, token in self._tokens.items() if each != token_id})

    def user_of(self, secret: str) -> User | None:
        """Who acts with the token; None when it is none of ours, has expired, or its account is gone."""
        digest = _digest(secret)
        if hmac.compare_digest(digest, self._local):
            return User(LOCAL_NAME, Role.ADMIN)
        token = self._tokens.get(self._by_digest.get(digest, ""))
        now = self._clock()
        if token is None or (token.expires_at is not None and token.expires_at <= now):
            return None
        account = self._accounts.get(token.account)
        if account is None:
            return None
        if token.last_used_at is None or now - token.last_used_at >= LAST_USED_STEP:
            used = msgspec.structs.replace(token, last_used_at=now)
            self._save({**self._tokens, token.token_id: used})
        return User(f"{token.account}/{token.name}", min(token.role, account.role))

    def write_console_file(self, url: str, certificate: str) -> Path:
        """Draw a new token for terminals of this machine and write it where only our own user finds it.

        Raises:
            ConfigError: the file cannot be written.
        """
        secret = _PREFIX + secrets.token_urlsafe(32)
        path = self._folder / CONSOLE_FILE
        write_private(path, msgspec.json.encode(ConsoleFile(url=url, certificate=certificate, token=secret)))
        self._local = _digest(secret)
        return path

    def _account_changed(self, name: str) -> None:
        """Tokens of an account that was removed must not come back with a new one of that name."""
        if self._accounts.get(name) is None and any(token.account == name for token in self._tokens.values()):
            self._save({each: token for each, token in self._tokens.items() if token.account != name})

    def _save(self, tokens: dict[str, Token]) -> None:
        write_private(self._path, msgspec.json.format(msgspec.json.encode(_File(tuple(tokens.values())))))
        self._tokens = tokens
        self._by_digest = {token.digest: token.token_id for token in tokens.values()}


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _load(path: Path) -> tuple[Token, ...]:
    data = read_private(path)
    if data is None:
        return ()
    try:
        return _DECODER.decode(data).tokens
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise ConfigError(f"{path} is damaged: restore it from a backup, or move it away and make new tokens") from None
