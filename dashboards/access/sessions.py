"""Logins: who is behind which cookie, and until when.

They live in memory only, as digests of their ids: a restart of the console ends them all, and a picture of the memory
logs nobody in. ``now`` is handed in, in monotonic seconds.
"""

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from dashboards.access.accounts import Account, Accounts
from dashboards.user import User

IDLE_LIMIT: Final = 4 * 3600.0
"""[s] without a deed of its operator until a login ends: longer than any cast that somebody watches."""

ABSOLUTE_LIMIT: Final = 16 * 3600.0
"""[s] from login to its end, whatever happens: one long working day."""

MAX_LOGINS: Final = 10_000
"""[logins] held at once; the one that did nothing for longest makes room."""

MAX_LOGINS_PER_ACCOUNT: Final = 100
"""[logins] of one account at once, so that one account cannot push out the others."""


@dataclass(slots=True, eq=False)
class Login:
    """One login of one browser."""

    user: User
    csrf_token: str = field(repr=False)
    """that pages put into forms and scripts into a header"""
    begun_at: float
    """monotonic seconds"""
    used_at: float
    """monotonic seconds of the operator's last deed"""
    is_ended: bool = False
    on_end: list[Callable[[], object]] = field(default_factory=list, repr=False)
    """called once, when the login ends"""

    def end(self) -> None:
        """End it; nothing happens when it has ended."""
        if self.is_ended:
            return
        self.is_ended = True
        for called in self.on_end:
            called()
        self.on_end.clear()


class Sessions:
    """All logins that have not ended."""

    def __init__(
        self,
        accounts: Accounts,
        *,
        idle_limit: float = IDLE_LIMIT,
        absolute_limit: float = ABSOLUTE_LIMIT,
        max_logins: int = MAX_LOGINS,
    ) -> None:
        self._idle_limit = idle_limit
        self._absolute_limit = absolute_limit
        self._max_logins = max_logins
        self._logins: dict[str, Login] = {}
        accounts.on_change.append(self.end_all_of)

    def __len__(self) -> int:
        return len(self._logins)

    def begin(self, account: Account, now: float) -> tuple[str, Login]:
        """A new login: the id for the cookie, which is nowhere else, and what it stands for."""
        self.end_overdue(now)
        own = [digest for digest, login in self._logins.items() if login.user.name == account.name]
        if len(own) >= MAX_LOGINS_PER_ACCOUNT:
            self._end(min(own, key=self._last_use))
        elif len(self._logins) >= self._max_logins:
            self._end(min(self._logins, key=self._last_use))
        session_id = secrets.token_urlsafe(32)
        login = Login(account.user, secrets.token_urlsafe(32), now, now)
        self._logins[_digest(session_id)] = login
        return session_id, login

    def get(self, session_id: str, now: float, *, is_deed: bool = True) -> Login | None:
        """The login of a cookie; None when it is forged or has ended.

        Args:
            session_id: as the cookie says.
            now: monotonic seconds.
            is_deed: whether its operator did something, and did not only leave a page open.
        """
        digest = _digest(session_id)
        login = self._logins.get(digest)
        if login is None:
            return None
        if self.ends_at(login) <= now:
            self._end(digest)
            return None
        if is_deed:
            login.used_at = now
        return login

    def end(self, session_id: str) -> None:
        """End the login of a cookie, if there is one."""
        digest = _digest(session_id)
        if digest in self._logins:
            self._end(digest)

    def end_all_of(self, name: str) -> None:
        """End every login of an account."""
        for digest in [digest for digest, login in self._logins.items() if login.user.name == name]:
            self._end(digest)

    def end_overdue(self, now: float) -> None:
        """End every login whose time is over."""
        for digest in [digest for digest, login in self._logins.items() if self.ends_at(login) <= now]:
            self._end(digest)

    def ends_at(self, login: Login) -> float:
        """Monotonic seconds at which the login ends by itself."""
        return min(login.used_at + self._idle_limit, login.begun_at + self._absolute_limit)

    def _last_use(self, digest: str) -> float:
        return self._logins[digest].used_at

    def _end(self, digest: str) -> None:
        self._logins.pop(digest).end()


def _digest(session_id: str) -> str:
    return hashlib.sha256(session_id.encode("utf-8", "surrogatepass")).hexdigest()
