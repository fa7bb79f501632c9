"""The seal: encoding symbols to datagrams that outsiders can neither read nor forge, and back, a batch at a time.

AES-256-GCM under a key per object and 8 GiB segment, with the header as associated data (``protocol.wire``) and a
nonce that is the symbol's name: the same symbol is the same datagram, so a repetition after a crash is a duplicate and
no counter need survive (NIST SP 800-38D section 8.2.1 asks that a nonce never meets two plaintexts: the manifest fixes
the plaintext). Who holds the session secret can forge; that is what the digests of the manifest are for.

The work of a batch is done by a kernel: ``libcrypto`` (``_seal.c``, OpenSSL's AES found at run time) or ``pure`` (here,
over ``cryptography``). Both give the same bytes and counts. Naming a kernel is a demand, and none is used before it has
given a known answer. This module keeps no block and never asks the time; slots and ledgers are ``protocol.blocks``.
"""

import struct
from collections.abc import Callable, Sequence
from enum import IntEnum
from typing import Final, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from protocol.blocks import LEDGER_LENGTH, REPAIR_COUNT, REPAIR_ESIS, SYMBOL_COUNT
from protocol.digests import Buffer
from protocol.errors import ConfigError, SessionStateError, WireError
from protocol.wire import (
    HEADER_LENGTH,
    MAX_REPAIR_SYMBOLS,
    MAX_SOURCE_BLOCK_LENGTH,
    TAG_LENGTH,
    TOI_DISK,
    DatagramHeader,
    decode_header,
    encode_header,
)

try:
    from protocol import _seal
except ImportError:  # built without a compiler, or for a Python that the stable ABI does not reach
    _seal = None  # type: ignore[assignment]  # mypy takes a module's name for a constant

KEY_LENGTH: Final = 32
"""[bytes] AES-256, and the session secret."""

SEGMENT_SHIFT: Final = 15
"""A key seals 2**15 blocks: 8 GiB of disk in at most 2**15 * 255 < 2**23 datagrams, RFC 9001 section 6.6's bound."""

OVERHEAD: Final = HEADER_LENGTH + TAG_LENGTH
"""[bytes] What a datagram is longer than its symbol."""

WritableBuffer = bytearray | memoryview
FindBlock = Callable[[int, int, int], tuple[WritableBuffer, bytearray] | None]
"""(toi, sbn, source_block_length) to (symbols, ledger) of a block that is wanted, or None."""

_KEY_INFO: Final = b"slatecast segment"
_SEGMENT: Final = struct.Struct(">BI")
_NONCE: Final = struct.Struct(">B3x4s3xB")


class BatchCounts(NamedTuple):
    """What became of the datagrams of a batch; the first five add up to their number."""

    opened: int
    """Authentic, and now in the slot of its block."""

    duplicate: int
    """The block has that symbol already; not decrypted."""

    unwanted: int
    """Of a block that is not wanted, is complete, or has no slot left; not decrypted."""

    rejected: int
    """The tag does not match: damaged on the way, or forged."""

    foreign: int
    """Not of this protocol, version or session, or malformed."""

    opened_bytes: int
    """[bytes] Symbols of the opened datagrams, without headers and tags."""


class Seal:
    """Seals or opens the datagrams of one session; one object per role."""

    def __init__(self, session_secret: bytes, manifest_digest: bytes, tsi: int, encoding_symbol_length: int) -> None:
        """Take the secret of this session (32 random bytes) and bind it to the manifest.

        Raises:
            SessionStateError: the secret is not 32 bytes, or the tsi or the symbol length does not fit the wire.
        """
        if len(session_secret) != KEY_LENGTH:
            raise SessionStateError(f"a session secret of {len(session_secret)} bytes instead of {KEY_LENGTH}")
        if not 0 <= tsi < 1 << 64 or not 1 <= encoding_symbol_length <= 0xFFFF - OVERHEAD:
            raise SessionStateError(f"tsi {tsi} or encoding symbol length {encoding_symbol_length} does not fit")
        self._secret = session_secret
        self._manifest_digest = manifest_digest
        self._tsi = tsi
        self._encoding_symbol_length = encoding_symbol_length
        self._session_header = encode_header(tsi, 0, 0, 0, 0)
        self._segment_keys: dict[tuple[int, int], bytes] = {}

    def seal_symbols(
        self,
        out: WritableBuffer,
        symbols: Buffer,
        *,
        toi: int,
        sbn: int,
        source_block_length: int,
        esis: Sequence[int],
        last_symbol_length: int,
    ) -> int:
        """Write one datagram per symbol into ``out``, one after the other, and return their bytes in all.

        Args:
            out: room for ``len(esis)`` datagrams of encoding_symbol_length + 34 bytes.
            symbols: ``len(esis)`` symbols of encoding_symbol_length bytes; when the last of them is the block's last
                source symbol its padding may be absent.
            toi: object, 0 or 1.
            sbn: source block number.
            source_block_length: K, symbols.
            esis: which symbol each is, below K + 64.
            last_symbol_length: bytes of source symbol K-1 that are not padding. That datagram is shorter by the rest:
                where the kernel cuts a batch into datagrams (UDP_SEGMENT), the batch must end with it.

        Raises:
            SessionStateError: ids out of range, or a buffer too short; ``out`` is not written.
        """
        if (
            not 0 <= toi <= TOI_DISK
            or not 0 <= sbn < 1 << 32
            or not 1 <= source_block_length <= MAX_SOURCE_BLOCK_LENGTH
        ):
            raise SessionStateError(f"no such source block: toi {toi}, sbn {sbn}, {source_block_length} symbols")
        if not 1 <= last_symbol_length <= self._encoding_symbol_length:
            raise SessionStateError(f"a last symbol of {last_symbol_length} bytes")
        if esis and not 0 <= min(esis) <= max(esis) < source_block_length + MAX_REPAIR_SYMBOLS:
            raise SessionStateError(
                f"an esi is beyond the {source_block_length}+{MAX_REPAIR_SYMBOLS} symbols of its block"
            )
        try:
            return _kernel().seal_symbols(
                self._segment_key(toi, sbn >> SEGMENT_SHIFT),
                encode_header(self._tsi, toi, sbn, source_block_length, 0),
                out,
                symbols,
                bytes(esis),
                self._encoding_symbol_length,
                last_symbol_length,
            )
        except (ValueError, BufferError) as error:
            raise SessionStateError(f"sealing: {error}") from error

    def open_batch(self, batch: Buffer, datagram_length: int, find_block: FindBlock) -> BatchCounts:
        """Open each datagram straight into the slot of its block, and mark it present in the block's ledger.

        A datagram that is not authentic changes no symbol that is marked present and no ledger; it may leave garbage in
        a slot that is empty. A padded last source symbol gets its zeros. No byte beyond the buffers is ever touched.

        Args:
            batch: datagrams one after the other, as UDP_GRO hands them over.
            datagram_length: bytes of each; only the last may be shorter.
            find_block: asked once per run of datagrams of one block, with ids that only the header vouches for; gives
                the symbols' buffer, (K+64) * encoding_symbol_length bytes (less means fewer slots), and the ledger.
                Neither may be used elsewhere until this returns.

        Raises:
            SessionStateError: datagram_length is not positive, or find_block gave a ledger that is none.
        """
        try:
            return BatchCounts(
                *_kernel().open_batch(
                    self._segment_key,
                    self._session_header,
                    batch,
                    datagram_length,
                    self._encoding_symbol_length,
                    find_block,
                )
            )
        except (ValueError, BufferError) as error:
            raise SessionStateError(f"opening: {error}") from error

    def _segment_key(self, toi: int, segment: int) -> bytes:
        # Asked for blocks that find_block wants, so a hostile sbn cannot make this grow beyond the image.
        key = self._segment_keys.get((toi, segment))
        if key is None:
            info = _KEY_INFO + _SEGMENT.pack(toi, segment)
            key = HKDF(SHA256(), KEY_LENGTH, salt=self._manifest_digest, info=info).derive(self._secret)
            self._segment_keys[toi, segment] = key
        return key


class _Kernel(NamedTuple):
    name: str
    seal_symbols: Callable[[bytes, bytes, WritableBuffer, Buffer, bytes, int, int], int]
    open_batch: Callable[
        [Callable[[int, int], bytes], bytes, Buffer, int, int, FindBlock], tuple[int, int, int, int, int, int]
    ]


KERNEL_NAMES: Final = ("libcrypto", "pure")
"""Every kernel of this version, fastest first."""


def kernels() -> tuple[str, ...]:
    """Names of the kernels that this build and this machine can run, fastest first; ``pure`` is always among them."""
    return KERNEL_NAMES if _seal is not None and _seal.LIBCRYPTO is not None else ("pure",)


def kernel_name() -> str:
    """The kernel in use."""
    return _kernel().name


def use_kernel(name: str | None = None) -> None:
    """Seal and open with the kernel ``name`` from now on; None takes the fastest one.

    Raises:
        ConfigError: unknown, not built, without its library, or it failed its known answer. The kernel in use stays.
    """
    global _selected  # noqa: PLW0603 - one process seals with one kernel, and the demand arrives once, at start-up
    _selected = _checked(_demanded(kernels()[0] if name is None else name))


def _kernel() -> _Kernel:
    if _selected is None:
        use_kernel()
    assert _selected is not None
    return _selected


def _demanded(name: str) -> _Kernel:
    if name not in KERNEL_NAMES:
        raise ConfigError(f"seal kernel {name!r} is not known: choose one of {', '.join(KERNEL_NAMES)}")
    if name == "pure":
        return _Kernel(name, _pure_seal_symbols, _pure_open_batch)
    if _seal is None:
        raise ConfigError(
            f"seal kernel {name!r} is not built for this machine: choose pure, "
            "or install again with a C compiler and SLATECAST_BUILD_KERNELS=yes"
        )
    if _seal.LIBCRYPTO is None:
        raise ConfigError(f"seal kernel {name!r} needs OpenSSL's libcrypto.so.3: choose pure, or install libssl3")
    return _Kernel(name, _seal.seal_symbols, _seal.open_batch)


_KNOWN_ANSWER: Final = bytes.fromhex(
    "5c5701010000000000005ea1000000070241eceeb45f70845f13191b4e1efa75b5c0b1d33aa7cbc4a56086f2e8a37745c8ce91742030d65c"
    "5701010000000000005ea10000000702004bad0e91d01d463f59019cd473a80f2ef11a1ceb011ad4737236894b4af9d0020533ff3d765c57"
    "01010000000000005ea1000000070201bc4ae442d66fc5c3a8fe06bab212a97334c077cf3fa47a87bd1b9310e1aaf7e5f6b6d6d0"
)


def _checked(kernel: _Kernel) -> _Kernel:
    """The kernel, once it has sealed three known symbols, opened a repair and a short one, and refused a forged one.

    Raises:
        ConfigError: it computed something else; the build, the library, the memory or the CPU is at fault.
    """
    length, key, header, symbols = 21, bytes(range(32)), encode_header(0x5EA1, 1, 7, 2, 0), bytes(range(63))
    sealed, opened, ledger = bytearray(len(_KNOWN_ANSWER)), bytearray(3 * length), bytearray(LEDGER_LENGTH)
    kernel.seal_symbols(key, header, sealed, symbols, bytes((65, 0, 1)), length, length - 1)
    answer = bytes(sealed)
    sealed[2 * (length + OVERHEAD) - 1] ^= 1
    counts = kernel.open_batch(lambda *_: key, header, sealed, length + OVERHEAD, length, lambda *_: (opened, ledger))
    if (answer, counts, bytes(opened[length:])) != (
        _KNOWN_ANSWER,
        (2, 0, 0, 1, 0, 41),
        symbols[42:62] + bytes(1) + symbols[:21],
    ):
        raise ConfigError(
            f"seal kernel {kernel.name!r} computes wrong datagrams here: choose another, then check the RAM"
        )
    return kernel


def _pure_seal_symbols(  # noqa: PLR0917 - as the C function, whose arguments have no names
    key: bytes,
    header: bytes,
    out: WritableBuffer,
    symbols: Buffer,
    esis: bytes,
    encoding_symbol_length: int,
    last_symbol_length: int,
) -> int:
    """The pure kernel's sealing: ``key`` is the segment's, ``header`` is complete but for its last byte, the esi."""
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


def _pure_open_batch(  # noqa: PLR0917 - as the C function, whose arguments have no names
    segment_key: Callable[[int, int], bytes],
    session_header: bytes,
    batch: Buffer,
    datagram_length: int,
    encoding_symbol_length: int,
    find_block: FindBlock,
) -> tuple[int, int, int, int, int, int]:
    """The pure kernel's opening: ``segment_key`` takes toi and segment, ``session_header`` is any of the session's."""
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


_selected: _Kernel | None = None
