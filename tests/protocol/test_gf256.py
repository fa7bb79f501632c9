import importlib.util
import random
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from protocol import gf256
from protocol.errors import ConfigError, SessionStateError
from protocol.gf256 import dot_product, kernel_name, kernels, use_kernel

elements = st.integers(0, 255)
nonzero_elements = st.integers(1, 255)

LENGTHS = (1, 7, 8, 15, 16, 17, 31, 32, 33, 41, 63, 64, 65, 127, 128, 129, 233)
"""[bytes] Around every vector width and twice of it, and odd ones."""


def slow_product(a: int, b: int) -> int:
    """By the definition: multiply polynomials bit by bit, then divide by 0x11d."""
    product = 0
    for bit in range(8):
        product ^= (a << bit) * (b >> bit & 1)
    for bit in range(14, 7, -1):
        product ^= (0x11D << bit - 8) * (product >> bit & 1)
    return product


PRODUCTS = [bytes(slow_product(a, b) for b in range(256)) for a in range(256)]


def slow_dot_product(coefficients: bytes, symbols: list[bytes], rows: int) -> list[bytes]:
    outputs = []
    for row in range(rows):
        total = bytes(len(symbols[0]))
        for coefficient, symbol in zip(coefficients[row * len(symbols) :], symbols, strict=False):
            total = bytes(a ^ b for a, b in zip(total, symbol.translate(PRODUCTS[coefficient]), strict=True))
        outputs.append(total)
    return outputs


class TestField:
    def test_multiply_is_the_definition(self) -> None:
        assert all(gf256.multiply(a, b) == PRODUCTS[a][b] for a in range(256) for b in range(256))

    def test_generator_has_full_order(self) -> None:
        assert sorted(gf256.EXP[:255]) == list(range(1, 256))
        assert gf256.EXP[255] == gf256.EXP[0] == 1
        assert all(gf256.EXP[gf256.LOG[a]] == a for a in range(1, 256))

    @given(elements, elements, elements)
    def test_laws(self, a: int, b: int, c: int) -> None:
        multiply = gf256.multiply
        assert multiply(a, b) == multiply(b, a)
        assert multiply(a, multiply(b, c)) == multiply(multiply(a, b), c)
        assert multiply(a, b ^ c) == multiply(a, b) ^ multiply(a, c)
        assert multiply(a, 1) == a

    @given(elements, nonzero_elements)
    def test_division_undoes_multiplication(self, a: int, b: int) -> None:
        assert gf256.divide(gf256.multiply(a, b), b) == a
        assert gf256.multiply(gf256.divide(a, b), b) == a

    def test_nothing_divides_by_zero(self) -> None:
        with pytest.raises(ZeroDivisionError):
            gf256.divide(7, 0)


@pytest.fixture(scope="class", params=kernels())
def kernel(request: pytest.FixtureRequest) -> Iterator[str]:
    use_kernel(request.param)
    yield request.param
    use_kernel()


@pytest.mark.usefixtures("kernel")
class TestKernels:
    """Each kernel that can run here, against the definition."""

    def test_the_demanded_kernel_runs(self, kernel: str) -> None:
        assert kernel_name() == kernel

    def test_every_product(self) -> None:
        outputs = bytearray(256 * 256)
        dot_product(bytes(range(256)), bytes(range(256)), b"\0", outputs, bytes(range(256)), 256)
        assert outputs == b"".join(PRODUCTS)

    @pytest.mark.parametrize("symbol_length", LENGTHS)
    def test_every_tail(self, symbol_length: int) -> None:
        rng = random.Random(symbol_length)
        for rows, columns in ((1, 1), (2, 3), (3, 2), (5, 4), (8, 3), (15, 2)):
            coefficients = rng.randbytes(rows * columns)
            symbols = [rng.randbytes(symbol_length) for _ in range(columns)]
            outputs = bytearray(rng.randbytes(rows * symbol_length))
            dot_product(
                coefficients, b"".join(symbols), bytes(range(columns)), outputs, bytes(range(rows)), symbol_length
            )
            assert outputs == b"".join(slow_dot_product(coefficients, symbols, rows)), (rows, columns)

    @given(st.data())
    @settings(max_examples=25, deadline=None)
    def test_slots_of_one_buffer(self, data: st.DataObject) -> None:
        symbol_length = data.draw(st.integers(1, 150), label="symbol_length")
        slots = data.draw(st.lists(st.integers(0, 20), min_size=1, unique=True), label="slots")
        output_slots = slots[: data.draw(st.integers(0, len(slots)), label="rows")]
        source_slots = slots[len(output_slots) :]
        rng = random.Random(data.draw(st.integers(0, 2**32), label="seed"))
        symbols = [rng.randbytes(symbol_length) for _ in range(21)]
        coefficients = rng.randbytes(len(output_slots) * len(source_slots))
        buffer = bytearray(b"".join(symbols))
        dot_product(coefficients, buffer, bytes(source_slots), buffer, bytes(output_slots), symbol_length)
        if source_slots:
            results = slow_dot_product(coefficients, [symbols[slot] for slot in source_slots], len(output_slots))
        else:
            results = [bytes(symbol_length)] * len(output_slots)
        for slot, result in zip(output_slots, results, strict=True):
            symbols[slot] = result
        assert buffer == b"".join(symbols)

    def test_views_and_read_only_sources(self) -> None:
        outputs = bytearray(b"unchanged".ljust(64, b"."))
        dot_product(
            memoryview(b"\1\2"), memoryview(bytes(range(32))), bytearray(b"\0\1"), memoryview(outputs)[16:32], b"\0", 16
        )
        expected = bytes(low ^ PRODUCTS[2][low + 16] for low in range(16))
        assert outputs == b"unchanged".ljust(16, b".") + expected + b"." * 32

    @pytest.mark.parametrize(
        ("coefficients", "source_slots", "output_slots", "symbol_length", "reason"),
        [
            (b"\1", b"\0", b"\1", 0, "symbol length"),
            (b"\1", b"\0", b"\1", -16, "symbol length"),
            (b"\1\1", b"\0", b"\1", 16, "coefficients are not one per"),
            (b"", b"\0", b"\1", 16, "coefficients are not one per"),
            (b"\1", b"\4", b"\1", 16, "a source slot is beyond"),
            (b"\1", b"\3", b"\1", 17, "a source slot is beyond"),
            (b"\1", b"\0", b"\4", 16, "an output slot is beyond"),
            (b"\1", b"\0", b"\xff", 16, "an output slot is beyond"),
            (b"\1\1", b"\0", b"\1\1", 16, "an output slot is repeated"),
            (b"\1", b"\1", b"\1", 16, "both source and output"),
            (bytes(257), bytes(257), b"\1", 16, "coefficients are not one per"),
        ],
    )
    def test_misuse_is_refused_before_anything_is_written(
        self, coefficients: bytes, source_slots: bytes, output_slots: bytes, symbol_length: int, reason: str
    ) -> None:
        before = bytes(range(64))
        buffer = bytearray(before)
        with pytest.raises(SessionStateError, match=reason):
            dot_product(coefficients, buffer, source_slots, buffer, output_slots, symbol_length)
        assert buffer == before

    def test_read_only_outputs_are_refused(self) -> None:
        with pytest.raises(SessionStateError, match="writable"):
            dot_product(b"\1", bytes(16), b"\0", memoryview(bytes(16)), b"\0", 16)

    def test_buffers_with_gaps_are_refused(self) -> None:
        with pytest.raises(SessionStateError, match="contiguous"):
            dot_product(b"\1", memoryview(bytes(32))[::2], b"\0", bytearray(16), b"\0", 16)

    def test_overlapping_views_are_refused_or_harmless(self, kernel: str) -> None:
        view = memoryview(bytearray(range(64)))
        reads_all_before_it_writes = kernel == "pure"
        with nullcontext() if reads_all_before_it_writes else pytest.raises(SessionStateError, match="overlap"):
            dot_product(b"\2", view[:32], b"\0", view[8:], b"\0", 16)
        assert view[8:24] == (PRODUCTS[2][:16] if reads_all_before_it_writes else bytes(range(8, 24)))

    @given(
        st.binary(max_size=9),
        st.binary(max_size=64),
        st.binary(max_size=3),
        st.integers(0, 64),
        st.binary(max_size=3),
        st.integers(-(2**70), 2**70) | st.integers(-2, 40),
    )
    @example(b"", b"", b"", 0, b"", 1 << 40)
    @settings(max_examples=100, deadline=None)
    def test_any_arguments(
        self, coefficients: bytes, sources: bytes, source_slots: bytes, size: int, output_slots: bytes, length: int
    ) -> None:
        outputs = bytearray(b"\xa5" * size)
        try:
            dot_product(coefficients, sources, source_slots, outputs, output_slots, length)
        except SessionStateError:
            assert outputs == b"\xa5" * size

    def test_threads_do_not_disturb_each_other(self) -> None:
        rng = random.Random(4)
        coefficients, symbols = rng.randbytes(2 * 16), [rng.randbytes(2000) for _ in range(16)]
        expected = b"".join(slow_dot_product(coefficients, symbols, 2))

        def compute(_: int) -> bytes:
            outputs = bytearray(2 * 2000)
            dot_product(coefficients, b"".join(symbols), bytes(range(16)), outputs, b"\0\1", 2000)
            return bytes(outputs)

        with ThreadPoolExecutor(4) as executor:
            assert set(executor.map(compute, range(32))) == {expected}


class TestSelection:
    @pytest.fixture(autouse=True)
    def default_afterwards(self) -> Iterator[None]:
        yield
        use_kernel()

    def test_the_pure_kernel_can_always_be_demanded(self) -> None:
        assert kernels()[-1] == "pure"
        use_kernel("pure")
        assert kernel_name() == "pure"

    def test_the_default_is_the_fastest_that_runs_here(self) -> None:
        use_kernel("pure")
        use_kernel()
        assert kernel_name() == kernels()[0]
        assert kernels() == tuple(name for name in gf256.KERNEL_NAMES if name in kernels())

    def test_an_unknown_kernel(self) -> None:
        use_kernel("pure")
        with pytest.raises(ConfigError, match="'mmx' is not known: choose one of gfni512, gfni256, avx2"):
            use_kernel("mmx")
        assert kernel_name() == "pure"

    def test_a_kernel_that_is_not_built(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(gf256, "_built", {})
        assert kernels() == ("pure",)
        with pytest.raises(ConfigError, match="'avx2' is not built for this machine: choose one of pure, or install"):
            use_kernel("avx2")

    def test_a_kernel_that_this_cpu_lacks(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(gf256, "_built", dict.fromkeys(gf256.KERNEL_NAMES[:-1]))
        for name, instructions in (("gfni512", "GFNI and AVX-512BW"), ("avx2", "AVX2"), ("ssse3", "SSSE3")):
            with pytest.raises(ConfigError, match=f"'{name}' needs a CPU with {instructions}: choose one of pure"):
                use_kernel(name)

    def test_a_kernel_that_computes_one_wrong_bit(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def broken(
            coefficients: bytes, sources: bytes, slots: bytes, outputs: bytearray, output_slots: bytes, length: int
        ) -> None:
            gf256._dot_product(coefficients, sources, slots, outputs, output_slots, length)
            outputs[-1] ^= 0x80

        use_kernel("pure")
        monkeypatch.setattr(gf256, "_built", {"avx2": broken})
        with pytest.raises(ConfigError, match="'avx2' computes wrong symbols"):
            use_kernel("avx2")
        assert kernel_name() == "pure"

    def test_the_default_is_not_used_when_it_computes_wrong_symbols(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(gf256, "_built", {"scalar": lambda *_: None})
        monkeypatch.setattr(gf256, "_selected", None)
        with pytest.raises(ConfigError, match="'scalar' computes wrong symbols"):
            dot_product(b"\1", b"\1", b"\0", bytearray(1), b"\0", 1)

    def test_without_the_extension_the_pure_kernel_takes_over_visibly(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "protocol._gf256", None)
        spec = importlib.util.spec_from_file_location("gf256_without_compiler", Path(gf256.__file__))
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        assert module.kernels() == ("pure",)
        assert module.kernel_name() == "pure"
