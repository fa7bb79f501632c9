"""The manifest: what a disk image is, chunk by chunk, in canonical bytes that can be signed.

    0   8  magic "SLATEMAN"
    8   4  header length H, bytes, big-endian
    12  H  header, JSON of ManifestHeader in field order without spaces
    .. 72  one row per stored chunk in disk order: chunk_id u32, stored_length u32, raw digest 32, stored digest 32

The row number of a stored chunk is its source block number ``sbn`` on the wire. A chunk that is neither in a row nor in
``zero_ranges`` is free space: not sent, not written. A stored length equal to the raw length means that the bytes are
not compressed. The digest of a manifest covers magic, length and header; the header holds the digest of the rows.

Rows stay packed bytes: 200 GiB of used chunks are 59 MB here and would be several hundred as objects. They are never
copied on the way in (``decode_manifest`` keeps a view) nor on the way out (``Manifest.read`` copies one slice).
"""

import re
import struct
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

import msgspec

from protocol import PROTOCOL_VERSION
from protocol.digests import DIGEST_LENGTH, Buffer, StoredDigest, raw_digest
from protocol.errors import ManifestError

CHUNK_SIZE: Final = 256 * 1024
"""[bytes] Chosen: 186 symbols of 1,416 bytes, so that one raw chunk is one block of RS(255,191)."""

CHUNK_SIZES: Final = tuple(1 << exponent for exponent in range(12, 19))
"""[bytes] What a decoder accepts: from one sector of 4 KiB to CHUNK_SIZE, which is what the library writes."""

MAGIC: Final = b"SLATEMAN"
MAX_HEADER_LENGTH: Final = 8 << 20
"""[bytes] Stops a forged length from making a receiver parse without end. The zero ranges decide: a disk of 200 GiB in
which every other chunk is zero needs 6 MB, a common one 20 KiB."""

ROW: Final = struct.Struct(f">II{DIGEST_LENGTH}s{DIGEST_LENGTH}s")
_PREFIX: Final = struct.Struct(">8sI")
_SECTOR_SIZES: Final = (512, 4096)
_PARTITION_TABLES: Final = ("gpt", "dos", "none")
_IMAGE_ID: Final = re.compile(r"[0-9a-f]{32}", re.ASCII)

IMAGE_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
"""What an image may be called (whole match): safe as a folder name, in a topic, and on a terminal."""


class PartitionInfo(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One partition as its table and file system describe it; for people and plans, never for writing."""

    number: int
    offset: int
    """bytes"""
    length: int
    """bytes"""
    type: str
    """GPT type GUID or MBR type in hex"""
    filesystem: str
    """name of the file system, empty if unknown"""
    label: str
    used_bytes: int
    """bytes that the file system says are used; ``length`` where nobody can tell"""


class ManifestHeader(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything about an image but its rows; the field order is the canonical order."""

    format: int
    """PROTOCOL_VERSION"""
    image_id: str
    """32 hex digits, drawn when the image is added"""
    name: str
    version: int
    """1 for the first image of this name, then counting"""
    created: str
    """UTC, RFC 3339"""
    source: str
    """what the image was read from, for people"""
    disk_size: int
    """bytes"""
    logical_sector_size: int
    """bytes, 512 or 4096"""
    partition_table: str
    """gpt, dos or none"""
    partitions: tuple[PartitionInfo, ...]
    chunk_size: int
    """bytes"""
    codec: str
    """zstd"""
    stored_chunk_count: int
    """rows"""
    stored_bytes: int
    """sum of the stored lengths, bytes"""
    zero_ranges: tuple[tuple[int, int], ...]
    """(first chunk_id, count), ascending, apart: chunks that must read as zeros"""
    rows_digest: str
    """BLAKE3 of all rows, hex"""


class StoredChunk(NamedTuple):
    """One row: where a chunk lies, how long its stored bytes are, and what they must hash to."""

    chunk_id: int
    offset: int
    """bytes from the start of the disk"""
    raw_length: int
    """bytes"""
    stored_length: int
    """bytes; equal to raw_length when not compressed"""
    raw_digest: bytes
    stored_digest: bytes


class Manifest:
    """A decoded manifest; immutable, indexed by sbn."""

    def __init__(self, header: ManifestHeader, rows: Buffer) -> None:
        self.header = header
        self._rows = memoryview(rows).toreadonly()
        self._prefix = _encode_prefix(header)
        self.digest: Final[bytes] = raw_digest(self._prefix)
        self.stored_digest: Final = StoredDigest.for_disk(
            header.disk_size, header.logical_sector_size, header.chunk_size
        )

    def __len__(self) -> int:
        """Number of stored chunks, which is the number of source blocks of object 1."""
        return self.header.stored_chunk_count

    def __iter__(self) -> Iterator[StoredChunk]:
        """All stored chunks in disk order, which is the order of their sbn."""
        return map(self.__getitem__, range(len(self)))

    def __getitem__(self, sbn: int) -> StoredChunk:
        """The stored chunk that travels as source block ``sbn``; IndexError outside."""
        if not 0 <= sbn < self.header.stored_chunk_count:
            raise IndexError(f"sbn {sbn} is not within {self.header.stored_chunk_count} blocks")
        chunk_id, stored_length, raw, stored = ROW.unpack_from(self._rows, sbn * ROW.size)
        return StoredChunk(
            chunk_id, chunk_id * self.header.chunk_size, self.raw_length(chunk_id), stored_length, raw, stored
        )

    @property
    def chunk_count(self) -> int:
        """Number of chunks that the disk is divided into, stored or not."""
        return -(-self.header.disk_size // self.header.chunk_size)

    def raw_length(self, chunk_id: int) -> int:
        """Bytes of chunk ``chunk_id``; the disk's last one may be short."""
        return min(self.header.chunk_size, self.header.disk_size - chunk_id * self.header.chunk_size)

    @property
    def encoded_length(self) -> int:
        """Bytes of the canonical form, which is the transfer length of object 0."""
        return len(self._prefix) + len(self._rows)

    def read(self, offset: int, length: int) -> bytes:
        """At most ``length`` canonical bytes from byte ``offset``; shorter at the end, empty beyond it."""
        from_prefix = self._prefix[offset : offset + length]
        from_rows = self._rows[max(0, offset - len(self._prefix)) :][: length - len(from_prefix)]
        return from_prefix + bytes(from_rows)

    def encode(self) -> bytes:
        """The canonical bytes, which are the transfer object 0."""
        return self.read(0, self.encoded_length)


def encode_row(chunk: StoredChunk) -> bytes:
    """The 72 bytes of one row; offset and raw length follow from the chunk_id."""
    return ROW.pack(chunk.chunk_id, chunk.stored_length, chunk.raw_digest, chunk.stored_digest)


def build_manifest(header: ManifestHeader, chunks: Iterable[StoredChunk]) -> Manifest:
    """As ``build_manifest_from_rows``, of chunks in disk order."""
    return build_manifest_from_rows(header, b"".join(map(encode_row, chunks)))


def build_manifest_from_rows(header: ManifestHeader, rows: Buffer) -> Manifest:
    """A manifest of these packed rows; fills in count, stored bytes and rows digest of ``header``.

    Raises:
        ManifestError: the header or the rows contradict each other or the disk.
    """
    complete = msgspec.structs.replace(
        header,
        stored_chunk_count=len(rows) // ROW.size,
        stored_bytes=sum(row[1] for row in ROW.iter_unpack(rows)),
        rows_digest=raw_digest(rows).hex(),
    )
    _check_header(complete)
    manifest = Manifest(complete, rows)
    manifest_header_end(manifest.read(0, _PREFIX.size))
    _check_rows(manifest, memoryview(rows))
    return manifest


def decode_manifest(data: Buffer) -> Manifest:
    """Read the canonical bytes of a manifest of any origin.

    Raises:
        ManifestError: not a manifest, not canonical, or the rows contradict the header, each other or the disk.
    """
    view = memoryview(data)
    header = decode_manifest_header(view)
    rows = view[len(_encode_prefix(header)) :]
    if len(rows) != header.stored_chunk_count * ROW.size:
        raise ManifestError(f"{len(rows)} bytes of rows for {header.stored_chunk_count} stored chunks")
    if raw_digest(rows).hex() != header.rows_digest:
        raise ManifestError("rows do not have the digest that the header names")
    manifest = Manifest(header, rows)
    _check_rows(manifest, rows)
    return manifest


def decode_manifest_header(data: Buffer) -> ManifestHeader:
    """Read only the header from the first bytes of a manifest; the rows need not be there.

    Raises:
        ManifestError: not the beginning of a manifest, not canonical, or not a disk that we know how to describe.
    """
    view = memoryview(data)
    header_end = manifest_header_end(view)
    if header_end > len(view):
        raise ManifestError(f"{len(view)} bytes do not hold a header of {header_end}")
    try:
        header = msgspec.json.decode(view[_PREFIX.size : header_end], type=ManifestHeader)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ManifestError(f"header: {error}") from error
    _check_header(header)
    if _encode_prefix(header) != view[:header_end]:
        raise ManifestError("header is not in canonical form")
    return header


def manifest_header_end(data: Buffer) -> int:
    """How many bytes from the beginning hold the header, told by the first 12.

    Raises:
        ManifestError: not the beginning of a manifest, or a header longer than any can be.
    """
    if len(data) < _PREFIX.size:
        raise ManifestError("shorter than a manifest's first bytes")
    magic, header_length = _PREFIX.unpack_from(data)
    if magic != MAGIC:
        raise ManifestError("not a slatecast manifest")
    if header_length > MAX_HEADER_LENGTH:
        raise ManifestError(f"header of {header_length} bytes is longer than {MAX_HEADER_LENGTH}")
    return _PREFIX.size + int(header_length)


def _encode_prefix(header: ManifestHeader) -> bytes:
    encoded = msgspec.json.encode(header)
    return _PREFIX.pack(MAGIC, len(encoded)) + encoded


def _check_header(header: ManifestHeader) -> None:
    if header.format != PROTOCOL_VERSION:
        raise ManifestError(f"format {header.format} is not {PROTOCOL_VERSION}")
    if header.logical_sector_size not in _SECTOR_SIZES:
        raise ManifestError(f"logical sector size {header.logical_sector_size} is not 512 or 4096")
    if header.chunk_size not in CHUNK_SIZES:
        raise ManifestError(f"chunk size {header.chunk_size} is not a power of two from 4 KiB to 256 KiB")
    if not 0 < header.disk_size <= header.chunk_size << 32 or header.disk_size % header.logical_sector_size:
        raise ManifestError(f"disk size {header.disk_size} is not a positive multiple of the sector size")
    if header.partition_table not in _PARTITION_TABLES:
        raise ManifestError(f"partition table {header.partition_table!r} is not known")
    if header.codec != "zstd":
        raise ManifestError(f"codec {header.codec!r} is not known")
    if not IMAGE_NAME.fullmatch(header.name) or not _IMAGE_ID.fullmatch(header.image_id) or header.version < 1:
        raise ManifestError(f"{header.name!r}, {header.image_id!r}, version {header.version} do not name an image")
    for partition in header.partitions:
        if not 0 <= partition.offset <= partition.offset + partition.length <= header.disk_size:
            raise ManifestError(f"partition {partition.number} does not lie on the disk")


def _check_rows(manifest: Manifest, rows: memoryview) -> None:
    """Rows ascend, lie on the disk, are no longer than their chunks, and avoid the zero ranges."""
    header = manifest.header
    previous = -1
    stored_bytes = 0
    last_chunk_id = manifest.chunk_count - 1
    for chunk_id, stored_length, _, _ in ROW.iter_unpack(rows):
        if not previous < chunk_id <= last_chunk_id:
            raise ManifestError(f"chunk {chunk_id} is out of order or beyond the disk")
        if not 1 <= stored_length <= header.chunk_size:
            raise ManifestError(f"chunk {chunk_id} has stored length {stored_length}")
        previous = chunk_id
        stored_bytes += stored_length
    if previous == last_chunk_id and len(manifest) and stored_length > manifest.raw_length(last_chunk_id):
        raise ManifestError("the last chunk is stored longer than it is")
    if stored_bytes != header.stored_bytes:
        raise ManifestError(f"rows hold {stored_bytes} stored bytes, the header says {header.stored_bytes}")
    _check_zero_ranges(manifest, rows)


def _check_zero_ranges(manifest: Manifest, rows: memoryview) -> None:
    end = -1
    chunk_ids = (row[0] for row in ROW.iter_unpack(rows))
    next_stored = next(chunk_ids, manifest.chunk_count)
    for first, count in manifest.header.zero_ranges:
        if first <= end or count < 1 or first + count > manifest.chunk_count:
            raise ManifestError(f"zero range {first}+{count} is out of order or beyond the disk")
        end = first + count
        while next_stored < first:
            next_stored = next(chunk_ids, manifest.chunk_count)
        if next_stored < end:
            raise ManifestError(f"chunk {next_stored} is both stored and zero")
