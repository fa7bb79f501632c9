"""The word that may make the first admin, once.

While there is no account, the file ``first-login`` of the state folder holds it; whoever can read that file or the
terminal owns the machine anyway. It is gone as soon as the account is made.
"""

import hmac
import secrets
from pathlib import Path
from typing import Final

from dashboards.access.accounts import Account, Accounts
from dashboards.access.private_files import read_private, remove_private, write_private
from dashboards.user import Role
from protocol.errors import ConfigError, RefusedError
from protocol.words import BITS_PER_WORD, words_of

FIRST_LOGIN: Final = "first-login"
"""Name of the file."""

WORDS: Final = 4
"""[words] 44 bits, behind a rate limit: guessing it takes more years than the room will stand."""

_REFUSAL: Final = "this is not the first-login word: it is printed when slatecast serve starts"


class FirstLogin:
    """Guards the making of the first account."""

    def __init__(self, folder: Path, accounts: Accounts) -> None:
        self._path = folder / FIRST_LOGIN
        self._accounts = accounts

    def prepare(self) -> str | None:
        """The word, made anew if there is none yet; None when there are accounts, and then the file is gone.

        Raises:
            ConfigError: the file cannot be read or written.
        """
        if len(self._accounts):
            remove_private(self._path)
            return None
        word = self._word()
        if word is None:
            word = "-".join(words_of(secrets.token_bytes(-(-WORDS * BITS_PER_WORD // 8)), WORDS))
            write_private(self._path, f"{word}\n".encode())
        return word

    @property
    def is_open(self) -> bool:
        """Whether the first account is still to be made."""
        return not len(self._accounts)

    def check(self, word: str) -> None:
        """Find out whether this is the word.

        Raises:
            RefusedError: it is wrong, or there is an account already.
            ConfigError: the state folder cannot be read.
        """
        expected = self._word() if self.is_open else None
        given = "-".join(word.lower().replace("-", " ").split())
        # Compared even when there is none, so that the time does not tell.
        is_right = hmac.compare_digest(given.encode("utf-8", "replace"), (expected or secrets.token_hex()).encode())
        if expected is None or not is_right:
            raise RefusedError(_REFUSAL)

    def make_admin(self, word: str, name: str, password_hash: str) -> Account:
        """Make the first account.

        Raises:
            RefusedError: the word is wrong, or there is an account already.
            MessageError: the name may not be; the word stays good.
            ConfigError: the state folder cannot be read or written.
        """
        self.check(word)
        account = self._accounts.add(name, password_hash, Role.ADMIN)
        remove_private(self._path)
        return account

    def _word(self) -> str | None:
        data = read_private(self._path)
        if data is None:
            return None
        try:
            word = data.decode("ascii").strip()
        except UnicodeDecodeError:
            word = ""
        if not word:
            raise ConfigError(f"{self._path} is damaged: remove it, and start again for a new word")
        return word
