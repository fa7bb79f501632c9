"""The seal: encoding symbols to datagrams that outsiders can neither read nor forge, and back, a batch at a time.

AES-256-GCM under a key per object and 8 GiB segment, with the header as associated data (``protocol.wire``) and a
nonce that is the symbol's name: the same symbol is the same datagram, so a repetition after a crash is a duplicate and
no counter need survive (NIST SP 800-38D section 8.2.1 asks that a nonce never meets two plaintexts: the manifest fixes
the plaintext). Who holds the session secret can forge; that is what the digests of the manifest are for.

The work of a batch is done by a kernel: ``libcrypto`` (``_seal.c``, OpenSSL's AES found at run time) or ``pure``
(``pure_seal.py``, by ``cryptography``). Both give the same bytes and counts. Naming a kernel is a demand, and none is
used before it has given a known answer. This module keeps no block; slots and ledgers are those of ``protocol.blocks``.
"""

import struct
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from protocol import pure_seal
from protocol.blocks import LEDGER_LENGTH
from protocol.digests import Buffer
from protocol.errors import ConfigError, SessionStateError
from protocol.pure_seal import OVERHEAD, SEGMENT_SHIFT, Counts, FindBlock, WritableBuffer
from protocol.wire import MAX_REPAIR_SYMBOLS, MAX_SOURCE_BLOCK_LENGTH, TOI_DISK, encode_header

try:
    from protocol import _seal
except ImportError:  # built without a compiler, or for a Python that the stable ABI does not reach
    _seal = None  # type: ignore[assignment]  # mypy takes a module's name for a constant

KEY_LENGTH: Final = 32
"""[bytes] AES-256, and the session secret."""

_KEY_INFO: Final = b"slatecast segment"
_SEGMENT: Final = struct.Struct(">BI")


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
                the symbols' buffer, (K+64) * encoding_symbol_length bytes (less means fewer slots), and the ledger,
                or None, as it must when K is not the block's own. Neither may be used elsewhere until this returns.

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
    open_batch: Callable[[Callable[[int, int], bytes], bytes, Buffer, int, int, FindBlock], Counts]


KERNEL_NAMES: Final = ("libcrypto", "pure")
"""Every kernel of this version, fastest first."""


def kernels() -> tuple[str, ...]:
    """Names of the kernels that this build and this machine can run, fastest first; ``pure`` is always among them."""
    return ("pure",) if libcrypto_version() is None else KERNEL_NAMES


def kernel_name() -> str:
    """The kernel in use."""
    return _kernel().name


def libcrypto_version() -> str | None:
    """What the libcrypto that was found at run time calls itself; None without one, or without the C kernel."""
    return None if _seal is None else _seal.LIBCRYPTO


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
        return _Kernel(name, pure_seal.seal_symbols, pure_seal.open_batch)
    if _seal is None:
        raise ConfigError(
            f"seal kernel {name!r} is not built for this machine: choose pure, "
            "or install again with a C compiler and SLATECAST_BUILD_KERNELS=yes"
        )
    if libcrypto_version() is None:
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


_selected: _Kernel | None = None
