"""Files of the console's state folder that only its own user may read: whole or not there, whatever happens."""

import os
import stat
from pathlib import Path
from typing import Final

from protocol.errors import ConfigError
from protocol.link.whole_file import replace_whole, sync_folder

MAX_LENGTH: Final = 8 * 1024 * 1024
"""[bytes] of a state file; stops a device or an image that was named by mistake from being read whole."""

_PRIVATE: Final = 0o600


def read_private(path: Path) -> bytes | None:
    """What stands in the file; None when it is not there.

    Raises:
        ConfigError: it cannot be read, others may read it, or it is no regular file of ours.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror}): mend that, or move it away") from error
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise ConfigError(f"{path} is not a regular file: move it away")
        if found.st_mode & 0o077:
            raise ConfigError(f"{path} can be read by other users: chmod 600 it, and change what stands in it")
        data = file.read(MAX_LENGTH + 1)
    if len(data) > MAX_LENGTH:
        raise ConfigError(f"{path} is longer than {MAX_LENGTH} bytes: move it away")
    return data


def write_private(path: Path, data: bytes) -> None:
    """Replace the file: the old content or the new one is there at any moment, on the medium when this returns.

    Raises:
        ConfigError: it cannot be written.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace_whole(path, data, _PRIVATE)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written ({error.strerror}): mend that, and try again") from error


def remove_private(path: Path) -> None:
    """Take the file away, if it is there, for good.

    Raises:
        ConfigError: it cannot be removed.
    """
    try:
        path.unlink(missing_ok=True)
        sync_folder(path.parent)
    except OSError as error:
        raise ConfigError(f"{path} cannot be removed ({error.strerror}): remove it by hand") from error
