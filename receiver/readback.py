"""Reads chunks from the disk itself, past the cache, and says which are not as the manifest promises.

What every pass over the disk is made of, the read-back of what was written and the scan of what was there before. It
refuses nothing and changes nothing; a chunk is right when the BLAKE3 of its raw bytes is right. Several threads share
one pass: one hashes (without the interpreter lock) while the other waits for the disk.
"""

import mmap
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from threading import Lock
from typing import Final

from protocol.digests import raw_digest
from protocol.manifest import Manifest
from receiver.blockdevice import BlockDevice, new_read_buffer
from receiver.disk_layout import Extent

READ_LENGTH: Final = 1 << 20
"""[bytes] One read. Chosen: 4 chunks, where a SATA disk is at full speed; costs that much memory for each thread."""

READ_THREADS: Final = 2
"""Measured on 2 cores, 1 MiB reads: a virtual disk 850 MB/s by one thread, 1,730 by two; tmpfs 3,300 and 7,200."""

StopRequest = Callable[[], bool]
"""Asked between two steps, from any thread; True ends the work early."""

Progress = Callable[[int, int], None]
"""Told what is done and what there is in all (bytes, of a scan blocks), from any thread, one call at a time."""


class ProgressCounter:
    """Adds up what several threads have done and tells ``progress``."""

    def __init__(self, total: int, progress: Progress) -> None:
        self._done = 0
        self._total = total
        self._progress = progress
        self._lock = Lock()

    def add(self, count: int) -> None:
        """So much more is done."""
        with self._lock:
            self._done += count
            self._progress(self._done, self._total)


Job = Callable[[mmap.mmap], None]
"""One read and its check, in a buffer that the thread owns."""


def differing_chunks(device: BlockDevice, manifest: Manifest, sbns: list[int], buffer: mmap.mmap) -> set[int]:
    """Those of ``sbns`` (one of ``contiguous_runs``) whose bytes on the disk are not the manifest's."""
    chunks = [manifest[sbn] for sbn in sbns]
    start = chunks[0].offset
    view = device.read_uncached(start, chunks[-1].offset + chunks[-1].raw_length - start, buffer)
    return {
        sbn
        for sbn, chunk in zip(sbns, chunks, strict=True)
        if raw_digest(view[chunk.offset - start :][: chunk.raw_length]) != chunk.raw_digest
    }


def contiguous_runs(manifest: Manifest, sbns: Iterable[int]) -> Iterator[list[int]]:
    """Ascending ``sbns`` in runs that lie side by side on the disk and fit one read."""
    run: list[int] = []
    previous = -2
    longest = max(1, READ_LENGTH // manifest.header.chunk_size)
    for sbn in sbns:
        chunk_id = manifest[sbn].chunk_id
        if run and (chunk_id != previous + 1 or len(run) == longest):
            yield run
            run = []
        run.append(sbn)
        previous = chunk_id
    if run:
        yield run


def is_zero(device: BlockDevice, extent: Extent, buffer: mmap.mmap) -> bool:
    """Whether the disk reads as zeros here; holes of a file are not read."""
    for offset, length in device.data_ranges(*extent):
        for position in range(offset, offset + length, READ_LENGTH):
            part = min(READ_LENGTH, offset + length - position)
            if raw_digest(device.read_uncached(position, part, buffer)) != zero_digest(part):
                return False
    return True


@cache
def zero_digest(length: int) -> bytes:
    """The digest of ``length`` zero bytes; only a few lengths are in use, so they are kept."""
    return raw_digest(bytes(length))


def run_jobs(jobs: Iterable[Job], should_stop: StopRequest, threads: int = READ_THREADS) -> None:
    """Run the jobs by ``threads`` threads until none is left, one raises, or ``should_stop`` says so."""
    queue = iter(jobs)
    lock = Lock()
    failed = False

    def next_job() -> Job | None:
        with lock:
            return None if failed or should_stop() else next(queue, None)

    def work() -> None:
        nonlocal failed
        buffer = new_read_buffer(READ_LENGTH)
        try:
            while (job := next_job()) is not None:
                job(buffer)
        except BaseException:
            failed = True  # ends the other threads after their current job
            raise

    with ThreadPoolExecutor(threads, "disk-read") as pool:
        workers = [pool.submit(work) for _ in range(threads)]
    for worker in workers:
        worker.result()
