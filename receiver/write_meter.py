"""Measures what a disk takes and how long it keeps its writers waiting; changes nothing that passes through.

The share of the time in which at least one write runs tells a slow disk from a slow network. A write that does not
come back (a disk that stalls) counts while it runs, so the share rises at once and not when it is over.
"""

import mmap
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock

from protocol.digests import Buffer
from receiver.blockdevice import BlockDevice


class MeteredDevice:
    """``device`` with two counters, which any thread may read at any time."""

    def __init__(self, device: BlockDevice, clock: Callable[[], float] = time.monotonic) -> None:
        """``clock`` gives monotonic seconds."""
        self._device = device
        self._clock = clock
        self._lock = Lock()
        self._running = 0
        self._busy_since = 0.0
        self._busy_before = 0.0
        self._bytes_written = 0

    @property
    def bytes_written(self) -> int:
        """Bytes of all writes that succeeded; zeroed ranges are not among them, since most need no write."""
        return self._bytes_written

    @property
    def busy_seconds(self) -> float:
        """Seconds in which at least one write, zeroing or sync ran, the ones that still run included."""
        with self._lock:
            return self._busy_before + (self._clock() - self._busy_since if self._running else 0.0)

    @property
    def name(self) -> str:
        """As the device says."""
        return self._device.name

    @property
    def size(self) -> int:
        """Bytes."""
        return self._device.size

    @property
    def logical_sector_size(self) -> int | None:
        """Bytes; None where any sector size fits."""
        return self._device.logical_sector_size

    def write_at(self, offset: int, data: Buffer) -> None:
        """As the device does it, measured."""
        with self._busy():
            self._device.write_at(offset, data)
        with self._lock:
            self._bytes_written += len(data)

    def zero_range(self, offset: int, length: int) -> None:
        """As the device does it, measured."""
        with self._busy():
            self._device.zero_range(offset, length)

    def sync(self) -> None:
        """As the device does it, measured."""
        with self._busy():
            self._device.sync()

    def data_ranges(self, offset: int, length: int) -> Iterator[tuple[int, int]]:
        """As the device does it."""
        return self._device.data_ranges(offset, length)

    def is_hole(self, offset: int, length: int) -> bool:
        """As the device says."""
        return self._device.is_hole(offset, length)

    def read_uncached(self, offset: int, length: int, buffer: mmap.mmap) -> memoryview:
        """As the device does it."""
        return self._device.read_uncached(offset, length, buffer)

    @contextmanager
    def _busy(self) -> Iterator[None]:
        with self._lock:
            if not self._running:
                self._busy_since = self._clock()
            self._running += 1
        try:
            yield
        finally:
            with self._lock:
                self._running -= 1
                if not self._running:
                    self._busy_before += self._clock() - self._busy_since
