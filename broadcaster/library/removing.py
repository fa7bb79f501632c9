"""Taking an image out of the library, with the chunks that no other image needs.

Manifests go first, signatures and chunks after them, so a crash in between leaves complete images and some chunks too
many; the next removal finds those too, since it looks at all chunks of the store. An image that is being cast, exported
or verified is refused. Needs about 8 bytes of memory per chunk in the library.
"""

import fcntl
import os
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from broadcaster.library.library import Library, remove_if_empty
from broadcaster.library.store import library_errors
from protocol.errors import LibraryError
from protocol.link.whole_file import sync_folder

_KEY_LENGTH: Final = 8
"""[bytes] of a digest are enough to know a chunk again: a collision, one in 10^7 for a million chunks, keeps it."""


@dataclass(frozen=True)
class RemoveOutcome:
    """What removing an image did."""

    versions: tuple[int, ...]
    chunk_count: int
    """chunks that nobody needed any more"""
    freed_bytes: int


def remove_image(
    library: Library, name: str, version: int | None = None, on_wait: Callable[[], None] = lambda: None
) -> RemoveOutcome:
    """Remove one version of an image, or all of them; ``on_wait`` is called if another command must finish first.

    Raises:
        ConfigError: no name that an image can have.
        LibraryError: no such image or version, it is in use, or another image's manifest is damaged.
    """
    with library.writing(on_wait), library_errors(library.root), ExitStack() as stack:
        versions = library.versions(name) if version is None else [version]
        library.need_version(name, version)
        doomed = [library.manifest_path(name, number) for number in versions]
        for path in doomed:
            stack.enter_context(_unused(path, name))
        needed = _needed_chunks(library, doomed)
        for path in doomed:
            path.unlink()
        for number in versions:
            library.signature_path(name, number).unlink(missing_ok=True)
        if not library.versions(name):
            _remove_strays(doomed[0].parent)
        sync_folder(doomed[0].parent)
        remove_if_empty(doomed[0].parent)
        freed = [library.store.delete(digest) for digest in library.store.digests() if not _is_in(needed, _key(digest))]
    return RemoveOutcome(tuple(versions), len(freed), sum(freed))


def is_in_use(library: Library, name: str, version: int) -> bool:
    """Whether a version is being cast, exported or verified at this moment.

    Raises:
        LibraryError: no such version, or the library cannot be read.
    """
    library.need_version(name, version)
    with library_errors(library.root):
        try:
            with _unused(library.manifest_path(name, version), name):
                return False
        except LibraryError:
            return True


def _remove_strays(folder: Path) -> None:
    """What a crash left of signatures without a manifest, so that the folder can go."""
    for path in folder.glob("*.signature"):
        path.unlink()


@contextmanager
def _unused(path: Path, name: str) -> Iterator[None]:
    """Hold a manifest so that nobody can start to use it; LibraryError if somebody does already."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise LibraryError(f"image {name} is in use: it is being cast, exported or verified") from error
        yield
    finally:
        os.close(descriptor)


def _needed_chunks(library: Library, doomed: list[Path]) -> "array[int]":
    """The sorted keys of all chunks of all other manifests; an unreadable one stops us before anything is gone."""
    keys = array("Q")
    for name in library.names():
        for version in library.versions(name):
            if library.manifest_path(name, version) not in doomed:
                keys.extend(_key(chunk.raw_digest) for chunk in library.load(name, version))
    return array("Q", sorted(keys))


def _key(digest: bytes) -> int:
    return int.from_bytes(digest[:_KEY_LENGTH])


def _is_in(keys: "array[int]", key: int) -> bool:
    index = bisect_left(keys, key)
    return index < len(keys) and keys[index] == key
