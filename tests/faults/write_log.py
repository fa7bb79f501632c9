"""What a disk was told, in order, and every disk that a power cut would have left of it.

Reads the format of dm-log-writes (Documentation/admin-guide/device-mapper/log-writes.rst), which QEMU's blklogwrites
writes too. A disk keeps what it was told before the last flush that it answered. Of what came after it keeps any part:
a prefix, all but one, any choice, and of one write only some sectors; a sector of 512 bytes is whole, old or new.
"""

import random
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final

from tests.broadcaster.library.disks import SECTOR

_MAGIC: Final = 0x6A736677736872
_VERSION: Final = 1
_SUPER_BLOCK: Final = struct.Struct("<QQQI")
"""magic, version, number of entries, sector size"""
_ENTRY: Final = struct.Struct("<QQQQ")
"""sector, number of sectors, flags, length of a mark's text"""
_FLUSH: Final = 1
_FUA: Final = 2
_DISCARD: Final = 4

PHYSICAL_SECTOR: Final = 4096
"""[bytes] The part of a last write that is torn: what a disk of today writes at once."""


@dataclass(frozen=True, slots=True)
class Write:
    """One write: what from which byte on."""

    offset: int
    data: bytes

    def apply(self, disk: bytearray) -> None:
        """Put it on a disk."""
        disk[self.offset : self.offset + len(self.data)] = self.data


@dataclass(frozen=True, slots=True)
class Cut:
    """A disk after a power cut."""

    name: str
    """how it came about, the same one every time"""
    disk: bytearray
    """good until the next cut is asked for"""


def read_epochs(log: Path) -> list[list[Write]]:
    """The writes of a log, cut at its flushes: what lies in one list may reach the medium in any order."""
    content = memoryview(log.read_bytes())
    magic, version, count, sector_size = _SUPER_BLOCK.unpack_from(content)
    assert (magic, version, sector_size) == (_MAGIC, _VERSION, SECTOR), "not a log of writes"
    epochs: list[list[Write]] = [[]]
    position = SECTOR
    for _ in range(count):
        sector, sectors, flags, text_length = _ENTRY.unpack_from(content, position)
        assert text_length == 0, "marks are not in use here"
        position += SECTOR
        if flags & (_FLUSH | _FUA) and epochs[-1]:
            epochs.append([])
        if sectors and flags & _DISCARD:
            epochs[-1].append(Write(sector * SECTOR, bytes(sectors * SECTOR)))
        elif sectors:
            length = sectors * SECTOR
            epochs[-1].append(Write(sector * SECTOR, bytes(content[position : position + length])))
            position += length
        if flags & _FUA:
            epochs.append([])
    return [epoch for epoch in epochs if epoch]


def power_cuts(before: bytes, epochs: list[list[Write]], cuts_per_epoch: int, seed: int) -> Iterator[Cut]:
    """Every flush boundary, and at least ``cuts_per_epoch`` disks within each epoch (fewer where it has few writes).

    Within an epoch, half are prefixes with a torn last write, half any choice of its writes, in any order.
    """
    rng = random.Random(seed)
    flushed = bytearray(before)
    yield Cut("before the first write", flushed)
    for number, epoch in enumerate(epochs):
        for kept in sorted(rng.sample(range(len(epoch)), min(len(epoch), cuts_per_epoch - cuts_per_epoch // 2))):
            disk = bytearray(flushed)
            for write in epoch[:kept]:
                write.apply(disk)
            yield Cut(f"flush {number}, {kept} writes", disk)
            for write in _torn(epoch[kept], rng):
                write.apply(disk)
            yield Cut(f"flush {number}, {kept} writes and a torn one", disk)
        for trial in range(min(2 ** len(epoch), cuts_per_epoch // 2)):
            disk = bytearray(flushed)
            chosen = [write for write in epoch if rng.random() < 0.5]
            # Two writes of the same place stay in order: a disk's cache holds one version of a sector.
            for write in chosen:
                write.apply(disk)
            yield Cut(f"flush {number}, choice {trial} of {len(chosen)} writes", disk)
        for write in epoch:
            write.apply(flushed)
        yield Cut(f"flush {number + 1}", flushed)


def _torn(write: Write, rng: random.Random) -> Iterator[Write]:
    """All of a write but some sectors of its last 4 KiB."""
    start = (len(write.data) - 1) // PHYSICAL_SECTOR * PHYSICAL_SECTOR
    yield Write(write.offset, write.data[:start])
    for at, end in pairwise(range(start, len(write.data) + SECTOR, SECTOR)):
        if rng.random() < 0.5:
            yield Write(write.offset + at, write.data[at:end])
