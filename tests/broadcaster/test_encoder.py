import random

import pytest

from broadcaster.encoder import BlockEncoder
from broadcaster.transmission import Transmission
from protocol.blocks import REPAIR_COUNT, SYMBOL_COUNT, BlockBuffer
from protocol.errors import IntegrityError
from protocol.seal import Seal
from receiver.decoder import recover_stored
from tests.simulator.image import ENCODING_SYMBOL_LENGTH as L
from tests.simulator.image import SimulatedImage, draw_image

OVERHEAD = 34


@pytest.fixture(scope="module")
def image() -> SimulatedImage:
    return draw_image(random.Random(5), 12)


def seal(image: SimulatedImage) -> Seal:
    return Seal(bytes(range(32)), image.manifest.digest, 77, L)


def encoder(image: SimulatedImage) -> BlockEncoder:
    return BlockEncoder(image.manifest, image.stored.__getitem__, seal(image), L)


def transmission(image: SimulatedImage, toi: int, sbn: int, first: int, count: int | None = None) -> Transmission:
    """``count`` symbols from esi K + ``first``, or with None all source symbols."""
    shape = encoder(image).disk_object() if toi else encoder(image).manifest_object()
    k = shape.source_block_length(sbn)
    esis = range(k) if count is None else range(k + first, k + first + count)
    return Transmission(toi, sbn, k, esis, is_first_pass=count is None)


def receive(image: SimulatedImage, encoded: list[memoryview], sent: Transmission) -> BlockBuffer:
    k = sent.source_block_length
    block = BlockBuffer(bytearray((k + 64) * L))
    block.reset(sent.toi, sent.sbn, k)
    for datagrams in encoded:
        seal(image).open_batch(datagrams, L + OVERHEAD, lambda *_: (block.symbols, block.ledger))
    return block


def test_the_shapes_of_both_objects(image: SimulatedImage) -> None:
    manifest, disk = encoder(image).manifest_object(), encoder(image).disk_object()
    assert (manifest.block_count, manifest.source_block_length(0)) == (1, -(-image.manifest.encoded_length // L))
    assert disk.block_count == len(image.stored)
    assert [disk.source_block_length(sbn) for sbn in range(12)] == [-(-len(stored) // L) for stored in image.stored]


@pytest.mark.parametrize("toi", [0, 1])
def test_source_symbols_are_the_stored_bytes_and_nothing_more(image: SimulatedImage, toi: int) -> None:
    for sbn in range(12 if toi else 1):
        stored = image.stored[sbn] if toi else image.manifest.encode()
        sent = transmission(image, toi, sbn, 0)
        sealed = encoder(image).encode(sent)
        assert sealed.transmission is sent
        assert sealed.datagram_length == L + OVERHEAD
        assert len(sealed.datagrams) == len(stored) + len(sent.esis) * OVERHEAD  # the padding does not travel
        block = receive(image, [sealed.datagrams], sent)
        assert bytes(block.symbols[: len(stored)]) == stored


@pytest.mark.parametrize("toi", [0, 1])
def test_repair_symbols_stand_for_lost_ones(image: SimulatedImage, toi: int) -> None:
    for sbn in range(12 if toi else 1):
        stored = image.stored[sbn] if toi else image.manifest.encode()
        source, repair = transmission(image, toi, sbn, 0), transmission(image, toi, sbn, 40, 2)
        sealed = [encoder(image).encode(each).datagrams for each in (source, repair)]
        assert len(sealed[1]) == 2 * (L + OVERHEAD)
        # all but the first two symbols (or all, where there is one), then both repair symbols
        kept = sealed[0][min(2, source.source_block_length) * (L + OVERHEAD) :]
        block = receive(image, [kept, sealed[1]], repair)
        assert block.deficit == 0
        assert block.ledger[REPAIR_COUNT] >= 1
        assert bytes(recover_stored(block, L, len(stored))) == stored


def test_a_symbol_is_the_same_datagram_each_time(image: SimulatedImage) -> None:
    for sent in (transmission(image, 1, 3, 0), transmission(image, 1, 3, 5, 4)):
        assert encoder(image).encode(sent).datagrams == encoder(image).encode(sent).datagrams


def test_what_has_rotted_in_the_library_is_not_sent(image: SimulatedImage) -> None:
    def read_stored(sbn: int) -> bytes:
        raise IntegrityError(f"chunk {sbn}", bytes(32), bytes(32))

    with pytest.raises(IntegrityError):
        BlockEncoder(image.manifest, read_stored, seal(image), L).encode(transmission(image, 1, 3, 0))


def test_another_session_cannot_open_it(image: SimulatedImage) -> None:
    sent = transmission(image, 1, 3, 0)
    datagrams = encoder(image).encode(sent).datagrams
    block = BlockBuffer(bytearray((sent.source_block_length + 64) * L))
    other = Seal(bytes(32), image.manifest.digest, 77, L)
    other.open_batch(datagrams, L + OVERHEAD, lambda *_: (block.symbols, block.ledger))
    assert block.ledger[SYMBOL_COUNT] == 0
