"""The field GF(2^8) of the code, and the kernels that compute dot products over it.

The field is GF(2)[x] modulo 0x11d with generator 2, as ``reedsolo.RSCodec(64)`` takes it. A kernel is one function,
``dot_product``, written for each instruction set in ``_gf256.c`` and once here in plain Python (``pure``: a symbol is a
big integer). All kernels give the same bytes; which one runs is only a matter of speed.

Naming a kernel is a demand: ``use_kernel`` refuses with the reason and never falls back. Without a demand the first
call takes the fastest one that this build and this CPU have. No kernel is used before it has given a known answer,
because a wrong symbol would become a wrong disk. This module knows fields, not codes: those are ``protocol.fec``.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

from protocol.digests import Buffer, raw_digest
from protocol.errors import ConfigError, SessionStateError

try:
    from protocol._gf256 import built_kernels
except ImportError:  # built without a compiler, or for a Python that the stable ABI does not reach

    def built_kernels() -> dict[str, "DotProduct | None"]:
        """No kernel but ``pure``."""
        return {}


POLYNOMIAL: Final = 0x11D
ORDER: Final = 255
"""Elements without zero; the powers of the generator repeat after as many."""

WritableBuffer = bytearray | memoryview
DotProduct = Callable[[Buffer, Buffer, Buffer, WritableBuffer, Buffer, int], None]


def _powers() -> bytes:
    powers = bytearray()
    element = 1
    for _ in range(ORDER + 1):
        powers.append(element)
        element = element << 1 ^ (element >> 7) * POLYNOMIAL
    return bytes(powers)


EXP: Final = _powers()
"""EXP[i] = 2 to the power i for i = 0..255; as the last equals the first, an exponent of 255 need not be reduced."""

LOG: Final = bytes([0, *(EXP.index(element) for element in range(1, 256))])
"""LOG[EXP[i]] = i for i = 0..254; LOG[0] is 0 for want of a logarithm, so that sums of logs leave zero factors out."""


def multiply(a: int, b: int) -> int:
    """The product of two field elements."""
    return EXP[(LOG[a] + LOG[b]) % ORDER] if a and b else 0


def divide(a: int, b: int) -> int:
    """``a`` over ``b``; ZeroDivisionError as for integers."""
    if not b:
        raise ZeroDivisionError("division by zero in GF(256)")
    return EXP[(LOG[a] - LOG[b]) % ORDER] if a else 0


_built: Final = built_kernels()


class _Kernel(NamedTuple):
    name: str
    dot_product: DotProduct


KERNEL_NAMES: Final = ("gfni512", "gfni256", "avx2", "neon", "ssse3", "scalar", "pure")
"""Every kernel of this version, fastest first as measured by benches/bench_gf256.py (EPYC Zen 4, 2026-11)."""

_REQUIREMENTS: Final = {
    "gfni512": "GFNI and AVX-512BW",
    "gfni256": "GFNI and AVX2",
    "avx2": "AVX2",
    "ssse3": "SSSE3",
}


def kernels() -> tuple[str, ...]:
    """Names of the kernels that this build and this CPU can run, fastest first; ``pure`` is always among them."""
    return tuple(name for name in KERNEL_NAMES if name == "pure" or _built.get(name) is not None)


def kernel_name() -> str:
    """The kernel in use."""
    return _kernel().name


def use_kernel(name: str | None = None) -> None:
    """Compute with the kernel ``name`` from now on; None takes the fastest one.

    Raises:
        ConfigError: unknown, not built, not for this CPU, or it failed its known answer. The kernel in use stays.
    """
    global _selected  # noqa: PLW0603 - one process computes with one kernel, and the demand arrives once, at start-up
    _selected = _checked(_demanded(kernels()[0] if name is None else name))


def dot_product(  # noqa: PLR0917 - positional as the kernels in C, which are called once per block
    coefficients: Buffer,
    sources: Buffer,
    source_slots: Buffer,
    outputs: WritableBuffer,
    output_slots: Buffer,
    symbol_length: int,
) -> None:
    """Make each output symbol the sum of the source symbols, each multiplied by its coefficient.

    Args:
        coefficients: one byte for each output slot (row) and source slot (column), row after row.
        sources: symbols of ``symbol_length`` bytes; slot ``i`` starts at byte ``i * symbol_length``.
        source_slots: one byte per column, the slot to read.
        outputs: as ``sources``, and may be the same buffer as long as no slot is both read and written.
        output_slots: one byte per row, the slot to overwrite; each once.
        symbol_length: bytes.

    Raises:
        SessionStateError: lengths, slots or buffers do not fit each other; nothing was written.
    """
    try:
        _kernel().dot_product(coefficients, sources, source_slots, outputs, output_slots, symbol_length)
    except (ValueError, BufferError) as error:
        raise SessionStateError(f"dot product: {error}") from error


def _kernel() -> _Kernel:
    if _selected is None:
        use_kernel()
    assert _selected is not None
    return _selected


def _demanded(name: str) -> _Kernel:
    if name not in KERNEL_NAMES:
        raise ConfigError(f"GF(256) kernel {name!r} is not known: choose one of {', '.join(KERNEL_NAMES)}")
    if name == "pure":
        return _Kernel(name, _dot_product)
    if name not in _built:
        raise ConfigError(
            f"GF(256) kernel {name!r} is not built for this machine: choose one of {', '.join(kernels())}, "
            "or install again with a C compiler and SLATECAST_BUILD_KERNELS=yes"
        )
    function = _built[name]
    if function is None:
        raise ConfigError(
            f"GF(256) kernel {name!r} needs a CPU with {_REQUIREMENTS[name]}: choose one of {', '.join(kernels())}"
        )
    return _Kernel(name, function)


_KNOWN_ANSWER: Final = "ba5bc9dd7a8f0b0a5b5110db17b59f35fa63bf0bf9e572a98949c17f5b0d3b47"


def _checked(kernel: _Kernel) -> _Kernel:
    """The kernel, once it has multiplied by every element and met every tail and row count that kernels treat apart.

    Raises:
        ConfigError: it computed something else; the build, the memory or the CPU is at fault.
    """
    rows, columns, symbol_length = 15, 18, 233  # 15 = 8 + 4 + 2 + 1 rows, 270 coefficients, 233 = 3 * 64 + 32 + 9 bytes
    coefficients = bytes(index & 255 for index in range(rows * columns))
    sources = bytes(EXP[index * index % ORDER] ^ index & 255 for index in range(columns * symbol_length))
    outputs = bytearray(rows * symbol_length)
    kernel.dot_product(coefficients, sources, bytes(range(columns)), outputs, bytes(range(rows)), symbol_length)
    if raw_digest(outputs).hex() != _KNOWN_ANSWER:
        raise ConfigError(
            f"GF(256) kernel {kernel.name!r} computes wrong symbols here: choose another, then check the RAM"
        )
    return kernel


_BITS: Final = tuple(tuple(bit for bit in range(8) if element >> bit & 1) for element in range(256))


def _dot_product(  # noqa: PLR0917 - as dot_product
    coefficients: Buffer,
    sources: Buffer,
    source_slots: Buffer,
    outputs: WritableBuffer,
    output_slots: Buffer,
    symbol_length: int,
) -> None:
    """The pure kernel: whole symbols are big integers, so that a sum of symbols is one exclusive or.

    Per row, the symbols are summed once for each bit of their coefficients, and the eight sums put together by Horner's
    rule: 7 multiplications by x per row instead of one multiplication per coefficient.
    """
    coefficient_bytes, slots_in, slots_out = _octets(coefficients), _octets(source_slots), _octets(output_slots)
    source_bytes, output_bytes = _octets(sources), _octets(outputs)
    columns, rows = len(slots_in), len(slots_out)
    if symbol_length < 1:
        raise ValueError("symbol length is out of range")
    if columns > 256 or rows > 256 or len(coefficient_bytes) != rows * columns:
        raise ValueError("coefficients are not one per output slot and source slot")
    if (max(slots_out, default=-1) + 1) * symbol_length > len(output_bytes):
        raise ValueError("an output slot is beyond the buffer")
    if (max(slots_in, default=-1) + 1) * symbol_length > len(source_bytes):
        raise ValueError("a source slot is beyond the buffer")
    if len(set(slots_out)) < rows:
        raise ValueError("an output slot is repeated")
    if sources is outputs and not set(slots_in).isdisjoint(slots_out):
        raise ValueError("a slot is both source and output")
    if output_bytes.readonly:
        raise BufferError("outputs are not writable")
    if not slots_out:
        return  # no buffer bounds the symbol length

    ones = int.from_bytes(b"\x01" * symbol_length, "little")
    symbols = [int.from_bytes(source_bytes[slot * symbol_length :][:symbol_length], "little") for slot in slots_in]
    for row, slot in enumerate(slots_out):
        sums = [0] * 8
        for symbol, coefficient in zip(symbols, coefficient_bytes[row * columns :][:columns], strict=True):
            for bit in _BITS[coefficient]:
                sums[bit] ^= symbol
        total = 0
        for part in reversed(sums):
            carries = total >> 7 & ones
            total = ((total ^ carries << 7) << 1) ^ carries * (POLYNOMIAL & 0xFF) ^ part
        output_bytes[slot * symbol_length :][:symbol_length] = total.to_bytes(symbol_length, "little")


def _octets(buffer: Buffer) -> memoryview:
    view = memoryview(buffer)
    if not view.c_contiguous:
        raise BufferError("a buffer is not contiguous")
    return view.cast("B")


_selected: _Kernel | None = None
