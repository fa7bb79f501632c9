"""What accounts, tokens and passwords may look like. Pure.

A token acts under the name ``account/token``, which has to fit into a name of the protocol (64 characters), stand in
an audit log, a header and a page without quoting, and never look like another one; so names are plain ASCII.
"""

import re
from typing import Final

from dashboards.desk_rules import SELF_SERVICE
from protocol.errors import MessageError

MAX_NAME: Final = 31
"""[characters] of an account's or token's name: two of them and a stroke are 63."""

MIN_PASSWORD: Final = 10
"""[characters] NIST SP 800-63B asks for 8 at least; without a second factor we ask for a little more."""

MAX_PASSWORD: Final = 256
"""[characters] so that nobody lets us hash a megabyte"""

NAME_PATTERN: Final = r"^[a-z0-9][a-z0-9._-]{0,30}$"
_NAME: Final = re.compile(NAME_PATTERN.removesuffix("$") + r"\Z")


def judge_name(name: str) -> str:
    """The name, if an account or token may have it.

    Raises:
        MessageError: it may not.
    """
    if not _NAME.match(name):
        raise MessageError(
            f"a name has 1 to {MAX_NAME} of a-z, 0-9, dot, dash and underscore, and begins with a letter or digit"
        )
    if name == SELF_SERVICE:
        raise MessageError(f"{name} stands for seats that restore themselves: choose another name")
    return name


def judge_password(name: str, password: str) -> str:
    """The password, if the account may have it.

    Raises:
        MessageError: it may not; the text never holds it.
    """
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        raise MessageError(f"a password has {MIN_PASSWORD} to {MAX_PASSWORD} characters: choose another")
    if not password.isprintable():
        raise MessageError("a password has printable characters only: choose another")
    if name in password.lower() or len(set(password)) < 4:
        raise MessageError("this password is too easy to guess: choose one without your name and with more letters")
    return password
