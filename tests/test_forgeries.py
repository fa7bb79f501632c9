"""Forged datagrams of every kind against the real encoder, seal, session and deployment: nothing of them is believed.

    FORGED_DATAGRAMS=10000000 python -m pytest --timeout=0 tests/test_forgeries.py

FORGED_DATAGRAMS: how many in all, by default 100,000. Seeds are printed.
"""

import os
import random
from collections import Counter
from collections.abc import Iterator

import pytest

from broadcaster.encoder import BlockEncoder
from broadcaster.transmission import Transmission
from protocol.blocks import SYMBOL_COUNT, BlockBuffer
from protocol.fec import encode_repair
from protocol.seal import BatchCounts, Seal, kernels, use_kernel
from protocol.wire import HEADER_LENGTH, MAX_REPAIR_SYMBOLS, TAG_LENGTH
from tests.forgeries import KINDS, forge
from tests.simulator.image import ENCODING_SYMBOL_LENGTH as L
from tests.simulator.image import draw_image

FORGED_DATAGRAMS = int(os.environ.get("FORGED_DATAGRAMS", "100000"))

DATAGRAM_LENGTH = HEADER_LENGTH + L + TAG_LENGTH
TSI = 0x5EA1
SECRET = bytes(range(32))
IMAGE = draw_image(random.Random(3), 12, 0.3)


class Room:
    """All blocks of an image at the sender, and at a receiver that wants each of them."""

    def __init__(self) -> None:
        seal = Seal(SECRET, IMAGE.manifest.digest, TSI, L)
        encoder = BlockEncoder(IMAGE.manifest, IMAGE.stored.__getitem__, seal, L)
        disk = encoder.disk_object()
        self.true: list[bytes] = []
        self.symbols: dict[tuple[int, int], bytes] = {}
        """(sbn, esi) -> the true symbol"""
        self.blocks: dict[int, BlockBuffer] = {}
        for sbn in range(disk.block_count):
            k = disk.source_block_length(sbn)
            for esis in (range(k), range(k, k + MAX_REPAIR_SYMBOLS)):
                sealed = encoder.encode(Transmission(1, sbn, k, esis, is_first_pass=True))
                self.true += [
                    bytes(sealed.datagrams[start : start + DATAGRAM_LENGTH])
                    for start in range(0, len(sealed.datagrams), DATAGRAM_LENGTH)
                ]
            padded = IMAGE.stored[sbn].ljust(k * L, b"\0")
            repair = encode_repair(padded, k, L, range(k, k + MAX_REPAIR_SYMBOLS))
            whole = padded + repair
            self.symbols |= {(sbn, esi): whole[esi * L : (esi + 1) * L] for esi in range(k + MAX_REPAIR_SYMBOLS)}
            self.blocks[sbn] = BlockBuffer(bytearray((k + MAX_REPAIR_SYMBOLS) * L))
            self.blocks[sbn].reset(1, sbn, k)
        self._seal = Seal(SECRET, IMAGE.manifest.digest, TSI, L)

    def open(self, datagrams: list[bytes]) -> Counter[str]:
        """Open each alone, as the kernel hands over datagrams of many lengths; sums of what became of them."""
        total: Counter[str] = Counter()
        for datagram in datagrams:
            counts = self._seal.open_batch(datagram, max(1, len(datagram)), self._find)
            total.update(dict(zip(BatchCounts._fields, counts, strict=True)))
        return total

    def _find(self, toi: int, sbn: int, source_block_length: int) -> tuple[bytearray, bytearray] | None:
        block = self.blocks.get(sbn) if toi == 1 else None
        if block is None or block.source_block_length != source_block_length:
            return None
        return block.symbols, block.ledger

    @property
    def believed(self) -> int:
        """Symbols that the receiver takes for present."""
        return sum(block.ledger[SYMBOL_COUNT] for block in self.blocks.values())


@pytest.fixture(params=kernels())
def room(request: pytest.FixtureRequest) -> Iterator[Room]:
    use_kernel(request.param)
    yield Room()
    use_kernel()


@pytest.mark.slow
def test_of_forged_datagrams_none_is_believed(room: Room) -> None:
    seed = int(os.environ.get("FORGED_SEED", "1"))
    print(f"seed {seed}, {FORGED_DATAGRAMS} datagrams of {len(KINDS)} kinds")
    rng = random.Random(seed)
    assert len(KINDS) >= 6
    each = -(-FORGED_DATAGRAMS // len(KINDS))
    for kind in KINDS:
        done = 0
        while done < each:
            forged = [forge(kind, rng.choice(room.true), rng) for _ in range(min(10_000, each - done))]
            counts = room.open(forged)
            done += len(forged)
            assert counts["opened"] == counts["opened_bytes"] == counts["duplicate"] == 0, kind
            assert room.believed == 0, kind
            assert counts["unwanted"] + counts["rejected"] + counts["foreign"] == len(forged), kind


def test_true_datagrams_among_forged_ones_bring_the_image(room: Room) -> None:
    rng = random.Random(2)
    mixed = [*room.true]
    mixed += [forge(kind, datagram, rng) for kind in KINDS for datagram in rng.sample(room.true, 100)]
    rng.shuffle(mixed)
    room.open(mixed)
    for sbn, block in room.blocks.items():
        assert block.deficit == 0
        for esi, slot in block.present_slots():
            assert block.symbols[slot * L : (slot + 1) * L] == room.symbols[sbn, esi]


@pytest.mark.parametrize("kind", KINDS)
def test_a_forgery_is_another_datagram(room: Room, kind: str) -> None:
    rng = random.Random(4)
    assert all(forge(kind, datagram, rng) != datagram for datagram in rng.sample(room.true, 200))
