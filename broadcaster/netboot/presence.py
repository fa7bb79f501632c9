"""Whether anybody serves the boot orders: a netboot part holds a lock beside their file, which dies with its process.

The broadcaster makes the file and tries the lock; the netboot part may belong to another user, and only holds it. No
clock is asked and nothing is written into it. On a file system that knows no locks nobody is seen to serve.
"""

import contextlib
import fcntl
import os
from pathlib import Path
from typing import Final

ENDING: Final = ".served"
"""Of the file's name, behind that of the orders."""

_OPEN: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW


def is_served(orders: Path) -> bool:
    """Whether a netboot part reads these orders now; blocks for a moment, never raises."""
    try:
        descriptor = os.open(_mark_of(orders), _OPEN | os.O_CREAT, 0o600)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return False


class ServingMark:
    """Says that these orders are served, from the first ``hold`` that finds the broadcaster's file until ``close``."""

    def __init__(self, orders: Path) -> None:
        self._path = _mark_of(orders)
        self._descriptor: int | None = None

    def hold(self) -> None:
        """Say so; to be repeated, since the broadcaster may come later, or make its folder anew. Never raises."""
        if self._is_held():
            return
        self.close()
        with contextlib.suppress(OSError):  # the broadcaster has not made it yet, or tries it at this moment
            descriptor = os.open(self._path, _OPEN)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except OSError:
                os.close(descriptor)
                raise
            self._descriptor = descriptor

    def close(self) -> None:
        """Say so no more."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _is_held(self) -> bool:
        if self._descriptor is None:
            return False
        try:
            return os.path.samestat(os.fstat(self._descriptor), self._path.stat())
        except OSError:
            return False


def _mark_of(orders: Path) -> Path:
    return orders.with_name(orders.name + ENDING)
