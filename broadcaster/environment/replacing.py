"""Puts a folder in another's place in one step, so that who serves it finds the old one or the new one.

Refuses to take the place of anything that is not an environment.
"""

import ctypes
import errno
import os
import shutil
from pathlib import Path
from typing import Final

from broadcaster.environment.description import DESCRIPTION, FILES
from protocol.errors import ConfigError

AT_FDCWD: Final = -100
RENAME_EXCHANGE: Final = 2
"""renameat2(2): both names change owners at once"""


def check_replaceable(output: Path) -> None:
    """Nothing, if ``output`` is free, empty, or an environment.

    Raises:
        ConfigError: it is something else.
    """
    if not output.exists():
        return
    if not output.is_dir():
        raise ConfigError(f"{output} is a file: give a folder that is free, or an older environment")
    others = {path.name for path in output.iterdir()} - {*FILES, DESCRIPTION}
    if others:
        raise ConfigError(f"{output} holds {min(others)}: give a folder that is free, or an older environment")


def replace_folder(new: Path, output: Path) -> None:
    """Make ``new`` the folder ``output``; what was there is removed afterwards.

    Raises:
        OSError: it cannot be done; then nothing has changed.
    """
    if not output.exists():
        new.rename(output)
        return
    try:
        _exchange(new, output)
    except OSError as error:
        # Some file systems cannot; there the old folder steps aside, and comes back if the new one cannot take over.
        if error.errno not in {errno.EINVAL, errno.ENOSYS}:
            raise
        aside = new.with_name(f"{new.name}.old")
        output.rename(aside)
        try:
            new.rename(output)
        except OSError:
            aside.rename(output)
            raise
        shutil.rmtree(aside)
    else:
        shutil.rmtree(new)


def _exchange(first: Path, second: Path) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    if library.renameat2(AT_FDCWD, os.fsencode(first), AT_FDCWD, os.fsencode(second), RENAME_EXCHANGE) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(second))
