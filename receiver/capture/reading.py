"""What of a disk travels, and reading it: used blocks only, without deleted files and without what was paged out.

A chunk is read, or must read as zeros, or lies wholly in space that was proved free. What cannot be proved is read.
Invariant: nothing here writes to the disk.
"""

import errno
import os
from array import array
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Final, NamedTuple

from protocol.capture import CapturedDisk, Finding
from protocol.digests import DIGEST_LENGTH
from protocol.disk.chunk_plan import ChunkPlan, plan_chunks
from protocol.disk.partitions import PartitionTable, read_partition_table
from protocol.disk.source import Source
from protocol.disk.used_blocks import UsedBlocks, every_block, find_used_blocks
from protocol.errors import SourceError
from protocol.fields import MAX_SHORT_TEXT
from protocol.manifest import CHUNK_SIZE, PartitionInfo
from protocol.ranges import RangeSet
from receiver.capture.page_files import PageFiles, find_page_files

_ZEROS: Final = bytes(CHUNK_SIZE)
_GONE: Final = (errno.ENODEV, errno.ENXIO, errno.ENOMEDIUM, errno.ENOENT)
_PROVED: Final = "partclone."
"""How the method of a file system begins whose own map was believed, so that it is clean."""


class Reading(NamedTuple):
    """A chunk as it lies on the disk, and which of its bytes are to be blanked."""

    chunk_id: int
    raw: bytes
    blank_parts: list[tuple[int, int]]


@dataclass(frozen=True)
class Survey:
    """What is known of a disk before it is read."""

    source: Source
    table: PartitionTable
    found: tuple[UsedBlocks, ...]
    """per partition"""
    page_files: tuple[PageFiles, ...]
    """per partition"""
    plan: ChunkPlan

    @property
    def bytes_to_read(self) -> int:
        """Bytes."""
        return len(self.plan.read) * CHUNK_SIZE

    @property
    def skipped_bytes(self) -> int:
        """Bytes of page and swap files that are not read."""
        return sum(len(each.skipped) for each in self.page_files)

    def readings(self) -> Iterator[Reading]:
        """Every chunk of the plan, in disk order.

        Raises:
            SourceError: the disk cannot be read; the text names the sector.
        """
        with suppress(OSError):  # a hint, which not everything that can be read takes
            os.posix_fadvise(self.source.descriptor, 0, 0, os.POSIX_FADV_SEQUENTIAL)
        for chunk_id, blank_parts in self.plan.reads():
            yield Reading(chunk_id, _read_chunk(self.source, chunk_id), blank_parts)


@dataclass
class Rows:
    """Which chunks the image has, packed, in disk order; and which of those that were read are all zeros."""

    chunk_ids: "array[int]" = field(default_factory=lambda: array("I"))
    digests: bytearray = field(default_factory=bytearray)
    zero: RangeSet = field(default_factory=RangeSet)

    def add(self, chunk_id: int, digest: bytes | None) -> None:
        """The next chunk; None for zeros."""
        if digest is None:
            self.zero.add(chunk_id)
        else:
            self.chunk_ids.append(chunk_id)
            self.digests += digest

    def __len__(self) -> int:
        return len(self.chunk_ids)

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        for index, chunk_id in enumerate(self.chunk_ids):
            yield chunk_id, bytes(self.digests[index * DIGEST_LENGTH : (index + 1) * DIGEST_LENGTH])


def survey(source: Source, scratch: Path) -> Survey:
    """Find out what is in use; ``scratch`` is a folder for partclone's map.

    Raises:
        SourceError: the source cannot be read as a disk.
        LibraryError: a tool is missing.
    """
    table = read_partition_table(source)
    found = tuple(
        every_block("partitions overlap") if table.overlapping else find_used_blocks(source, partition, scratch)
        for partition in table.partitions
    )
    page_files = []
    for partition, used in zip(table.partitions, found, strict=True):
        pages = PageFiles(RangeSet())
        if used.method.startswith(_PROVED):
            try:
                pages = find_page_files(source, partition)
            except OSError as error:
                pages = PageFiles(RangeSet(), (("page and swap files", str(error)),))
        page_files.append(pages)
    free = RangeSet(chain.from_iterable(used.free.ranges() for used in found))
    skipped = RangeSet(chain.from_iterable(pages.skipped.ranges() for pages in page_files))
    data = RangeSet(source.data_ranges())
    blank = RangeSet(free.ranges())
    for start, stop in skipped.ranges():
        data.discard(start, stop)
        blank.add(start, stop)
    plan = plan_chunks(source.size, data.ranges(), free)
    return Survey(source, table, found, tuple(page_files), ChunkPlan(plan.read, plan.zero, blank))


def blanked(reading: Reading) -> bytes | None:
    """The chunk as it travels; None where nothing but zeros is left of it."""
    raw = reading.raw
    if reading.blank_parts:
        changed = bytearray(raw)
        for start, stop in reading.blank_parts:
            changed[start : min(stop, len(raw))] = bytes(min(stop, len(raw)) - start)
        raw = bytes(changed)
    return None if raw == _ZEROS[: len(raw)] else raw


def describe(survey: Survey, rows: Rows, machine: str, findings: tuple[Finding, ...]) -> CapturedDisk:
    """What the image's manifest says of the disk."""
    zero = RangeSet(survey.plan.zero.ranges())
    for start, stop in rows.zero.ranges():
        zero.add(start, stop)
    source = survey.source
    return CapturedDisk(
        source=f"{machine}: {source.origin}"[:MAX_SHORT_TEXT],
        disk_size=source.size,
        logical_sector_size=source.logical_sector_size,
        partition_table=survey.table.kind,
        partitions=tuple(
            PartitionInfo(
                number=partition.number,
                offset=partition.offset,
                length=partition.length,
                type=partition.type,
                filesystem=partition.filesystem,
                label=partition.label,
                used_bytes=used.used_bytes(partition),
            )
            for partition, used in zip(survey.table.partitions, survey.found, strict=True)
        ),
        zero_ranges=tuple((start, stop - start) for start, stop in zero.ranges()),
        findings=findings,
    )


def _read_chunk(source: Source, chunk_id: int) -> bytes:
    offset = chunk_id * CHUNK_SIZE
    length = min(CHUNK_SIZE, source.size - offset)
    try:
        data = os.pread(source.descriptor, length, offset)
    except OSError as error:
        raise _why_unreadable(source, offset, length, error) from error
    if len(data) != length:
        raise SourceError(source.origin, f"has disappeared or shrunk: it ends at byte {offset + len(data)}")
    return data


def _why_unreadable(source: Source, offset: int, length: int, error: OSError) -> SourceError:
    """The first sector that cannot be read, or that the disk is not there any more."""
    if error.errno in _GONE or not _is_there(source):
        return SourceError(source.origin, "has disappeared while it was read: look at its cable, and capture again")
    sector_size = source.logical_sector_size
    for start in range(offset, offset + length, sector_size):
        try:
            os.pread(source.descriptor, sector_size, start)
        except OSError as failure:
            return SourceError(
                source.origin,
                f"cannot be read at sector {start // sector_size}: {failure.strerror}; the disk is failing",
            )
    return SourceError(source.origin, f"cannot be read near byte {offset}: {error.strerror}; the disk is failing")


def _is_there(source: Source) -> bool:
    try:
        return source.path.exists() and os.lseek(source.descriptor, 0, os.SEEK_END) > 0
    except OSError:
        return False
