"""The backups of machines: images whose names say which machine's disk they hold, and how many of them are kept.

    backup-office-7                                 of the machine ``office-7``
    backup-52-54-00-12-34-56-XXXXXXXX               of ``52:54:00:12:34:56``, with 8 hex digits of its BLAKE3

A machine whose name an image cannot have, that is too long, or that looks as if it had such digits gets them, so no two
machines have one name. The versions of a backup are its restore points; each stores only the chunks that no image has.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from broadcaster.library.library import Library
from broadcaster.library.removing import is_in_use, remove_image
from protocol.digests import raw_digest
from protocol.errors import ConfigError
from protocol.manifest import ManifestHeader

PREFIX: Final = "backup-"
"""What the names of all backups begin with, and of no other image."""

_LONGEST: Final = 64 - len(PREFIX)
_DIGITS: Final = 8
_FOREIGN: Final = re.compile(r"[^A-Za-z0-9._-]")
_MARKED: Final = re.compile(rf".*-[0-9a-f]{{{_DIGITS}}}", re.ASCII | re.DOTALL)


@dataclass(frozen=True)
class Retained:
    """What keeping only the newest backups of a machine did."""

    removed: tuple[int, ...]
    """versions, ascending"""
    kept: tuple[int, ...]
    """versions, ascending; more than were to be kept where old ones are in use"""
    freed_bytes: int


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


def backups_of(library: Library, machine: str) -> list[ManifestHeader]:
    """The backups of a machine, the newest first; empty if it has none.

    Raises:
        LibraryError: one of them is damaged, or the library cannot be read.
    """
    name = backup_name(machine)
    return [library.header(name, version) for version in reversed(library.versions(name))]


def keep_newest(library: Library, machine: str, count: int, on_wait: Callable[[], None] = lambda: None) -> Retained:
    """Remove all backups of a machine but the newest ``count``; one that is in use stays until the next time.

    Raises:
        ConfigError: ``count`` is less than one.
        LibraryError: the library cannot be read or written.
    """
    if count < 1:
        raise ConfigError(f"{count} backups cannot be kept: one is the least")
    name = backup_name(machine)
    versions = library.versions(name)
    removed, freed = [], 0
    for version in versions[:-count]:
        if not is_in_use(library, name, version):
            freed += remove_image(library, name, version, on_wait).freed_bytes
            removed.append(version)
    kept = tuple(version for version in versions if version not in removed)
    return Retained(tuple(removed), kept, freed)
