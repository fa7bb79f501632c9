"""Replaces a file as a whole: the old one or the new one is there, even after a power cut."""

import contextlib
import os
import secrets
from pathlib import Path


def replace_whole(path: Path, data: bytes, mode: int) -> None:
    """Put ``data`` in the place of what ``path`` names, on the medium when this returns; its folder must be there.

    A link is replaced, not followed. The new file has ``mode`` from its first byte on.

    Raises:
        OSError: the old one had to stay.
    """
    beside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode), "wb") as new:
            new.write(data)
            new.flush()
            os.fsync(new.fileno())
        beside.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Put what was renamed or removed in ``folder`` on the medium.

    Raises:
        OSError: that failed.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
