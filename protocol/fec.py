"""Reed-Solomon repair symbols for source blocks: RS(255,191), systematic, shortened to K and punctured at will.

The code is ``reedsolo.RSCodec(64)``: codewords are the polynomials over GF(2^8) of degree below 255 that vanish at
X = 2^0 .. 2^63. A block of K source symbols is the long block whose first 191 - K symbols are zero and not sent, so
that symbol ``esi`` holds, byte by byte, the coefficients of X^(K+63-esi); esi K+j is parity byte j.

Any K symbols of a block determine all others, by one formula in both directions. Let E be the 64 symbols that are not
at hand (all repair symbols when encoding; the lost source symbols and unused repair symbols when decoding), X_p = the
locator 2^degree of symbol p, and W the polynomial with the roots X_q, q in E. Then for a lost symbol m

    symbol m = sum over known p of symbol p * W(X_p) / (W'(X_m) (X_p - X_m))

since f = W / (X - X_m) has degree 63, so that the codeword's evaluations combine to sum of f(X_p) * symbol p = 0, and f
vanishes on all of E but m, where it is W'(X_m). No matrix is inverted, and none can be singular.

This module neither chooses which symbols to send nor keeps any; it never reads a symbol that the caller calls missing.
"""

from collections.abc import Sequence
from typing import Final

from protocol import gf256
from protocol.digests import Buffer
from protocol.errors import DecodeError, SessionStateError
from protocol.wire import MAX_ENCODING_SYMBOLS, MAX_REPAIR_SYMBOLS, MAX_SOURCE_BLOCK_LENGTH


def encode_repair(
    source: Buffer, source_block_length: int, encoding_symbol_length: int, esis: Sequence[int]
) -> bytearray:
    """The repair symbols with these ids, one after the other in the order of ``esis``.

    Args:
        source: K * L bytes, the source symbols in order, the last one padded with zeros.
        source_block_length: K, symbols, 1 to 191.
        encoding_symbol_length: L, bytes.
        esis: which repair symbols, each K to K + 63, none twice.

    Raises:
        SessionStateError: the arguments do not fit each other.
    """
    if not 1 <= source_block_length <= MAX_SOURCE_BLOCK_LENGTH or encoding_symbol_length < 1:
        raise SessionStateError(f"no code has {source_block_length} source symbols of {encoding_symbol_length} bytes")
    if memoryview(source).nbytes != source_block_length * encoding_symbol_length:
        raise SessionStateError(
            f"source block is not {source_block_length} symbols of {encoding_symbol_length} bytes: pad the last symbol"
        )
    repair_ids = [esi - source_block_length for esi in esis]
    if not _are_distinct_below(MAX_REPAIR_SYMBOLS, repair_ids):
        raise SessionStateError(f"repair symbol ids {list(esis)} are not distinct ids of this block")
    repair = bytearray(len(esis) * encoding_symbol_length)
    gf256.dot_product(
        b"".join([_GENERATOR[repair_id][-source_block_length:] for repair_id in repair_ids]),
        source,
        bytes(range(source_block_length)),
        repair,
        bytes(range(len(esis))),
        encoding_symbol_length,
    )
    return repair


def decode_source(
    block: bytearray | memoryview,
    source_block_length: int,
    encoding_symbol_length: int,
    missing: Sequence[int],
    repair_esis: Sequence[int],
) -> None:
    """Rebuild the missing source symbols in place, from the other ones and as many repair symbols.

    Args:
        block: writable; source symbol ``esi`` at ``esi * L``, the i-th repair symbol at ``(K + i) * L``. Only the slots
            of the missing symbols are written; what they held does not matter.
        source_block_length: K, symbols, 1 to 191.
        encoding_symbol_length: L, bytes.
        missing: esi of the source symbols to rebuild, each 0 to K - 1.
        repair_esis: esi of the i-th repair symbol in ``block``, each K to K + 63; those beyond the first
            ``len(missing)`` are not used.

    Raises:
        DecodeError: too few repair symbols, an id repeated or out of range, or a block too short for its symbols. The
            block is unchanged.
        SessionStateError: ``block`` is not writable.
    """
    if not 1 <= source_block_length <= MAX_SOURCE_BLOCK_LENGTH or encoding_symbol_length < 1:
        raise DecodeError(f"no code has {source_block_length} source symbols of {encoding_symbol_length} bytes")
    if not _are_distinct_below(source_block_length, missing):
        raise DecodeError(f"missing ids {list(missing)} are not distinct source symbols of {source_block_length}")
    repair_ids = [esi - source_block_length for esi in repair_esis]
    if not _are_distinct_below(MAX_REPAIR_SYMBOLS, repair_ids):
        raise DecodeError(f"repair symbol ids {list(repair_esis)} are not distinct ids of this block")
    if len(repair_ids) < len(missing):
        raise DecodeError(f"{len(missing)} source symbols are missing, with only {len(repair_ids)} repair symbols")
    if memoryview(block).nbytes < (source_block_length + len(repair_ids)) * encoding_symbol_length:
        raise DecodeError(f"block of {memoryview(block).nbytes} bytes does not hold its symbols")
    if not missing:
        return

    used = repair_ids[: len(missing)]
    shortened_by = MAX_SOURCE_BLOCK_LENGTH - source_block_length
    lost = bytes([shortened_by + esi for esi in missing])
    known = _SOURCE[shortened_by:].translate(None, lost) + bytes([MAX_SOURCE_BLOCK_LENGTH + j for j in used])
    unused = _REPAIR.translate(None, known)
    present_slots = bytes(range(source_block_length)).translate(None, bytes(missing))
    repair_slots = bytes(range(source_block_length, source_block_length + len(used)))
    gf256.dot_product(
        _interpolate(known, erased=lost + unused, wanted=lost),
        block,
        present_slots + repair_slots,
        block,
        bytes(missing),
        encoding_symbol_length,
    )


def _are_distinct_below(bound: int, ids: Sequence[int]) -> bool:
    return not ids or (min(ids) >= 0 and max(ids) < bound and len(set(ids)) == len(ids))


# The formula in logarithms, for all positions at once: a position is an esi of the unshortened block, and one big
# integer holds a logarithm per position in a lane of 16 bits, so that one addition multiplies a whole row. There is one
# lane more than positions, which makes a row a table for bytes.translate: the way to pick many entries at once.
# Measured (EPYC Zen 4, 2026-11): all coefficients for 8 lost symbols in 20 us, for 64 in 150 us; Gauss elimination in
# Python needs 35 us and 2.7 ms for the inverse alone.

_SOURCE: Final = bytes(range(MAX_SOURCE_BLOCK_LENGTH))
_REPAIR: Final = bytes(range(MAX_SOURCE_BLOCK_LENGTH, MAX_ENCODING_SYMBOLS))
_LANES: Final = 256
_ONES: Final = int.from_bytes(b"\1\0" * _LANES, "little")
_LOW_BYTES: Final = 0xFF * _ONES
_LOCATORS: Final = gf256.EXP[MAX_ENCODING_SYMBOLS - 1 :: -1] + b"\0"


def _log_distances(position: int) -> int:
    """log(X_p - X_position) for every p, and 0 for p = position: W becomes W' there by leaving that factor out."""
    here = _LOCATORS[position : position + 1] * _LANES
    differences = int.from_bytes(_LOCATORS, "little") ^ int.from_bytes(here, "little")
    lanes = bytearray(2 * _LANES)
    lanes[::2] = differences.to_bytes(_LANES, "little").translate(gf256.LOG)
    return int.from_bytes(lanes, "little")


_LOG_DISTANCES: Final = tuple(_log_distances(position) for position in range(MAX_ENCODING_SYMBOLS))


def _interpolate(known: bytes, erased: bytes, wanted: bytes) -> bytes:
    """For each wanted position the coefficients of the known ones, row after row.

    ``erased`` are 64 positions, among them all wanted and no known ones.
    """
    log_w = _reduce(sum([_LOG_DISTANCES[position] for position in erased]))
    log_w_bytes = _low_bytes(log_w)
    rows = []
    for position in wanted:
        # Minus a logarithm is plus its complement to 255: no lane ever borrows from the next.
        log_row = log_w + (255 - log_w_bytes[position]) * _ONES + (_LOW_BYTES - _LOG_DISTANCES[position])
        rows.append(known.translate(_low_bytes(_reduce(log_row))))
    return b"".join(rows).translate(gf256.EXP)


def _reduce(lanes: int) -> int:
    """Each lane modulo 255, as 0..255 since EXP takes both: 256 is 1, so high bytes are added to low ones.

    Twice is enough for 64 logarithms: at most 64 * 254, then 318, then 255.
    """
    for _ in range(2):
        lanes = (lanes & _LOW_BYTES) + (lanes >> 8 & _LOW_BYTES)
    return lanes


def _low_bytes(lanes: int) -> bytes:
    return lanes.to_bytes(2 * _LANES, "little")[::2]


def _generator() -> tuple[bytes, ...]:
    matrix = _interpolate(_SOURCE, erased=_REPAIR, wanted=_REPAIR)
    return tuple(matrix[start : start + len(_SOURCE)] for start in range(0, len(matrix), len(_SOURCE)))


_GENERATOR: Final = _generator()
"""Row j: the coefficients of the 191 source symbols in repair symbol j; a shortened block uses the last K of them."""
