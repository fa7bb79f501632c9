"""One service at a time in a folder: a flock on the folder itself, which dies with the process, by whatever signal.

Two consoles on one state folder would overwrite each other's accounts and rooms; two broadcasters on one library would
take up each other's suspended casts. Commands that only add or read images are not kept out.
"""

import contextlib
import fcntl
import logging
import os
from collections.abc import Iterator
from pathlib import Path

from protocol.errors import ConfigError

_logger = logging.getLogger(__name__)


@contextlib.contextmanager
def held(folder: Path, key: str) -> Iterator[None]:
    """Keep other services out of ``folder``, which is made if it is not there; ``key`` is where it is configured.

    Raises:
        ConfigError: another service uses it, or it cannot be made or read.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise ConfigError(f"{key} {folder}: {error.strerror or error}") from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(
                f"{key} {folder} is in use by another 'slatecast serve': end that one, or name another folder"
            ) from None
        except OSError as error:  # a network's file system that locks no folders
            _logger.warning("%s %s cannot be locked, so a second service is not noticed: %s", key, folder, error)
        yield
    finally:
        os.close(descriptor)
