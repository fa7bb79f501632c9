"""A capture: how the used blocks of a disk get from a PC into the library, over the seat API.

    POST /v1/captures                     CaptureWish              -> CaptureState
    GET  /v1/captures/{id}                                         -> CaptureState
    POST /v1/captures/{id}/lacking        raw digests, 32 each     -> bits, most significant first: 1 must be sent
    POST /v1/captures/{id}/chunks         framed chunks            -> CaptureState
    POST /v1/captures/{id}/disk           CapturedDisk and rows    -> CaptureState, the image's version if it is there
    POST /v1/captures/{id}/progress       CaptureProgress          -> CaptureState, once a second
    POST /v1/captures/{id}/failure        CaptureFailure           -> CaptureState

    framed chunk    raw digest 32, raw_length u32, stored_length u32, stored bytes; one after the other, big-endian
    disk            header length u32, CapturedDisk as JSON, then one row per chunk that is in use and not all zeros,
                    ascending: chunk_id u32, raw digest 32

The library keeps what has arrived for as long as the capture is open, so whoever was interrupted asks again what is
lacking and sends the rest. Nothing of it is an image before the last call: the broadcaster then proves that it has
every chunk, draws the image's id, counts its version, and signs it. A chunk is proved by its raw digest on arrival.
What is asked again is answered again: chunks that are there already do no harm, and a disk that was taken gives the
version that it became. A disk of which chunks are missing is answered RUNNING, with the reason: ask what is lacking and
send that, then the disk again. One that takes long to be proved is answered with ``is_finishing``: ask for the state.
503 and 507 (the library is full) mean: the same again later; nothing that has arrived is lost.
"""

import re
import struct
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from typing import Annotated, Final, NamedTuple, overload

import msgspec

from protocol.digests import DIGEST_LENGTH, Buffer
from protocol.errors import MessageError
from protocol.fields import Count, LongText, Ratio, ShortText
from protocol.manifest import CHUNK_SIZE, MAX_HEADER_LENGTH, PartitionInfo
from protocol.seat_api import API_ROOT, CaptureId

CAPTURES_PATH: Final = f"{API_ROOT}/captures"

MAX_LACKING_DIGESTS: Final = 4096
"""[digests] in one question: 128 KiB, for one GiB of disk."""

MAX_CHUNKS_BODY: Final = 16 << 20
"""[bytes] of one body of framed chunks: 60 raw ones; long enough that a request costs nothing beside its chunks."""

MAX_DISK_BODY: Final = 512 << 20
"""[bytes] of a disk's description: rows for 3.5 TiB in use"""

MAX_FINDINGS: Final = 64
MAX_PARTITIONS: Final = 256
MAX_PARTITION_NUMBER: Final = (1 << 31) - 1
MAX_ZERO_RANGES: Final = 1 << 20

_CAPTURE_PATH: Final = re.compile(
    rf"{CAPTURES_PATH}/(?P<id>[0-9a-f]{{16}})(?:/(?P<what>lacking|chunks|disk|progress|failure))?"
)
_FRAME: Final = struct.Struct(f">{DIGEST_LENGTH}sII")
_LENGTH: Final = struct.Struct(">I")
_ROW: Final = struct.Struct(f">I{DIGEST_LENGTH}s")


class CaptureStep(StrEnum):
    """Where a capture stands."""

    ASKED = "asked"
    """by somebody at the machine; it waits for an operator"""
    ORDERED = "ordered"
    """the machine has not begun"""
    RUNNING = "running"
    DONE = "done"
    REFUSED = "refused"
    """by the operator, or by what was found on the disk; nothing was sent"""
    FAILED = "failed"


class FindingKind(StrEnum):
    """What a finding means for the capture."""

    WARNING = "warning"
    REFUSAL = "refusal"
    """not captured unless an operator accepts its code"""


class Finding(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Something on the disk that an operator should know before it becomes an image."""

    kind: FindingKind
    code: ShortText
    """what it is, for programs: bitlocker, hibernated, dirty, failing-disk, machine-id, ssh-host-keys, ..."""
    where: ShortText
    """partition or path"""
    text: LongText
    """one sentence: what was found, and what to do"""


class CaptureWish(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Somebody at the machine wants its disk in the library."""

    image: ShortText
    machine: ShortText
    target: ShortText
    """the disk, in words"""
    disk_size: Count
    """bytes"""


class CaptureState(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How far a capture is, as the broadcaster knows it."""

    capture_id: CaptureId
    step: CaptureStep
    image: ShortText
    version: Count = 0
    """once it is done"""
    accepts: Annotated[tuple[ShortText, ...], msgspec.Meta(max_length=32)] = ()
    reason: LongText = ""
    """why it was refused or failed, and what to do"""
    is_finishing: bool = False
    """the disk's description is there and is being proved"""
    is_unchanged: bool = False
    """done, and the newest version was the same already; ``version`` is that one"""


class CaptureFailure(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The machine gives up."""

    is_refused: bool
    """because of what it found, before anything was sent"""
    reason: LongText
    findings: Annotated[tuple[Finding, ...], msgspec.Meta(max_length=MAX_FINDINGS)] = ()


class CapturedDisk(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a manifest's header says of the disk, as the machine saw it; and what was found on it."""

    source: ShortText
    """which machine and disk, for people"""
    disk_size: Count
    """bytes"""
    logical_sector_size: Annotated[int, msgspec.Meta(ge=512, le=4096)]
    """bytes, 512 or 4096"""
    partition_table: ShortText
    """gpt, dos or none"""
    partitions: Annotated[tuple[PartitionInfo, ...], msgspec.Meta(max_length=MAX_PARTITIONS)]
    zero_ranges: Annotated[tuple[tuple[Count, Count], ...], msgspec.Meta(max_length=MAX_ZERO_RANGES)]
    """(first chunk_id, count), ascending: chunks that must read as zeros"""
    findings: Annotated[tuple[Finding, ...], msgspec.Meta(max_length=MAX_FINDINGS)] = ()


class CaptureProgress(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How far the machine is."""

    done: Ratio
    read_bytes: Count
    sent_bytes: Count
    target: ShortText = ""
    """the disk, in words; empty before it is known"""
    disk_size: Count = 0
    """bytes; 0 before it is known"""


class CaptureAddress(NamedTuple):
    """Which capture, and what of it."""

    capture_id: str
    what: str = ""
    """lacking, chunks, disk, progress, failure, or empty for its state"""

    @classmethod
    def parse(cls, path: str) -> "CaptureAddress | None":
        """Read a path of any origin; None where there is nothing of this form."""
        match = _CAPTURE_PATH.fullmatch(path)
        return None if match is None else cls(match["id"], match["what"] or "")

    def __str__(self) -> str:
        """The path."""
        return f"{CAPTURES_PATH}/{self.capture_id}{'/' if self.what else ''}{self.what}"


class FramedChunk(NamedTuple):
    """One chunk on its way into the library."""

    raw_digest: bytes
    raw_length: int
    """bytes, at most CHUNK_SIZE"""
    stored: Buffer
    """zstd, or raw where that is not shorter"""


def encode_chunk(chunk: FramedChunk) -> bytes:
    """The frame of one chunk."""
    return _FRAME.pack(chunk.raw_digest, chunk.raw_length, len(chunk.stored)) + bytes(chunk.stored)


def decode_chunks(body: Buffer) -> Iterator[FramedChunk]:
    """The chunks of a body of any origin, as views into it; their digests are not proved yet.

    Raises:
        MessageError: cut short, or a chunk longer than any can be.
    """
    view = memoryview(body)
    while view:
        if len(view) < _FRAME.size:
            raise MessageError("the last chunk is cut short")
        digest, raw_length, stored_length = _FRAME.unpack_from(view)
        if not 1 <= raw_length <= CHUNK_SIZE or not 1 <= stored_length <= raw_length:
            raise MessageError(f"a chunk of {raw_length} bytes, {stored_length} as stored, cannot be")
        end = _FRAME.size + stored_length
        if len(view) < end:
            raise MessageError("the last chunk is cut short")
        yield FramedChunk(digest, raw_length, view[_FRAME.size : end])
        view = view[end:]


def encode_disk(disk: CapturedDisk, rows: Iterable[tuple[int, bytes]]) -> bytes:
    """The body that ends a capture; ``rows`` are (chunk_id, raw digest), ascending."""
    header = msgspec.json.encode(disk)
    return b"".join((_LENGTH.pack(len(header)), header, *(_ROW.pack(*row) for row in rows)))


class CapturedRows(Sequence[tuple[int, bytes]]):
    """(chunk_id, raw digest) of each chunk, ascending: a view, as 3.5 TiB in use are 14 million of them."""

    def __init__(self, packed: Buffer) -> None:
        self._packed = memoryview(packed)

    def __len__(self) -> int:
        """Rows."""
        return len(self._packed) // _ROW.size

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        """In the order of the disk."""
        return _ROW.iter_unpack(self._packed)

    @overload
    def __getitem__(self, index: int) -> tuple[int, bytes]: ...
    @overload
    def __getitem__(self, index: slice) -> list[tuple[int, bytes]]: ...
    def __getitem__(self, index: int | slice) -> tuple[int, bytes] | list[tuple[int, bytes]]:
        """One row, or some."""
        if isinstance(index, slice):
            return [self[each] for each in range(*index.indices(len(self)))]
        chunk_id, digest = _ROW.unpack_from(self._packed, range(len(self))[index] * _ROW.size)
        return chunk_id, digest


def decode_disk(body: Buffer) -> tuple[CapturedDisk, CapturedRows]:
    """What ``encode_disk`` was given, from a body of any origin, which must not change meanwhile.

    It is judged by its shape, not by its sense.

    Raises:
        MessageError: cut short, no JSON, out of bounds, or rows that do not ascend.
    """
    view = memoryview(body)
    if len(view) < _LENGTH.size:
        raise MessageError("shorter than the length of a header")
    (length,) = _LENGTH.unpack_from(view)
    if length > MAX_HEADER_LENGTH:
        raise MessageError(f"a header of {length} bytes is over {MAX_HEADER_LENGTH}")
    header, rows = view[_LENGTH.size : _LENGTH.size + length], view[_LENGTH.size + length :]
    if len(header) < length or len(rows) % _ROW.size:
        raise MessageError("the description of the disk is cut short")
    try:
        disk = msgspec.json.decode(header, type=CapturedDisk)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MessageError(f"CapturedDisk: {error}") from error
    for partition in disk.partitions:
        if not 0 <= partition.number <= MAX_PARTITION_NUMBER or not 0 <= partition.used_bytes <= disk.disk_size:
            raise MessageError(f"no disk has a partition {partition.number} with {partition.used_bytes} used bytes")
    found = CapturedRows(rows)
    previous = -1
    for chunk_id, _ in found:
        if chunk_id <= previous:
            raise MessageError("rows of the disk do not ascend")
        previous = chunk_id
    return disk, found


def encode_lacking(lacking: Iterable[bool]) -> bytes:
    """The answer to a question for lacking chunks, one bit for each digest, padded with zeros."""
    bits = "".join("1" if each else "0" for each in lacking)
    padded = bits.ljust(-(-len(bits) // 8) * 8, "0")
    return int(padded or "0", 2).to_bytes(len(padded) // 8)


def decode_lacking(body: bytes, count: int) -> list[bool]:
    """One truth for each of ``count`` digests that were asked for.

    Raises:
        MessageError: of another length, or with bits behind the end.
    """
    if len(body) != -(-count // 8):
        raise MessageError(f"{len(body)} bytes of bits for {count} digests")
    bits = [bool(byte >> shift & 1) for byte in body for shift in range(7, -1, -1)]
    if any(bits[count:]):
        raise MessageError("bits behind the last digest")
    return bits[:count]
