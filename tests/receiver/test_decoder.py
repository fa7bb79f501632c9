import random

import pytest
import zstandard

from protocol.blocks import REPAIR_COUNT, REPAIR_ESIS, SYMBOL_COUNT, BlockBuffer
from protocol.errors import DecodeError, IntegrityError
from protocol.fec import encode_repair
from protocol.manifest import StoredChunk
from receiver.decoder import ChunkUnpacker, recover_stored

LENGTH = 64


def received(stored: bytes, lost: list[int], repair_esis: list[int]) -> BlockBuffer:
    """The buffer of a block whose symbols came without ``lost`` and with ``repair_esis``; the rest is garbage."""
    k = -(-len(stored) // LENGTH)
    source = stored.ljust(k * LENGTH, b"\0")
    block = BlockBuffer(bytearray(b"\xee" * ((k + 64) * LENGTH)))
    block.reset(1, 7, k)
    for esi in set(range(k)) - set(lost):
        block.symbols[esi * LENGTH : (esi + 1) * LENGTH] = source[esi * LENGTH : (esi + 1) * LENGTH]
        block.ledger[esi] = 1
    repair = encode_repair(source, k, LENGTH, repair_esis)
    block.symbols[k * LENGTH : k * LENGTH + len(repair)] = repair
    block.ledger[REPAIR_ESIS : REPAIR_ESIS + len(repair_esis)] = bytes(repair_esis)
    block.ledger[REPAIR_COUNT] = len(repair_esis)
    block.ledger[SYMBOL_COUNT] = k - len(lost) + len(repair_esis)
    return block


def chunk(raw_length: int, stored_length: int) -> StoredChunk:
    return StoredChunk(4, 0, raw_length, stored_length, bytes(32), bytes(32))


@pytest.mark.parametrize("stored_length", [1, LENGTH, 10 * LENGTH - 3, 10 * LENGTH, 191 * LENGTH])
def test_a_block_without_loss_is_its_own_buffer(stored_length: int) -> None:
    stored = random.Random(stored_length).randbytes(stored_length)
    assert recover_stored(received(stored, [], []), LENGTH, stored_length) == stored


@pytest.mark.parametrize(("lost", "esis"), [([0], [10]), ([9], [73]), ([2, 9, 4], [70, 12, 33]), ([3], [11, 12, 13])])
def test_lost_symbols_are_rebuilt_without_the_padding(lost: list[int], esis: list[int]) -> None:
    stored = random.Random(1).randbytes(10 * LENGTH - 3)
    block = received(stored, lost, esis)
    assert recover_stored(block, LENGTH, len(stored)) == stored


def test_too_few_symbols_are_a_decode_error() -> None:
    stored = random.Random(2).randbytes(10 * LENGTH)
    with pytest.raises(DecodeError):
        recover_stored(received(stored, [1, 2], [10]), LENGTH, len(stored))


def test_raw_chunks_are_given_on_as_they_are() -> None:
    raw = random.Random(3).randbytes(4096)
    assert bytes(ChunkUnpacker().unpack(chunk(4096, 4096), memoryview(raw))) == raw


def test_compressed_chunks_are_unpacked() -> None:
    raw = b"slate" * 900
    packed = zstandard.compress(raw)
    assert bytes(ChunkUnpacker().unpack(chunk(len(raw), len(packed)), memoryview(packed))) == raw


BOMB = zstandard.compress(bytes(1 << 20))
WITHOUT_SIZE = zstandard.ZstdCompressor(write_content_size=False).compress(bytes(4096))
SHORT = zstandard.compress(bytes(4095))


@pytest.mark.parametrize(
    "packed",
    [BOMB, WITHOUT_SIZE, SHORT, b"", b"\0", b"not zstd at all", zstandard.compress(bytes(4096))[:-1]],
    ids=["bomb", "without size", "short", "empty", "zero", "garbage", "cut"],
)
def test_what_does_not_unpack_to_the_chunk_is_an_integrity_error(packed: bytes) -> None:
    with pytest.raises(IntegrityError, match="chunk 4 does not unpack to 4096 bytes"):
        ChunkUnpacker().unpack(chunk(4096, len(packed)), memoryview(packed))


def test_compressed_bytes_cut_anywhere_are_an_integrity_error() -> None:
    packed = zstandard.compress(random.Random(4).randbytes(64) * 64)
    for length in range(len(packed)):
        with pytest.raises(IntegrityError):
            ChunkUnpacker().unpack(chunk(4096, length), memoryview(packed)[:length])
