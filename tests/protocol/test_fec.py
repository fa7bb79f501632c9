import hashlib
import itertools
import json
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import reedsolo  # type: ignore[import-untyped]  # has no stubs
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol import gf256
from protocol.errors import DecodeError, SessionStateError
from protocol.fec import decode_source, encode_repair

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "fec.json").read_text())
ORACLE = reedsolo.RSCodec(64)


@pytest.fixture(scope="class", params=gf256.kernels())
def kernel(request: pytest.FixtureRequest) -> Iterator[str]:
    gf256.use_kernel(request.param)
    yield request.param
    gf256.use_kernel()


def all_esis(source_block_length: int) -> range:
    return range(source_block_length, source_block_length + 64)


def received_block(
    source: bytes, source_block_length: int, encoding_symbol_length: int, missing: Sequence[int], esis: Sequence[int]
) -> bytearray:
    """The block as a receiver holds it: garbage where symbols are missing, then the repair symbols of ``esis``."""
    block = bytearray(source) + encode_repair(source, source_block_length, encoding_symbol_length, esis)
    for esi in missing:
        block[esi * encoding_symbol_length : (esi + 1) * encoding_symbol_length] = b"\xee" * encoding_symbol_length
    return block


@pytest.mark.parametrize("source_block_length", range(1, 192))
def test_every_kernel_encodes_as_reedsolo(source_block_length: int) -> None:
    # reedsolo works a byte column at a time, 1 ms each: three columns, repeated over a length that takes every kernel
    # through its widest vectors and its tail.
    rng = random.Random(source_block_length)
    columns = [rng.randbytes(source_block_length) for _ in range(3)]
    encoded = [bytes(ORACLE.encode(column)) for column in columns]
    encoding_symbol_length = 3 * 43 + 2
    symbols = [(bytes(symbol) * 44)[:encoding_symbol_length] for symbol in zip(*encoded, strict=True)]
    source, expected = b"".join(symbols[:source_block_length]), b"".join(symbols[source_block_length:])
    for name in gf256.kernels():
        gf256.use_kernel(name)
        repair = encode_repair(source, source_block_length, encoding_symbol_length, all_esis(source_block_length))
        assert repair == expected, name
    gf256.use_kernel()


@pytest.mark.usefixtures("kernel")
class TestKernels:
    """The code, on each kernel that can run here."""

    @pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["seed"])
    def test_golden_vectors(self, vector: dict[str, object]) -> None:
        k, length = int(str(vector["source_block_length"])), int(str(vector["encoding_symbol_length"]))
        source = hashlib.shake_128(str(vector["seed"]).encode()).digest(k * length)
        repair = encode_repair(source, k, length, all_esis(k))
        digests = {str(k + j): hashlib.sha256(repair[j * length : (j + 1) * length]).hexdigest() for j in range(64)}
        assert digests == vector["repair_sha256"]

    @given(st.data())
    @settings(max_examples=40, deadline=None)
    def test_any_k_symbols_give_the_block(self, data: st.DataObject) -> None:
        k = data.draw(st.integers(1, 191), label="source_block_length")
        length = data.draw(st.sampled_from([1, 2, 41, 64, 150]), label="encoding_symbol_length")
        lost = data.draw(st.integers(0, min(k, 64)), label="lost")
        rng = random.Random(data.draw(st.integers(0, 2**32), label="seed"))
        source, missing = rng.randbytes(k * length), rng.sample(range(k), lost)
        esis = rng.sample(all_esis(k), rng.randint(lost, 64))
        block = received_block(source, k, length, missing, esis)
        repair = block[k * length :]
        decode_source(block, k, length, missing, esis)
        assert block[: k * length] == source
        assert block[k * length :] == repair

    @pytest.mark.parametrize(("source_block_length", "lost"), [(186, 8), (64, 16), (191, 64), (64, 64), (1, 1)])
    def test_full_size_symbols(self, source_block_length: int, lost: int) -> None:
        rng = random.Random(source_block_length)
        source = rng.randbytes(source_block_length * 1416)
        missing = rng.sample(range(source_block_length), lost)
        esis = rng.sample(all_esis(source_block_length), lost)
        block = received_block(source, source_block_length, 1416, missing, esis)
        decode_source(memoryview(block), source_block_length, 1416, missing, esis)
        assert block[: len(source)] == source


def test_every_choice_of_symbols_of_a_small_block() -> None:
    k, length = 4, 3
    source = random.Random(9).randbytes(k * length)
    for kept in itertools.combinations(range(k + 6), k):
        missing = [esi for esi in range(k) if esi not in kept]
        esis = [esi for esi in kept if esi >= k]
        block = received_block(source, k, length, missing, esis)
        decode_source(block, k, length, missing, esis)
        assert block[: k * length] == source, kept


def test_repair_symbols_are_remainders_of_the_generator_polynomial() -> None:
    generator = [1]
    for exponent in range(64):
        shifted, scaled = [*generator, 0], [0, *(gf256.multiply(a, gf256.EXP[exponent]) for a in generator)]
        generator = [a ^ b for a, b in zip(shifted, scaled, strict=True)]
    remainder = generator[1:]  # x^64 modulo g: the parity of the last source symbol; then one degree up at a time
    k = 191
    unit_vectors = b"".join(bytes(esi == at for at in range(k)) for esi in range(k))
    repair = encode_repair(unit_vectors, k, k, all_esis(k))
    for esi in reversed(range(k)):
        assert [repair[j * k + esi] for j in range(64)] == remainder, esi
        lead = remainder[0]
        remainder = [a ^ gf256.multiply(lead, b) for a, b in zip([*remainder[1:], 0], generator[1:], strict=True)]


@pytest.mark.parametrize(("source_block_length", "lost"), [(1, 1), (12, 9), (64, 64), (191, 30)])
def test_reedsolo_decodes_what_is_encoded_here(source_block_length: int, lost: int) -> None:
    rng = random.Random(lost)
    source = rng.randbytes(source_block_length)
    codeword = bytearray(source + encode_repair(source, source_block_length, 1, all_esis(source_block_length)))
    erased = rng.sample(range(len(codeword)), lost)
    for position in erased:
        codeword[position] ^= 0x5A
    decoded, _, _ = ORACLE.decode(codeword, erase_pos=erased)
    assert decoded == source


def test_repair_symbols_come_in_the_order_asked_for() -> None:
    source = random.Random(2).randbytes(5 * 7)
    repair = encode_repair(memoryview(source), 5, 7, [9, 5, 68])
    one_by_one = [encode_repair(source, 5, 7, [esi]) for esi in (9, 5, 68)]
    assert repair == b"".join(one_by_one)
    assert encode_repair(source, 5, 7, []) == b""


def test_decoding_touches_only_missing_symbols_and_reads_only_what_it_needs() -> None:
    k, length = 20, 16
    source = random.Random(3).randbytes(k * length)
    missing, esis = [19, 0, 7], [83, 20, 50, 51, 22]
    block = received_block(source, k, length, missing, esis) + b"beyond the block"
    block[(k + 3) * length : (k + 5) * length] = b"\xdd" * (2 * length)  # the repair symbols that are not needed
    before = bytes(block)
    decode_source(block, k, length, missing, esis)
    assert block == source + before[k * length :]


def test_nothing_missing_is_nothing_to_do() -> None:
    block = bytearray(range(24))
    decode_source(block, 3, 8, [], [])
    assert block == bytes(range(24))


@pytest.mark.parametrize(
    ("source_block_length", "length", "missing", "esis", "reason"),
    [
        (4, 8, [1], [], "1 source symbols are missing, with only 0"),
        (4, 8, [0, 1, 2], [4, 5], "3 source symbols are missing, with only 2"),
        (4, 8, [1, 1], [4, 5], "missing ids"),
        (4, 8, [4], [4], "missing ids"),
        (4, 8, [-1], [4], "missing ids"),
        (4, 8, [0], [3], "repair symbol ids"),
        (4, 8, [0], [68], "repair symbol ids"),
        (4, 8, [0], [4, 4], "repair symbol ids"),
        (4, 8, [0, 1], [5, 5], "repair symbol ids"),
        (4, 8, [0], [10**30], "repair symbol ids"),
        (0, 8, [], [], "no code"),
        (192, 8, [], [], "no code"),
        (4, 0, [0], [4], "no code"),
        (4, -8, [0], [4], "no code"),
        (4, 11, [0], [4, 5], "block of 64 bytes"),
        (9, 8, [], [], "block of 64 bytes"),
    ],
)
def test_blocks_that_cannot_be_decoded_stay_as_they_are(
    source_block_length: int, length: int, missing: list[int], esis: list[int], reason: str
) -> None:
    block = bytearray(range(64))
    with pytest.raises(DecodeError, match=reason):
        decode_source(block, source_block_length, length, missing, esis)
    assert block == bytes(range(64))


def test_a_read_only_block_is_misuse() -> None:
    with pytest.raises(SessionStateError, match="writable"):
        decode_source(memoryview(bytes(64)), 4, 8, [0], [4])


@pytest.mark.parametrize(
    ("size", "source_block_length", "length", "esis", "reason"),
    [
        (0, 0, 8, [], "no code"),
        (192 * 8, 192, 8, [192], "no code"),
        (0, 4, 0, [4], "no code"),
        (31, 4, 8, [4], "pad the last symbol"),
        (33, 4, 8, [4], "pad the last symbol"),
        (32, 4, 8, [3], "not distinct ids"),
        (32, 4, 8, [68], "not distinct ids"),
        (32, 4, 8, [4, 4], "not distinct ids"),
    ],
)
def test_misuse_of_the_encoder(size: int, source_block_length: int, length: int, esis: list[int], reason: str) -> None:
    with pytest.raises(SessionStateError, match=reason):
        encode_repair(bytes(size), source_block_length, length, esis)


small_integers = st.integers(-3, 260) | st.integers(-(2**70), 2**70)


@given(st.binary(max_size=200), small_integers, st.integers(-3, 40), st.lists(small_integers), st.lists(small_integers))
@settings(deadline=None)
def test_any_arguments(block: bytes, k: int, length: int, missing: list[int], esis: list[int]) -> None:
    buffer = bytearray(block)
    try:
        decode_source(buffer, k, length, missing, esis)
    except DecodeError:
        assert buffer == block
    try:
        repair = encode_repair(block, k, length, esis)
    except SessionStateError:
        return
    assert len(repair) == len(esis) * length
