"""The worker's side of one session: stores blocks, loads the manifest, reads the disk back and commits. Blocking.

Object 0 is collected in memory, object 1 goes to the disk. Many executor threads may store blocks at once; the other
steps come one at a time, in the order load_manifest, write_zero_ranges, read_back, commit; ``scan`` may run beside all
of them but the commit.
"""

import threading
from collections.abc import Callable, Iterable

from protocol.blocks import BlockBuffer
from protocol.digests import StoredDigest
from protocol.errors import DecodeError, IntegrityError, ManifestError, SessionStateError
from protocol.manifest import CHUNK_SIZE, Manifest, decode_manifest
from protocol.messages import Announcement
from protocol.wire import TOI_MANIFEST
from receiver.blockdevice import BlockDevice
from receiver.decoder import ChunkUnpacker, recover_stored
from receiver.disk import DiskWriter
from receiver.readback import Progress, StopRequest
from receiver.scan import OnPresent


class Deployment:
    """Puts one image on one disk."""

    def __init__(
        self,
        announcement: Announcement,
        open_device: Callable[[], BlockDevice],
        *,
        begin_writing: Callable[[int], None],
        is_delta: bool = True,
    ) -> None:
        """Both callables are called once, one after the other, when the manifest has proved itself.

        ``begin_writing`` is told how many blocks came whole through seal, FEC and digest, and raises where the disk
        must stay as it is (see ``arming``); ``open_device`` raises TargetError or DiskError.

        Without ``is_delta`` nothing that the disk holds already is of use, and everything is written.
        """
        self._announcement = announcement
        self._open_device = open_device
        self._begin_writing = begin_writing
        self._is_delta = is_delta
        self._symbol_length = announcement.oti.encoding_symbol_length
        self._manifest_bytes = bytearray(announcement.manifest_length)
        self._manifest_digest = StoredDigest.for_manifest(announcement.manifest_digest)
        self._proved: set[int] = set()
        """sbns of object 0 that were decoded and had their digest"""
        self._manifest: Manifest | None = None
        self._writer: DiskWriter | None = None
        self._damaged: set[int] = set()
        self._threads = threading.local()

    def store_blocks(self, blocks: Iterable[BlockBuffer]) -> list[bool]:
        """``store_block`` for each, in order; raises at the first that raises."""
        return [self.store_block(block) for block in blocks]

    def store_block(self, block: BlockBuffer) -> bool:
        """Decode and store a block; False if its bytes are not the announced ones, so that it must come again.

        Raises:
            DiskError: the disk failed.
            IntegrityError: the block is as announced, but the image contradicts itself.
        """
        try:
            stored = self._checked(block)
        except (DecodeError, IntegrityError):
            return False
        if block.toi == TOI_MANIFEST:
            offset = block.sbn * CHUNK_SIZE
            self._manifest_bytes[offset : offset + len(stored)] = stored
            self._proved.add(block.sbn)
        else:
            chunk = self._loaded_manifest()[block.sbn]
            self._open_writer().write_chunk(block.sbn, self._unpacker().unpack(chunk, stored))
        return True

    def read_manifest(self) -> Manifest:
        """Read object 0, and nothing else.

        Raises:
            ManifestError: object 0 is as announced but not a manifest, or not the announced one.
        """
        manifest = decode_manifest(self._manifest_bytes)
        if manifest.digest != self._announcement.manifest_digest:
            raise ManifestError("the manifest is not the announced one")
        if manifest.header.disk_size != self._announcement.image.disk_size:
            raise ManifestError("the announcement gives another disk size than the manifest")
        return manifest

    def load_manifest(self) -> Manifest:
        """Read object 0, open the target and mark it incomplete: the first write of the session.

        What the edges of the disk hold of the image is read before, and reported by ``scan``.

        Raises:
            ManifestError: object 0 is as announced but not a manifest, or not the announced one.
            RefusedError: it was stopped at the seat; nothing was written.
            TargetError: the target may not be overwritten with this image; nothing was written.
            DiskError: the disk failed.
            IntegrityError: the disk does not keep what it is given.
        """
        manifest = self.read_manifest()
        self._begin_writing(len(self._proved))
        writer = DiskWriter(self._open_device(), manifest)
        if self._is_delta:
            writer.keep_old_edges()
        self._writer = writer
        writer.mark_incomplete()
        self._manifest = manifest
        return manifest

    def scan(self, on_present: OnPresent, progress: Progress, should_stop: StopRequest) -> None:
        """Tell which blocks the disk holds already, by their hashes; may run beside ``store_block``.

        The scan must have ended, or been stopped, before ``commit``.

        Args:
            on_present: told sbns, each once, in batches and from any thread; they need not be sent.
            progress: told the blocks looked at and to look at, 0 if the disk is not worth a scan; from any thread.
            should_stop: asked before each read; what was found until then stays found.

        Raises:
            DiskError: another step had failed before. A block that cannot be read is only missing.
        """
        if self._is_delta:
            self._open_writer().scan(on_present, progress, should_stop)
        else:
            progress(0, 0)

    @property
    def bytes_written(self) -> int:
        """Raw bytes that the disk has taken."""
        return 0 if self._writer is None else self._writer.bytes_written

    @property
    def disk_busy_seconds(self) -> float:
        """Seconds in which the disk was writing, zeroing or syncing; never faster than the clock."""
        return 0.0 if self._writer is None else self._writer.busy_seconds

    def write_zero_ranges(self, should_stop: Callable[[], bool]) -> None:
        """Zero what the image says is zero; may run beside ``store_block``. Raises DiskError."""
        self._open_writer().write_zero_ranges(should_stop=should_stop)

    def read_back(self, progress: Progress, should_stop: Callable[[], bool]) -> list[int]:
        """Sync and read everything back from the disk itself; gives the sbns that are not as written.

        Raises:
            DiskError: the disk failed.
            IntegrityError: a block was written twice and is wrong again, so that a third time would not help.
        """
        writer = self._open_writer()
        writer.sync()
        damaged = writer.read_back(progress, should_stop)
        twice = self._damaged.intersection(damaged)
        if twice:
            chunk = self._loaded_manifest()[min(twice)]
            raise IntegrityError(f"the disk keeps other bytes at {chunk.offset}", chunk.raw_digest, b"")
        self._damaged.update(damaged)
        return damaged

    def commit(self) -> None:
        """Write what makes the disk bootable, sync, and read that back too. Raises as ``read_back``."""
        self._open_writer().commit()

    def verified_bytes(self) -> int:
        """Raw bytes of the disk that are proved to be the image's once ``commit`` has returned, zeros included."""
        manifest = self._loaded_manifest()
        header = manifest.header
        zeros = sum(
            min((first + count) * header.chunk_size, header.disk_size) - first * header.chunk_size
            for first, count in header.zero_ranges
        )
        return zeros + sum(chunk.raw_length for chunk in manifest)

    def _checked(self, block: BlockBuffer) -> memoryview:
        """The stored bytes of a block, proved to be the announced ones for its place."""
        if block.toi == TOI_MANIFEST:
            offset = block.sbn * CHUNK_SIZE
            stored_length = raw_length = min(CHUNK_SIZE, len(self._manifest_bytes) - offset)
            digest = self._announcement.manifest_block_digests[block.sbn]
            stored_digest = self._manifest_digest
        else:
            manifest = self._loaded_manifest()
            _, offset, raw_length, stored_length, _, digest = manifest[block.sbn]
            stored_digest = manifest.stored_digest
        stored = recover_stored(block, self._symbol_length, stored_length)
        actual = stored_digest.of(offset, raw_length, stored)
        if actual != digest:
            raise IntegrityError(f"block {block.sbn} of object {block.toi}", digest, actual)
        return stored

    def _loaded_manifest(self) -> Manifest:
        if self._manifest is None:
            raise SessionStateError("a block of the disk came before the manifest was loaded")
        return self._manifest

    def _unpacker(self) -> ChunkUnpacker:
        if not hasattr(self._threads, "unpacker"):
            self._threads.unpacker = ChunkUnpacker()
        unpacker: ChunkUnpacker = self._threads.unpacker
        return unpacker

    def _open_writer(self) -> DiskWriter:
        if self._writer is None:
            raise SessionStateError("the disk was used before the manifest was loaded")
        return self._writer
