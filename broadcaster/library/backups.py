"""The backups of machines in a library (``protocol.backup_names``), and how many of them are kept.

Each version of such an image is a restore point, and stores only the chunks that no other image has.
"""

from collections.abc import Callable
from dataclasses import dataclass

from broadcaster.library.library import Library
from broadcaster.library.removing import is_in_use, remove_image
from protocol.backup_names import backup_name
from protocol.errors import ConfigError
from protocol.manifest import ManifestHeader


@dataclass(frozen=True)
class Retained:
    """What keeping only the newest backups of a machine did."""

    removed: tuple[int, ...]
    """versions, ascending"""
    kept: tuple[int, ...]
    """versions, ascending; more than were to be kept where old ones are in use"""
    freed_bytes: int


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
