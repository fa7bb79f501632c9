"""Finds which chunks of an image the disk holds already: the one way to delta, to resume and to a late restart.

It believes no record of an earlier cast, only hashes of what it reads. A chunk that matches is *adopted*: it counts as
verified and is neither sent, nor written, nor read back again. That is as good as a write of our own because the order
is the same, an fsync and then a read from the disk itself:

1. ``DiskEdges.blank`` syncs the disk before any scan begins. An fsync covers the whole disk, whoever wrote: also the
   dirty pages that a killed receiver left behind, and the disk's own write cache. Pages that a lost fsync could not
   write are clean by then, and clean pages are dropped. So what is read here lies on the medium, and a power cut later
   takes nothing of it away.
2. Nobody else writes: the device is opened exclusively. Of our own writes ``ChunkLedger.adopt`` knows: a chunk that
   anybody began to write since, even if its write has not ended or was found wrong, cannot be adopted.
3. A chunk that is written after it was adopted is unproved again until it is synced and read back.

A hint decides whether a disk is worth a scan, never whether a chunk is there.
"""

import logging
import os
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from mmap import mmap
from threading import Lock
from typing import Final

from protocol.errors import DiskError
from protocol.manifest import Manifest
from receiver.blockdevice import BlockDevice
from receiver.chunk_ledger import ChunkLedger
from receiver.disk_layout import DiskLayout
from receiver.readback import (
    Job,
    Progress,
    StopRequest,
    contiguous_runs,
    differing_chunks,
    run_jobs,
    zero_digest,
)

SCAN_THREADS: Final = min(8, os.cpu_count() or 1)
"""All cores hash; more than eight only wait for one disk, and each costs a read buffer."""

FIRST_SAMPLES: Final = 16
"""Chunks from the start of the body, where a cast that was cut short wrote most likely."""

SPREAD_SAMPLES: Final = 112
"""Chunks spread evenly over the body. With the first ones 32 MiB, a second of a slow disk; a disk that holds 5 % of the
image in places chosen by chance passes for foreign once in 700 times, and is then sent in full."""

REPORT_BATCH: Final = 256
"""Blocks found until ``on_present`` hears of them: 64 MiB, under a second of a slow disk."""

OnPresent = Callable[[list[int]], None]
"""Told sbns that the disk holds, in any order, each once, from any thread, one call at a time."""

_logger = logging.getLogger(__name__)


def body_sbns(manifest: Manifest, layout: DiskLayout) -> range:
    """The chunks that are written where they belong when they come; all others lie in head or tail."""
    sbns = range(len(manifest))

    def first_from(offset: int) -> int:
        return bisect_left(sbns, offset, key=lambda sbn: manifest[sbn].offset)

    start = first_from(layout.head.end)
    return range(start, max(start, first_from(layout.tail.offset)))


class DiskScan:
    """One search of the body of one disk; blocking, beside any writes."""

    def __init__(
        self, device: BlockDevice, manifest: Manifest, body: range, chunks: ChunkLedger, threads: int = SCAN_THREADS
    ) -> None:
        self._device = device
        self._manifest = manifest
        self._body = body
        self._chunks = chunks
        self._threads = threads
        self._has_warned = False

    def finds_any(self, should_stop: StopRequest) -> bool:
        """Whether a sample of the body holds a single chunk of the image. Adopts nothing."""
        rest = self._body[FIRST_SAMPLES:]
        sample = [*self._body[:FIRST_SAMPLES], *rest[:: max(1, -(-len(rest) // SPREAD_SAMPLES))]]
        found: list[int] = []

        def look(run: list[int], buffer: mmap) -> None:
            found.extend(self._matching(run, buffer))

        run_jobs(self._jobs(sample, look), lambda: bool(found) or should_stop(), self._threads)
        return bool(found)

    def run(self, on_present: OnPresent, progress: Progress, should_stop: StopRequest) -> None:
        """Read the body once and adopt what matches; ``progress`` counts blocks."""
        progress(0, len(self._body))
        report = _Report(len(self._body), on_present, progress)

        def look(run: list[int], buffer: mmap) -> None:
            matching = self._matching(self._chunks.untouched(run), buffer)
            report.add(len(run), self._chunks.adopt(matching))

        run_jobs(self._jobs(self._body, look), should_stop, self._threads)
        report.flush()

    def _jobs(self, sbns: Iterable[int], look: Callable[[list[int], mmap], None]) -> Iterator[Job]:
        return (partial(look, run) for run in contiguous_runs(self._manifest, sbns))

    def _matching(self, sbns: list[int], buffer: mmap) -> list[int]:
        """Those of ``sbns``, which fit one read, that the disk holds; a chunk that cannot be read is not there."""
        if not sbns:
            return []
        first, last = self._manifest[sbns[0]], self._manifest[sbns[-1]]
        try:
            if self._device.is_hole(first.offset, last.offset + last.raw_length - first.offset):
                chunks = ((sbn, self._manifest[sbn]) for sbn in sbns)
                return [sbn for sbn, chunk in chunks if chunk.raw_digest == zero_digest(chunk.raw_length)]
            differing = differing_chunks(self._device, self._manifest, sbns, buffer)
        except DiskError as error:
            if len(sbns) > 1:
                return [found for sbn in sbns for found in self._matching([sbn], buffer)]
            # A sector that cannot be read often takes a write; if this one does not, the write fails the disk.
            if not self._has_warned:
                self._has_warned = True
                _logger.warning("%s; what cannot be read is fetched again", error)
            return []
        return [sbn for sbn in sbns if sbn not in differing]


class _Report:
    """Adds up what the threads have looked at and found."""

    def __init__(self, total: int, on_present: OnPresent, progress: Progress) -> None:
        self._total = total
        self._on_present = on_present
        self._progress = progress
        self._scanned = 0
        self._present: list[int] = []
        self._lock = Lock()

    def add(self, scanned: int, present: list[int]) -> None:
        with self._lock:
            self._scanned += scanned
            self._present += present
            if len(self._present) >= REPORT_BATCH or self._scanned == self._total:
                self._tell()
            self._progress(self._scanned, self._total)

    def flush(self) -> None:
        with self._lock:
            self._tell()

    def _tell(self) -> None:
        if self._present:
            present, self._present = self._present, []
            self._on_present(present)
