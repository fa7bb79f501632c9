"""Adding an image: read -> hash -> compress -> store -> manifest, with all cores and bounded memory.

One thread reads the disk in order; workers blank what is free, hash, compress and write; rows come back in disk order.
Invariant: until the manifest is in place the library is as it was, whatever happens (an error, a full disk, Ctrl-C, a
crash); a chunk that is already there and sound is never written again.
"""

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import closing, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Final, NamedTuple

from msgspec.structs import replace

from broadcaster.library.image_signature import ImageSignature, sign_digest
from broadcaster.library.library import Library, parse_reference
from broadcaster.library.signing import signature_or_none
from broadcaster.library.store import Batch, library_errors
from protocol import PROTOCOL_VERSION
from protocol.digests import StoredDigest, raw_digest
from protocol.disk.chunk_plan import ChunkPlan, plan_chunks
from protocol.disk.codec import DEFAULT_LEVEL, LEVELS, pack, unpack
from protocol.disk.parallel import parallel_map
from protocol.disk.partitions import PartitionTable, read_partition_table
from protocol.disk.source import Progress, Source, open_source
from protocol.disk.used_blocks import UsedBlocks, every_block, find_used_blocks
from protocol.errors import ConfigError, DecodeError, SourceError
from protocol.manifest import (
    CHUNK_SIZE,
    IMAGE_NAME,
    ROW,
    Manifest,
    ManifestHeader,
    PartitionInfo,
    StoredChunk,
    build_manifest_from_rows,
    encode_row,
)
from protocol.ranges import RangeSet
from protocol.signing import SigningKey

_ZEROS: Final = bytes(CHUNK_SIZE)


@dataclass(frozen=True)
class AddOutcome:
    """What adding an image did."""

    manifest: Manifest
    is_unchanged: bool
    """the newest version was the same already; ``manifest`` is that one"""
    new_chunk_count: int
    """chunks that the library did not have"""
    new_bytes: int
    """their stored bytes"""
    read_bytes: int
    """bytes read from the source"""
    kept_bytes: int
    """raw bytes of all stored chunks"""
    methods: tuple[str, ...]
    """per partition of the manifest, how its used blocks were found"""
    signature: ImageSignature | None
    """who vouches for ``manifest``; without one it must be signed before it can be cast"""


def add_image(
    library: Library,
    path: Path,
    name: str,
    *,
    level: int = DEFAULT_LEVEL,
    signer: SigningKey | None = None,
    opened: Source | None = None,
    progress: Progress = lambda _what, _done, _total: None,
    on_wait: Callable[[], None] = lambda: None,
) -> AddOutcome:
    """Add the disk at ``path`` as the next version of image ``name``, unless its newest version is the same.

    Args:
        library: the library; waits, after calling ``on_wait``, while another command changes it.
        path: a raw or virtual disk file, or a block device.
        name: letters, digits, ``.``, ``_`` and ``-``.
        level: of zstd, 1 to 19.
        signer: the image key, which vouches for what was read; None where it is kept elsewhere.
        opened: ``path``, where it is open already.
        progress: called from this thread with what is being done, and bytes done and in all.
        on_wait: see ``library``.

    Raises:
        ConfigError: name or level cannot be.
        SourceError: the source cannot be read as a disk.
        LibraryError: the library is full or cannot be written, or a tool is missing.
    """
    if level not in LEVELS:
        raise ConfigError(f"zstd level {level} is not within {LEVELS.start} to {LEVELS.stop - 1}")
    library.versions(name)  # refuses an impossible name before anything is waited for or read
    incoming = library.store.incoming
    with (
        library.writing(on_wait),
        library_errors(library.root),
        library.store.batch() as batch,
        nullcontext(opened) if opened is not None else open_source(path, incoming, progress) as source,
    ):
        table = read_partition_table(source)
        found = [
            every_block("partitions overlap") if table.overlapping else find_used_blocks(source, partition, incoming)
            for partition in table.partitions
        ]
        free = RangeSet(chain.from_iterable(used.free.ranges() for used in found))
        plan = plan_chunks(source.size, source.data_ranges(), free)
        rows = _take_in(source, plan, batch, level, progress)
        version = max(library.versions(name), default=0) + 1
        zero_ranges = tuple((start, stop - start) for start, stop in plan.zero.ranges())
        header = replace(_describe(name, version, source, table, found), zero_ranges=zero_ranges)
        manifest = build_manifest_from_rows(header, rows)
        if not len(manifest):
            raise SourceError(source.origin, "holds nothing but zeros: there is nothing to cast")
        batch.commit()
        previous = _newest(library, name)
        is_unchanged = previous is not None and same_disk(previous, manifest)
        if previous is not None and is_unchanged:
            manifest = previous
            signature = sign_again(library, manifest, signer)
        else:
            signature = sign_digest(manifest.digest, signer) if signer is not None else None
            _publish(library, manifest, signature, batch)
        batch.keep()
        return AddOutcome(
            manifest=manifest,
            is_unchanged=is_unchanged,
            new_chunk_count=batch.new_count,
            new_bytes=batch.new_bytes,
            read_bytes=sum(min(CHUNK_SIZE, source.size - chunk_id * CHUNK_SIZE) for chunk_id in plan.read),
            kept_bytes=sum(manifest.raw_length(row[0]) for row in ROW.iter_unpack(rows)),
            methods=tuple(used.method for used in found),
            signature=signature,
        )


def find_or_add(
    library: Library,
    image: str,
    *,
    signer: SigningKey | None = None,
    progress: Progress = lambda _what, _done, _total: None,
    on_wait: Callable[[], None] = lambda: None,
) -> Manifest:
    """The image that an operator means: ``NAME`` or ``NAME@VERSION`` in the library, or a path to a file or device.

    A name in the library wins over a file of the same name; with a ``/`` it is always a path. A file is added under
    its name without the ending, which costs nothing but reading it if it is there already, and signed by ``signer``.

    Raises:
        ConfigError: neither an image nor a file.
        SourceError, LibraryError: as ``add_image`` and ``Library.load``.
    """
    path = Path(image)
    if os.sep not in image:
        name = image.partition("@")[0]
        if IMAGE_NAME.fullmatch(name) and library.versions(name):
            return library.load(*parse_reference(image))
    if not path.exists():
        raise ConfigError(f"{image!r} is neither an image in library {library.root} nor a file")
    return add_image(library, path, name_for(path), signer=signer, progress=progress, on_wait=on_wait).manifest


def name_for(path: Path) -> str:
    """The name under which a file is added when nobody says one: its own, without ending and odd characters."""
    fitting = "".join(letter if IMAGE_NAME.fullmatch(f"a{letter}") else "-" for letter in path.stem)
    return fitting.lstrip("._-")[:64] or "image"


def _take_in(source: Source, plan: ChunkPlan, batch: Batch, level: int, progress: Progress) -> bytearray:
    """Store every chunk of the plan; returns the packed rows, and adds what turned out to be zeros to ``plan.zero``."""
    digest = StoredDigest.for_disk(source.size, source.logical_sector_size, CHUNK_SIZE)

    def read_all() -> Iterator[_Reading]:
        for chunk_id, free_parts in plan.reads():
            yield _Reading(chunk_id, _read_chunk(source, chunk_id), free_parts)

    def store(reading: _Reading) -> bytes | None:
        raw = _blank(reading.raw, reading.free_parts) if reading.free_parts else reading.raw
        if raw == _ZEROS[: len(raw)]:
            return None
        address = raw_digest(raw)
        known = batch.find(address)
        if known is not None and _unpacks_to(known, raw):
            stored = known
        else:
            stored = pack(raw, level)
            batch.write(address, stored)
        offset = reading.chunk_id * CHUNK_SIZE
        bound = digest.of(offset, len(raw), stored)
        return encode_row(StoredChunk(reading.chunk_id, offset, len(raw), len(stored), address, bound))

    rows = bytearray()
    total = len(plan.read) * CHUNK_SIZE
    progress("reading", 0, total)
    with closing(parallel_map(store, read_all())) as results:
        for count, (chunk_id, row) in enumerate(zip(plan.read, results, strict=True), start=1):
            if row is None:
                plan.zero.add(chunk_id)
            else:
                rows += row
            progress("reading", count * CHUNK_SIZE, total)
    return rows


class _Reading(NamedTuple):
    """A chunk on its way from the reader to a worker."""

    chunk_id: int
    raw: bytes
    free_parts: list[tuple[int, int]]


def _read_chunk(source: Source, chunk_id: int) -> bytes:
    offset = chunk_id * CHUNK_SIZE
    return source.read(offset, min(CHUNK_SIZE, source.size - offset))


def _blank(raw: bytes, free_parts: list[tuple[int, int]]) -> bytes:
    """Deleted files do not travel: what is free inside a chunk that is in use becomes zeros."""
    blanked = bytearray(raw)
    for start, stop in free_parts:
        blanked[start : min(stop, len(raw))] = bytes(min(stop, len(raw)) - start)
    return bytes(blanked)


def _unpacks_to(stored: bytes, raw: bytes) -> bool:
    """Whether a chunk in the library is sound; a damaged one is stored afresh, so that adding again repairs it."""
    try:
        return unpack(stored, len(raw)) == raw
    except DecodeError:
        return False


def _describe(
    name: str, version: int, source: Source, table: PartitionTable, found: list[UsedBlocks]
) -> ManifestHeader:
    return ManifestHeader(
        format=PROTOCOL_VERSION,
        image_id=secrets.token_hex(16),
        name=name,
        version=version,
        created=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        source=source.origin,
        disk_size=source.size,
        logical_sector_size=source.logical_sector_size,
        partition_table=table.kind,
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
            for partition, used in zip(table.partitions, found, strict=True)
        ),
        chunk_size=CHUNK_SIZE,
        codec="zstd",
        stored_chunk_count=0,
        stored_bytes=0,
        zero_ranges=(),
        rows_digest="",
    )


def _newest(library: Library, name: str) -> Manifest | None:
    return library.load(name) if library.versions(name) else None


def same_disk(one: Manifest, other: Manifest) -> bool:
    """Whether two manifests describe the same disk, apart from when and from where it was read."""
    geometry = ("disk_size", "logical_sector_size", "partition_table", "partitions", "chunk_size", "codec")
    compared = (*geometry, "zero_ranges", "rows_digest")
    return all(getattr(one.header, field) == getattr(other.header, field) for field in compared)


def sign_again(library: Library, manifest: Manifest, signer: SigningKey | None) -> ImageSignature | None:
    """The signature of an image whose source has just been read again: it is made where it is missing or another's."""
    there = signature_or_none(library, manifest)
    if signer is None or (there is not None and there.key == signer.public):
        return there
    signature = sign_digest(manifest.digest, signer)
    library.put_signature(manifest.header, signature)
    return signature


def _publish(library: Library, manifest: Manifest, signature: ImageSignature | None, batch: Batch) -> None:
    try:
        library.publish(manifest, signature)
    finally:
        # Ctrl-C may come after the rename: then the image is there, and its chunks must stay.
        if library.manifest_path(manifest.header.name, manifest.header.version).exists():
            batch.keep()
