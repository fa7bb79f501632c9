"""Makes an image of a capture: prove -> rows -> manifest -> chunks into the store -> signed and published.

Every chunk of the disk is here and sound, or nothing is published. A chunk that the library has is used as it is there,
since other manifests hold digests of just those bytes; only one that is damaged is replaced. Until the manifest is in
place the library is as it was, and the capture keeps all that has arrived. Blocks for as long as reading the disk's
stored bytes takes, with the library locked; call it from a thread.
"""

import os
import secrets
from collections.abc import Callable, Iterator, Sequence, Set
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Final

from broadcaster.captures.capture import CaptureRecord
from broadcaster.captures.capture_folder import CaptureFolder
from broadcaster.captures.proving import fits, is_sound
from broadcaster.library.adding import same_disk, sign_again
from broadcaster.library.image_signature import sign_digest
from broadcaster.library.library import Library
from broadcaster.library.store import library_errors, sync_filesystem
from protocol import PROTOCOL_VERSION
from protocol.capture import CapturedDisk
from protocol.digests import StoredDigest
from protocol.disk.parallel import parallel_map
from protocol.errors import ManifestError
from protocol.fields import printable
from protocol.manifest import (
    CHUNK_SIZE,
    Manifest,
    ManifestHeader,
    PartitionInfo,
    StoredChunk,
    build_manifest_from_rows,
    encode_row,
)
from protocol.signing import SigningKey

Rows = Sequence[tuple[int, bytes]]

_MISSING: Final = b""


@dataclass(frozen=True, slots=True)
class Published:
    """What became of a capture."""

    version: int
    is_unchanged: bool
    """the newest version was the same already"""
    new_chunk_count: int
    """chunks that the library did not have"""
    missing: int = 0
    """chunks that are not here, or not sound: then nothing was published"""


def publish_capture(
    library: Library,
    folder: CaptureFolder,
    record: CaptureRecord,
    disk: CapturedDisk,
    rows: Rows,
    *,
    proved: Set[bytes],
    signer: SigningKey | None,
    created: str,
    progress: Callable[[float], None] = lambda _done: None,
) -> Published:
    """Publish what was captured as the next version of its image, unless the newest one is the same.

    Args:
        library: waits while another command changes it.
        folder: what has arrived.
        record: whose capture it is.
        disk: what the machine says of it, within the bounds of its message.
        rows: (chunk_id, raw digest), ascending.
        proved: digests of chunks of the library that were found to be sound a short while ago.
        signer: the image key; None where it is kept elsewhere.
        created: UTC, RFC 3339.
        progress: told the share of chunks that are proved, from any thread; may raise to end it.

    Raises:
        ManifestError: what the machine says of its disk contradicts itself.
        LibraryError: the library is full or cannot be written.
    """
    with library.writing(), library_errors(library.root):
        versions = library.versions(record.image)
        previous = library.load(record.image) if versions else None
        header = _header(record, disk, max(versions, default=0) + 1, created)
        proving = _Proving(library, folder, disk, proved, previous)
        packed, missing = proving.rows(rows, progress)
        if missing:
            return Published(0, is_unchanged=False, new_chunk_count=0, missing=missing)
        manifest = build_manifest_from_rows(header, packed)
        if not len(manifest):
            raise ManifestError("the disk holds nothing but zeros: there is nothing to keep")
        sync_filesystem(library.root)
        with _handed_over(library, folder, proving.own, manifest) as done:
            if previous is not None and same_disk(previous, manifest):
                sign_again(library, previous, signer)
                done.append(previous)
                return Published(previous.header.version, is_unchanged=True, new_chunk_count=0)
            sync_filesystem(library.root)
            signature = None if signer is None else sign_digest(manifest.digest, signer)
            library.publish(manifest, signature)
            done.append(manifest)
        return Published(manifest.header.version, is_unchanged=False, new_chunk_count=len(proving.own))


class _Proving:
    """Proves chunk after chunk, and gives their rows."""

    def __init__(
        self,
        library: Library,
        folder: CaptureFolder,
        disk: CapturedDisk,
        proved: Set[bytes],
        previous: Manifest | None,
    ) -> None:
        self.own: set[bytes] = set()
        """chunks that the capture brings"""
        self._store = library.store
        self._folder = folder
        self._disk = disk
        self._proved = proved
        self._bound = StoredDigest.for_disk(disk.disk_size, disk.logical_sector_size, CHUNK_SIZE)
        self._previous, self._published_at = previous, 0
        if previous is not None:
            header = previous.header
            geometry = (header.disk_size, header.logical_sector_size, header.chunk_size)
            if geometry == (disk.disk_size, disk.logical_sector_size, CHUNK_SIZE):
                self._published_at = library.manifest_path(header.name, header.version).stat().st_mtime_ns
            else:
                self._previous = None

    def rows(self, rows: Rows, progress: Callable[[float], None]) -> tuple[bytearray, int]:
        """Packed rows of a manifest, and how many chunks are missing."""
        packed, missing = bytearray(), 0
        with closing(parallel_map(self._row, self._with_previous(rows))) as results:
            for number, row in enumerate(results, 1):
                packed += row
                missing += row == _MISSING
                progress(number / len(rows))
        return packed, missing

    def _with_previous(self, rows: Rows) -> Iterator[tuple[int, bytes, StoredChunk | None]]:
        """Each row with that of the same chunk in the newest version."""
        earlier = iter(self._previous or ())
        known = next(earlier, None)
        for chunk_id, digest in rows:
            while known is not None and known.chunk_id < chunk_id:
                known = next(earlier, None)
            is_same = known is not None and known.chunk_id == chunk_id and known.raw_digest == digest
            yield chunk_id, digest, known if is_same else None

    def _row(self, asked: tuple[int, bytes, StoredChunk | None]) -> bytes:
        chunk_id, digest, known = asked
        offset = chunk_id * CHUNK_SIZE
        raw_length = min(CHUNK_SIZE, self._disk.disk_size - offset)
        if raw_length < 1:
            raise ManifestError(f"chunk {chunk_id} is beyond the disk")
        if known is not None and digest in self._proved and self._is_as_published(known):
            return encode_row(known)
        stored = self._stored(digest)
        if stored is None:
            return _MISSING
        if not fits(stored, digest, raw_length):
            raise ManifestError(f"chunk {chunk_id} is not {raw_length} bytes long")
        bound = self._bound.of(offset, raw_length, stored)
        return encode_row(StoredChunk(chunk_id, offset, raw_length, len(stored), digest, bound))

    def _is_as_published(self, known: StoredChunk) -> bool:
        """Whether the bytes that the newest version's row is about still lie in the store: then it need not be made."""
        try:
            found = os.stat(self._store.path(known.raw_digest))  # noqa: PTH116 - once per chunk of a disk
        except OSError:
            return False
        return found.st_size == known.stored_length and found.st_mtime_ns <= self._published_at

    def _stored(self, digest: bytes) -> bytes | None:
        """The stored bytes that the image will have: the library's where they are sound, else those that arrived."""
        there = self._store.read(digest)
        if there is not None and (digest in self._proved or is_sound(there, digest)):
            return there
        brought = self._folder.read(digest)
        if brought is not None:
            self.own.add(digest)
        return brought


@contextmanager
def _handed_over(
    library: Library, folder: CaptureFolder, digests: Set[bytes], manifest: Manifest
) -> Iterator[list[Manifest]]:
    """The capture's chunks are in the store; they go back unless an image is put into the list that this gives."""
    done: list[Manifest] = []
    moved: list[bytes] = []
    try:
        for digest in digests:
            place = library.store.path(digest)
            is_new = not place.exists()
            folder.hand_over(digest, place)
            if is_new:  # else it mends a damaged one, which nobody wants back
                moved.append(digest)
        yield done
    finally:
        # A signal may come after the rename: then the image is there, and its chunks must stay.
        is_there = library.manifest_path(manifest.header.name, manifest.header.version).exists()
        if not done and not is_there:
            for digest in moved:
                folder.take_back(digest, library.store.path(digest))


def _header(record: CaptureRecord, disk: CapturedDisk, version: int, created: str) -> ManifestHeader:
    return ManifestHeader(
        format=PROTOCOL_VERSION,
        image_id=secrets.token_hex(16),
        name=record.image,
        version=version,
        created=created,
        source=printable(disk.source),
        disk_size=disk.disk_size,
        logical_sector_size=disk.logical_sector_size,
        partition_table=disk.partition_table,
        partitions=tuple(map(_described, disk.partitions)),
        chunk_size=CHUNK_SIZE,
        codec="zstd",
        stored_chunk_count=0,
        stored_bytes=0,
        zero_ranges=disk.zero_ranges,
        rows_digest="",
    )


def _described(partition: PartitionInfo) -> PartitionInfo:
    return PartitionInfo(
        number=partition.number,
        offset=partition.offset,
        length=partition.length,
        type=printable(partition.type),
        filesystem=printable(partition.filesystem),
        label=printable(partition.label),
        used_bytes=partition.used_bytes,
    )
