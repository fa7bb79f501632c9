"""The pure kernel of the seal: AES-256-GCM by ``cryptography``, datagram by datagram. It defines what kernels do.

``_seal.c`` has the same two functions with the same arguments, bytes and counts; the tests run one class over both. A
kernel checks what could lead it out of a buffer and raises ValueError or BufferError; the ids to seal are checked by
``protocol.seal``, which alone calls it. Everything in a batch comes from the network.
"""

import struct
from collections.abc import Callable
from enum import IntEnum
from typing import Final, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from protocol.blocks import LEDGER_LENGTH, REPAIR_COUNT, REPAIR_ESIS, SYMBOL_COUNT
from protocol.digests import Buffer
from protocol.errors import WireError
from protocol.wire import HEADER_LENGTH, MAX_REPAIR_SYMBOLS, TAG_LENGTH, DatagramHeader, decode_header

SEGMENT_SHIFT: Final = 15
"""A key seals 2**15 blocks: 8 GiB of disk in at most 2**15 * 255 < 2**23 datagrams, RFC 9001 section 6.6's bound."""

OVERHEAD: Final = HEADER_LENGTH + TAG_LENGTH
"""[bytes] What a datagram is longer than its symbol."""

WritableBuffer = bytearray | memoryview
FindBlock = Callable[[int, int, int], tuple[WritableBuffer, bytearray] | None]
"""(toi, sbn, source_block_length) to (symbols, ledger) of a block that is wanted, or None. It must be None for another
source_block_length than the block's own: the slots of two lengths overlap, so a forged one would overwrite symbols."""

Counts = tuple[int, int, int, int, int, int]
"""The fields of ``protocol.seal.BatchCounts``."""

_NONCE: Final = struct.Struct(">B3x4s3xB")


def seal_symbols(  # noqa: PLR0917 - as the C function, whose arguments have no names
    key: bytes,
    header: bytes,
    out: WritableBuffer,
    symbols: Buffer,
    esis: bytes,
    encoding_symbol_length: int,
    last_symbol_length: int,
) -> int:
    """Seal into ``out``: ``key`` is the segment's, ``header`` is complete but for its last byte, the esi."""
    last_esi = header[-2] - 1
    lengths = [last_symbol_length if esi == last_esi else encoding_symbol_length for esi in esis]
    source, sink = memoryview(symbols), memoryview(out)
    if esis and len(source) < (len(esis) - 1) * encoding_symbol_length + lengths[-1]:
        raise ValueError("the symbols are fewer than their ids")
    if len(sink) < sum(lengths) + len(esis) * OVERHEAD:
        raise ValueError("the datagrams do not fit their buffer")
    aes = AESGCM(key)
    position = 0
    for index, (esi, length) in enumerate(zip(esis, lengths, strict=True)):
        named = header[:-1] + bytes((esi,))
        start, body, end = index * encoding_symbol_length, position + HEADER_LENGTH, position + length + OVERHEAD
        sink[position:body] = named
        aes.encrypt_into(_nonce(named), source[start : start + length], named, sink[body:end])
        position = end
    return position


def _nonce(header: bytes) -> bytes:
    """The symbol's name within its key, 12 bytes: toi, sbn and esi, each at the end of a word."""
    return _NONCE.pack(header[3], header[12:16], header[17])


class _OpenBlock(NamedTuple):
    aes: AESGCM
    symbols: memoryview
    ledger: bytearray
    source_block_length: int


class _Outcome(IntEnum):
    """Positions in BatchCounts."""

    OPENED = 0
    DUPLICATE = 1
    UNWANTED = 2
    REJECTED = 3
    FOREIGN = 4


def open_batch(  # noqa: PLR0917 - as the C function, whose arguments have no names
    segment_key: Callable[[int, int], bytes],
    session_header: bytes,
    batch: Buffer,
    datagram_length: int,
    encoding_symbol_length: int,
    find_block: FindBlock,
) -> Counts:
    """Open into blocks, and count (BatchCounts): ``segment_key`` takes toi and segment, ``session_header`` is any."""
    if datagram_length < 1:
        raise ValueError("the datagram length is not positive")
    view = memoryview(batch)
    counts = [0] * len(_Outcome)
    opened_bytes = 0
    block_name, block, esi_end = b"", None, 0
    for start in range(0, len(view), datagram_length):
        datagram = view[start : start + datagram_length]
        header = bytes(datagram[:HEADER_LENGTH])
        length = len(datagram) - OVERHEAD
        # Most datagrams repeat the header of the one before but for the esi: only others are worth a full decoding.
        if header[:-1] != block_name or header[-1] >= esi_end or length != encoding_symbol_length:
            decoded = _own_header(datagram, session_header, encoding_symbol_length)
            if decoded is None:
                counts[_Outcome.FOREIGN] += 1
                continue
            if header[:-1] != block_name:
                sbn, source_block_length, _ = decoded.payload_id
                block_name, esi_end = header[:-1], source_block_length + MAX_REPAIR_SYMBOLS
                block = _open_block(segment_key, find_block, decoded.toi, sbn, source_block_length)
        outcome = _Outcome.UNWANTED if block is None else _open_symbol(block, header, datagram, encoding_symbol_length)
        counts[outcome] += 1
        if outcome is _Outcome.OPENED:
            opened_bytes += length
    opened, duplicate, unwanted, rejected, foreign = counts
    return opened, duplicate, unwanted, rejected, foreign, opened_bytes


def _own_header(datagram: memoryview, session_header: bytes, encoding_symbol_length: int) -> DatagramHeader | None:
    """The header, or None if it is not of this session or the symbol's length is not what it may be."""
    try:
        header = decode_header(datagram)
    except WireError:
        return None
    shortfall = encoding_symbol_length - (len(datagram) - OVERHEAD)
    may_be_short = header.payload_id.esi == header.payload_id.source_block_length - 1
    is_own = datagram[4:12] == session_header[4:12]
    return header if is_own and (shortfall == 0 or (may_be_short and shortfall > 0)) else None


def _open_block(
    segment_key: Callable[[int, int], bytes], find_block: FindBlock, toi: int, sbn: int, source_block_length: int
) -> _OpenBlock | None:
    found = find_block(toi, sbn, source_block_length)
    if found is None:
        return None
    symbols, ledger = found
    if len(ledger) < LEDGER_LENGTH:
        raise ValueError("the ledger is too short")
    key = segment_key(toi, sbn >> SEGMENT_SHIFT)
    return _OpenBlock(AESGCM(key), memoryview(symbols), ledger, source_block_length)


def _open_symbol(block: _OpenBlock, header: bytes, datagram: memoryview, encoding_symbol_length: int) -> _Outcome:
    aes, symbols, ledger, source_block_length = block
    esi = header[-1]
    if ledger[esi]:
        return _Outcome.DUPLICATE
    repair_count = ledger[REPAIR_COUNT]
    is_repair = esi >= source_block_length
    start = (source_block_length + repair_count if is_repair else esi) * encoding_symbol_length
    end = start + encoding_symbol_length
    is_full = ledger[SYMBOL_COUNT] >= source_block_length or (is_repair and repair_count >= MAX_REPAIR_SYMBOLS)
    if is_full or end > len(symbols):
        return _Outcome.UNWANTED
    padding = start + len(datagram) - OVERHEAD
    try:
        aes.decrypt_into(_nonce(header), datagram[HEADER_LENGTH:], header, symbols[start:padding])
    except InvalidTag:
        return _Outcome.REJECTED
    if padding < end:
        symbols[padding:end] = bytes(end - padding)
    if is_repair:
        ledger[REPAIR_ESIS + repair_count] = esi
        ledger[REPAIR_COUNT] += 1
    ledger[esi] = 1
    ledger[SYMBOL_COUNT] += 1
    return _Outcome.OPENED
