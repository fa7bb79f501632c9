"""A cap on what all casts of this machine send on one interface together: a token bucket that its processes share.

The state is the one moment from which the link is free, 8 bytes in a small file that all processes of a user open. Who
wants to send takes the next piece of time and moves that moment on; whoever sends nothing takes nothing, so that the
others have all of it. Times are of CLOCK_MONOTONIC, which is the same for all processes of a machine. The lock goes
with a process that is killed, and a moment too far ahead is not believed. Casts of other users have a cap of their own:
a file that they may write is not one to trust. ``reserve`` may be called from any thread, and never sleeps for long.
"""

import fcntl
import os
import stat
import struct
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self
from urllib.parse import quote

from broadcaster.pacing import BURST_SECONDS
from protocol.errors import ConfigError

SHARED_MEMORY: Final = Path("/dev/shm")
"""Where Linux keeps small files of all processes in memory; empty after each boot."""

LONGEST_QUEUE: Final = 1.0
"""[s] Chosen: far more than all casts of a host wait for each other; a moment further ahead is of another boot."""

LOCK_PATIENCE: Final = 0.01
"""[s] A process that was stopped in between must not stop the others: then two may take the same piece of time."""

_LOCK_POLL: Final = 0.0002
"""[s] The lock is held for a few microseconds."""

_STATE: Final = struct.Struct("=d")


class HostRate:
    """One process's hold of the cap; a context manager."""

    def __init__(
        self,
        interface_name: str,
        bits_per_second: int,
        *,
        folder: Path | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Join the cap of ``interface_name``, or found it.

        Args:
            interface_name: casts on other interfaces are not counted.
            bits_per_second: of the link, Ethernet headers included; every cast keeps to the one that it was given.
            folder: where the shared file is, for tests.
            clock: the same for all that share, for tests.

        Raises:
            ConfigError: the rate is not positive, or there is no file that can be shared safely.
        """
        if bits_per_second <= 0:
            raise ConfigError(f"a rate of {bits_per_second} bit/s sends nothing; give at least 1 bit/s")
        self.bits_per_second = bits_per_second
        self._clock = clock
        self._own_threads = threading.Lock()
        self._descriptor = _open_shared(_shared_path(interface_name, folder))

    def reserve(self, length_on_link: int) -> float:
        """Take the next piece of time for ``length_on_link`` bytes, headers included; the seconds until it begins."""
        with self._own_threads:
            is_locked = self._lock()
            try:
                now = self._clock()
                start = self._free_from(now)
                os.pwrite(self._descriptor, _STATE.pack(start + length_on_link * 8 / self.bits_per_second), 0)
            finally:
                if is_locked:
                    fcntl.flock(self._descriptor, fcntl.LOCK_UN)
        return max(0.0, start - now)

    def close(self) -> None:
        """Leave the cap; again has no effect. The others go on."""
        with self._own_threads:
            if self._descriptor >= 0:
                os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _free_from(self, now: float) -> float:
        """When the link is free; a pause buys no more than a burst, and what cannot be true is not waited for."""
        state = os.pread(self._descriptor, _STATE.size, 0)
        free_from = _STATE.unpack(state)[0] if len(state) == _STATE.size else now
        if not free_from <= now + LONGEST_QUEUE:  # also what is no number
            free_from = now
        return float(max(free_from, now - BURST_SECONDS))

    def _lock(self) -> bool:
        # flock belongs to the open file, so it keeps apart what threads and processes opened on their own.
        deadline = time.monotonic() + LOCK_PATIENCE
        while True:
            with suppress(BlockingIOError):
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
            if time.monotonic() >= deadline:
                return False
            time.sleep(_LOCK_POLL)


def _shared_path(interface_name: str, folder: Path | None) -> Path:
    if folder is None:
        folder = SHARED_MEMORY if SHARED_MEMORY.is_dir() else Path(tempfile.gettempdir())
    return folder / f"slatecast-rate-{os.getuid()}-{quote(interface_name, safe='')}"


def _open_shared(path: Path) -> int:
    """Open or create ``path``; never what another user made there, nor what a link leads to."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
    except OSError as error:
        raise ConfigError(f"the rate of this machine cannot be capped: {path}: {error.strerror}") from error
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o077:
        os.close(descriptor)
        raise ConfigError(f"the rate of this machine cannot be capped: {path} is not a file of ours; remove it")
    return descriptor
