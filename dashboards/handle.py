"""``console.json``: how commands on the console's own machine find it and speak to it, without anybody's password.

The console writes it at its start, readable for its owner alone: who can read it may do what an operator may.
"""

import contextlib
import os
import secrets
from pathlib import Path
from typing import Annotated, Final

import msgspec

from protocol.errors import ConfigError

HANDLE_FILE: Final = "console.json"

MAX_LENGTH: Final = 64 * 1024
"""[bytes] of the file; it holds one certificate"""


class ConsoleHandle(msgspec.Struct, frozen=True, kw_only=True):
    """Where the console is, and a token of its built-in operator."""

    url: Annotated[str, msgspec.Meta(pattern=r"^https?://[^\s\x00-\x1f\x7f]+/\Z", max_length=300)]
    token: str
    """bearer token of the API, with the rights of an operator"""
    certificate: str = ""
    """PEM of the authority that issued the console's certificate; empty for plain HTTP"""

    def __repr__(self) -> str:
        """Without the token."""
        return f"ConsoleHandle({self.url!r})"


def write_handle(state: Path, handle: ConsoleHandle) -> None:
    """Put it into the state folder, in the place of an earlier one.

    Raises:
        ConfigError: the folder cannot be written.
    """
    path = state / HANDLE_FILE
    staged = state / f".{HANDLE_FILE}.{secrets.token_hex(8)}"
    try:
        descriptor = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.encode(handle))
        staged.rename(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            staged.unlink()
        raise ConfigError(f"{path}: {error.strerror or error}") from None


def remove_handle(state: Path) -> None:
    """Take it away at the end of the console; nothing happens when it is not there."""
    with contextlib.suppress(OSError):
        (state / HANDLE_FILE).unlink()


def read_handle(state: Path) -> ConsoleHandle | None:
    """The handle in this state folder, None when no console has put one there.

    Raises:
        ConfigError: it may not be read, or is damaged.
    """
    path = state / HANDLE_FILE
    try:
        with path.open("rb") as file:
            data = file.read(MAX_LENGTH + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}; give --console and --api-token-file") from None
    try:
        return msgspec.json.decode(data, type=ConsoleHandle)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise ConfigError(f"{path} is damaged: start 'slatecast serve' again") from None
