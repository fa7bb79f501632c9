"""A disk in memory with a volatile write cache, a power switch and faults: the in-memory twin of ``DiskDevice``.

What is written is seen by every later read, but reaches the platter only at ``sync``. ``crash`` keeps of each unsynced
sector any one of its versions, old or new, so writes are torn and reordered as real disks do it; a sector is whole.
"""

import errno
import mmap
import os
import random
from collections.abc import Iterator
from threading import Lock

from protocol.digests import Buffer
from protocol.errors import DiskError

SECTOR = 512


class PowerCutError(Exception):
    """The machine lost power in the middle of an operation; nothing that it ran exists any more."""


class MemoryDevice:
    """A ``BlockDevice`` of ``size`` bytes; faults are set by its public attributes."""

    def __init__(self, size: int, logical_sector_size: int | None = None, content: bytes = b"") -> None:
        self.name = "memory"
        self.size = size
        self.logical_sector_size = logical_sector_size
        self.bad_sectors: set[int] = set()
        """EIO when one of them is read or written"""
        self.lying_sectors: set[int] = set()
        """Writing one of them flips a bit and says nothing"""
        self.fails_next_sync = False
        """EIO by the next sync, and what was in the cache is forgotten, as Linux does it"""
        self.ignores_zeroing = False
        """``zero_range`` says yes and does nothing"""
        self.operations = 0
        """writes, zeroings and syncs so far"""
        self.power_cut_at: int | None = None
        """the power goes away during the operation of this number"""
        self._platter = bytearray(content.ljust(size, b"\0"))
        self._seen = bytearray(self._platter)
        self._unsynced: list[tuple[int, bytes]] = []
        self._lock = Lock()

    def write_at(self, offset: int, data: Buffer) -> None:
        with self._lock:
            data = bytearray(data)
            sectors = self._sectors(offset, len(data))
            self._raise_if_bad("write", sectors)
            for sector in self.lying_sectors.intersection(sectors):
                data[max(0, sector * SECTOR - offset)] ^= 0x10
            self._take(offset, bytes(data))

    def zero_range(self, offset: int, length: int) -> None:
        with self._lock:
            self._raise_if_bad("zero", self._sectors(offset, length))
            self._take(offset, self._seen[offset : offset + length] if self.ignores_zeroing else bytes(length))

    def sync(self) -> None:
        with self._lock:
            self._count()
            if self.fails_next_sync:
                self.fails_next_sync = False
                self._unsynced.clear()
                raise DiskError(self.name, "fsync", os.strerror(errno.EIO))
            for offset, data in self._unsynced:
                self._platter[offset : offset + len(data)] = data
            self._unsynced.clear()

    def data_ranges(self, offset: int, length: int) -> Iterator[tuple[int, int]]:
        yield offset, length

    def is_hole(self, offset: int, length: int) -> bool:
        return False

    def read_uncached(self, offset: int, length: int, buffer: mmap.mmap) -> memoryview:
        with self._lock:
            self._raise_if_bad("read", self._sectors(offset, length))
            view = memoryview(buffer)[:length]
            view[:] = memoryview(self._seen)[offset : offset + length]
            return view

    def close(self) -> None:
        """Nothing to give back: the disk outlives the program."""

    def crash(self, rng: random.Random) -> None:
        """Cut the power and switch it on again: each unsynced sector is on the platter by chance."""
        survival = rng.random()
        for offset, data in self._unsynced:
            for start in range(0, len(data), SECTOR):
                if rng.random() < survival:
                    self._platter[offset + start : offset + start + SECTOR] = data[start : start + SECTOR]
        self._unsynced.clear()
        self._seen = bytearray(self._platter)
        self.power_cut_at = None

    def platter(self) -> bytes:
        """What a cold look at the disk finds."""
        return bytes(self._platter)

    def corrupt(self, offset: int) -> None:
        """Flip a bit of what is there, as a failing disk does it."""
        self._platter[offset] ^= 0x01
        self._seen[offset] ^= 0x01

    def _take(self, offset: int, data: bytes | bytearray) -> None:
        assert 0 <= offset <= offset + len(data) <= self.size
        self._unsynced.append((offset, bytes(data)))
        self._count()
        self._seen[offset : offset + len(data)] = data

    def _count(self) -> None:
        if self.operations == self.power_cut_at:
            raise PowerCutError
        self.operations += 1

    def _raise_if_bad(self, operation: str, sectors: range) -> None:
        for sector in sorted(self.bad_sectors.intersection(sectors)):
            raise DiskError(self.name, operation, os.strerror(errno.EIO), sector * SECTOR)

    def _sectors(self, offset: int, length: int) -> range:
        return range(offset // SECTOR, -(-(offset + length) // SECTOR))
