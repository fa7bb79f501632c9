"""Folders for work in progress in a library: gone when the work ends, and after a crash when the next one begins."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from broadcaster.library.library import Library
from broadcaster.library.store import library_errors

_FOLDER: Final = "scratch"


@contextmanager
def scratch_folder(library: Library) -> Iterator[Path]:
    """An empty folder on the file system of the library, where there is room for disks, readable by nobody else.

    Raises:
        LibraryError: it cannot be made.
    """
    parent = library.root / _FOLDER
    with library_errors(library.root):
        parent.mkdir(mode=0o700, exist_ok=True)
        _remove_leftovers(parent)
        folder = Path(tempfile.mkdtemp(dir=parent))
        # Held as long as the work lasts; it dies with the process, and so tells a leftover from work in progress.
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield folder
    finally:
        os.close(descriptor)
        shutil.rmtree(folder, ignore_errors=True)
        with suppress(OSError):
            parent.rmdir()


def _remove_leftovers(parent: Path) -> None:
    for path in parent.iterdir():
        with suppress(OSError):
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path, ignore_errors=True)
            finally:
                os.close(descriptor)
