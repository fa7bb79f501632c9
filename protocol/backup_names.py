"""Names of backups: images whose names say which machine's disk they hold. Pure.

    backup-office-7                                 of the machine ``office-7``
    backup-52-54-00-12-34-56-XXXXXXXX               of ``52:54:00:12:34:56``, with 8 hex digits of its BLAKE3

A machine whose name an image cannot have, that is too long, or that looks as if it had such digits gets them, so no two
machines have one name. The versions of a backup are its restore points.
"""

import re
from typing import Final

from protocol.digests import raw_digest
from protocol.errors import ConfigError

PREFIX: Final = "backup-"
"""What the names of all backups begin with, and of no other image."""

_LONGEST: Final = 64 - len(PREFIX)
_DIGITS: Final = 8
_FOREIGN: Final = re.compile(r"[^A-Za-z0-9._-]")
_MARKED: Final = re.compile(rf".*-[0-9a-f]{{{_DIGITS}}}", re.ASCII | re.DOTALL)


def backup_name(machine: str) -> str:
    """The name of the image that holds a machine's backups.

    Raises:
        ConfigError: the machine has no name.
    """
    if not machine:
        raise ConfigError("a machine without a name cannot have a backup")
    plain = _FOREIGN.sub("-", machine)
    if plain == machine and len(machine) <= _LONGEST and not _MARKED.fullmatch(machine):
        return PREFIX + machine
    mark = raw_digest(machine.encode(errors="surrogatepass")).hex()[:_DIGITS]
    return f"{PREFIX}{plain[: _LONGEST - _DIGITS - 1]}-{mark}"


def is_backup(name: str) -> bool:
    """Whether an image of this name is a backup of some machine."""
    return name.startswith(PREFIX)
