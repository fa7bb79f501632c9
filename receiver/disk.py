"""Writes one image to one disk so that the disk is either complete and proved equal, or does not boot.

``DiskWriter`` blanks the edges of the disk first, writes chunks and zeros in any order, syncs, reads everything back
past the cache, and commits the edges last. It refuses to commit while one chunk or zero range is not verified.
What the disk holds already need not be written (see ``scan``). No digest is checked before a write (the decoder did),
only lengths.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import IntEnum
from functools import partial
from mmap import mmap
from threading import Lock

from protocol.digests import Buffer
from protocol.errors import DiskError, IntegrityError, SessionStateError
from protocol.manifest import Manifest
from receiver.blockdevice import BlockDevice, new_read_buffer
from receiver.chunk_ledger import ChunkLedger, ChunkState
from receiver.disk_edges import DiskEdges
from receiver.disk_layout import DiskLayout
from receiver.readback import (
    READ_LENGTH,
    Job,
    Progress,
    ProgressCounter,
    StopRequest,
    contiguous_runs,
    differing_chunks,
    is_zero,
    run_jobs,
)
from receiver.scan import DiskScan, OnPresent, body_sbns
from receiver.target import check_geometry
from receiver.write_meter import MeteredDevice


class DiskState(IntEnum):
    """What the disk is; only COMPLETE may be called done."""

    OPENED = 0
    """untouched: what was on it is still on it"""
    MARKING = 1
    MARKED = 2
    """incomplete, does not boot"""
    COMMITTING = 3
    COMPLETE = 4
    """equal to the image, every written byte of it read back"""
    FAILED = 5
    """the disk erred; it keeps its marker"""


def never_stop() -> bool:
    """The default of ``should_stop``."""
    return False


def no_progress(done: int, total: int) -> None:
    """The default of ``progress``."""


class DiskWriter:
    """One image on its way to one disk; blocking, for executor threads.

        state    call                                          next state
        OPENED   keep_old_edges                                OPENED
        OPENED   mark_incomplete                               MARKING, then MARKED
        MARKED   write_chunk, write_zero_ranges, scan, sync,
                 read_back: any of them, at the same time      MARKED
        MARKED   commit, when everything is verified
                 and no other call runs                        COMMITTING, then COMPLETE
        any      a call raises DiskError or IntegrityError     FAILED: every later call raises that error again

    Any other call raises SessionStateError and changes nothing. ``device`` stays the caller's to close.

    Raises:
        TargetError: ``device`` is too small for the image or of another sector size; nothing was written.
    """

    def __init__(self, device: BlockDevice, manifest: Manifest) -> None:
        check_geometry(device.name, device.size, device.logical_sector_size, manifest.header)
        self._device = MeteredDevice(device)
        self._manifest = manifest
        self._layout = DiskLayout(manifest.header, device.size)
        self._edges = DiskEdges(self._device, manifest, self._layout)
        self._kept: list[int] = []
        self._was_marked = False
        self._chunks = ChunkLedger(len(manifest))
        self._zeros = ChunkLedger(len(self._layout.zero_pieces))
        self._lock = Lock()
        self._state = DiskState.OPENED
        self._running = 0
        self._failure: DiskError | IntegrityError | None = None

    @property
    def state(self) -> DiskState:
        """Where the disk is now."""
        return self._state

    @property
    def zero_bytes(self) -> int:
        """Bytes that ``write_zero_ranges`` has to make zero."""
        return sum(piece.length for piece in self._layout.zero_pieces)

    @property
    def bytes_written(self) -> int:
        """Raw bytes of chunks and edges that the disk has taken."""
        return self._device.bytes_written

    @property
    def busy_seconds(self) -> float:
        """Seconds in which the disk was writing, zeroing or syncing, a write that still runs included."""
        return self._device.busy_seconds

    def keep_old_edges(self) -> None:
        """Keep for the commit what head and tail hold of the image, before ``mark_incomplete`` blanks them. Reads only.

        At most 2.25 MiB; but where two chunks of a hundred have changed, as much as these.
        """
        with self._operation(DiskState.OPENED):
            self._was_marked = self._edges.has_marker()
            body = body_sbns(self._manifest, self._layout)
            for sbn in (*range(body.start), *range(body.stop, len(self._manifest))):
                if self._edges.keep_matching(self._manifest[sbn]):
                    self._chunks.hold(sbn)
                    self._kept.append(sbn)

    def mark_incomplete(self) -> None:
        """Make the disk unbootable and say so in sector 0; that is on the disk when this returns.

        Raises:
            DiskError: the disk erred.
            IntegrityError: the disk takes writes but does not keep them.
        """
        with self._operation(DiskState.OPENED, DiskState.MARKING):
            self._edges.blank()
            self._state = DiskState.MARKED

    def write_chunk(self, sbn: int, raw: Buffer) -> None:
        """Write (or, at the edges, keep until commit) the raw bytes of chunk ``sbn``, which the decoder has verified.

        Raises:
            DiskError: the disk erred.
            SessionStateError: no such chunk, or not its length.
        """
        if not 0 <= sbn < len(self._manifest):
            raise SessionStateError(f"sbn {sbn} is not within {len(self._manifest)} blocks")
        chunk = self._manifest[sbn]
        if len(raw) != chunk.raw_length:
            raise SessionStateError(f"chunk {sbn} is {chunk.raw_length} bytes, not {len(raw)}")
        with self._operation(DiskState.MARKED):
            if self._edges.hold(chunk.offset, raw):
                self._chunks.hold(sbn)
                return
            self._chunks.start_write(sbn)
            self._device.write_at(chunk.offset, raw)
            self._chunks.finish_write(sbn)

    def write_zero_ranges(self, progress: Progress = no_progress, should_stop: StopRequest = never_stop) -> None:
        """Zero what the manifest says is zero; may run beside ``write_chunk``; called again, goes on where it stopped.

        Raises:
            DiskError: the disk erred.
        """
        with self._operation(DiskState.MARKED):
            count = ProgressCounter(self.zero_bytes, progress)
            for index, piece in enumerate(self._layout.zero_pieces):
                if should_stop():
                    return
                if self._zeros[index] in (ChunkState.UNTOUCHED, ChunkState.MISSING):
                    self._device.zero_range(*piece)
                    self._zeros.finish_write(index)
                count.add(piece.length)

    def scan(self, on_present: OnPresent, progress: Progress, should_stop: StopRequest) -> None:
        """Find out which chunks the disk holds already and need not be written; may run beside ``write_chunk``.

        First come the edges that were kept. A disk that neither has the marker of this very image nor holds a chunk of
        a sample is left at that, with 0 blocks to scan. ``progress`` counts blocks; ``should_stop`` ends the scan
        within one read, and what was found until then stays found. Chunks that cannot be read are not there.
        """

        def must_stop() -> bool:
            return self._failure is not None or should_stop()

        with self._operation(DiskState.MARKED):
            if self._kept:
                on_present(list(self._kept))
            body = body_sbns(self._manifest, self._layout)
            scan = DiskScan(self._device, self._manifest, body, self._chunks)
            if self._was_marked or scan.finds_any(must_stop):
                scan.run(on_present, progress, must_stop)
            else:
                progress(0, 0)

    def sync(self) -> None:
        """Bring everything that was written before this call to the disk.

        Raises:
            DiskError: the disk erred, now or at a write that it had taken; final.
        """
        with self._operation(DiskState.MARKED):
            self._sync()

    def read_back(self, progress: Progress = no_progress, should_stop: StopRequest = never_stop) -> list[int]:
        """Compare all that is synced and not yet verified with the manifest, past the cache.

        A zero range that is not zero is written again at once, by plain writes, and read again.

        Returns:
            The sbns of chunks that differ, ascending; they are missing again. A stopped call returns what it found.

        Raises:
            DiskError: the disk erred, or does not keep zeros.
        """
        with self._operation(DiskState.MARKED):
            sbns = self._chunks.having(ChunkState.SYNCED)
            zeros = self._zeros.having(ChunkState.SYNCED)
            total = sum(self._manifest[sbn].raw_length for sbn in sbns)
            total += sum(self._layout.zero_pieces[index].length for index in zeros)
            run_jobs(self._read_back_jobs(sbns, zeros, ProgressCounter(total, progress)), should_stop)
            for index in zeros:
                if self._zeros[index] == ChunkState.MISSING:
                    self._zero_again(index)
            return [sbn for sbn in sbns if self._chunks[sbn] == ChunkState.MISSING]

    def commit(self) -> None:
        """Write the edges, sector 0 last, and read them back; the disk is complete when this returns.

        Raises:
            DiskError: the disk erred.
            IntegrityError: the disk did not keep the edges; it got its marker back, if it could still be written.
            SessionStateError: something is not verified yet, or another call runs.
        """
        with self._operation(DiskState.MARKED, DiskState.COMMITTING):
            chunks = len(self._chunks) - self._chunks.count((ChunkState.VERIFIED, ChunkState.HELD))
            zeros = len(self._zeros) - self._zeros.count((ChunkState.VERIFIED,))
            if chunks or zeros:
                raise SessionStateError(f"commit while {chunks} chunks and {zeros} zero pieces are not verified")
            try:
                self._edges.commit()
            except (DiskError, IntegrityError):
                with suppress(DiskError, IntegrityError):
                    self._edges.blank()
                raise
            self._state = DiskState.COMPLETE

    def _read_back_jobs(self, sbns: list[int], zeros: list[int], count: ProgressCounter) -> Iterator[Job]:
        for run in contiguous_runs(self._manifest, sbns):
            yield partial(self._read_back_chunks, run, count)
        for index in zeros:
            yield partial(self._read_back_zeros, index, count)

    def _read_back_chunks(self, run: list[int], count: ProgressCounter, buffer: mmap) -> None:
        differing = differing_chunks(self._device, self._manifest, run, buffer)
        for sbn in run:
            self._chunks.verify(sbn, matches=sbn not in differing)
            count.add(self._manifest[sbn].raw_length)

    def _read_back_zeros(self, index: int, count: ProgressCounter, buffer: mmap) -> None:
        piece = self._layout.zero_pieces[index]
        self._zeros.verify(index, matches=is_zero(self._device, piece, buffer))
        count.add(piece.length)

    def _zero_again(self, index: int) -> None:
        """By plain writes, since the device's own command did not do what it says."""
        piece = self._layout.zero_pieces[index]
        zeros = bytes(READ_LENGTH)
        for position in range(piece.offset, piece.end, len(zeros)):
            self._device.write_at(position, memoryview(zeros)[: piece.end - position])
        self._zeros.finish_write(index)
        self._sync()
        if not is_zero(self._device, piece, new_read_buffer(READ_LENGTH)):
            raise DiskError(self._device.name, "zeroing", "the disk keeps other bytes", piece.offset)
        self._zeros.verify(index, matches=True)

    def _sync(self) -> None:
        self._chunks.start_sync()
        self._zeros.start_sync()
        self._device.sync()
        self._chunks.finish_sync()
        self._zeros.finish_sync()

    @contextmanager
    def _operation(self, required: DiskState, alone_as: DiskState | None = None) -> Iterator[None]:
        """One public call, allowed in state ``required``; with ``alone_as`` it is in that state and alone meanwhile."""
        with self._lock:
            if self._failure is not None:
                raise self._failure.with_traceback(None)
            if self._state is not required:
                raise SessionStateError(f"the disk is {self._state.name}, this call needs {required.name}")
            if alone_as is not None:
                if self._running:
                    raise SessionStateError(f"{self._running} other calls use the disk")
                self._state = alone_as
            self._running += 1
        try:
            yield
        except SessionStateError:
            if alone_as is not None:
                self._state = required
            raise
        except (DiskError, IntegrityError) as error:
            with self._lock:
                self._state = DiskState.FAILED
                self._failure = self._failure or error
            raise
        finally:
            with self._lock:
                self._running -= 1
