"""The catch-up lane's digests of symbols: what is told, what is not, and what a receiver makes of it over the wire."""

import random
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

import pytest

from broadcaster.catch_up import CatchUpLane
from broadcaster.encoder import BlockEncoder
from broadcaster.transmission import Transmission
from protocol.blocks import BlockBuffer
from protocol.errors import IntegrityError, TransportError
from protocol.link.interfaces import InterfaceInfo
from protocol.seal import Seal
from protocol.symbol_digests import SYMBOL_DIGEST_LENGTH, digests_of, esis_to_compare, false_symbols
from receiver.catch_up import CatchUpLoop
from receiver.catch_up_source import CatchUpSource
from receiver.events import Want
from tests.simulator.image import ENCODING_SYMBOL_LENGTH as L
from tests.simulator.image import draw_image

pytestmark = [pytest.mark.asyncio, pytest.mark.system]

TSI = "000000000000004d"
LOOPBACK = InterfaceInfo("lo", 1, "127.0.0.1", "::1", 65536, None, is_loopback=True, is_wireless=False)
IMAGE = draw_image(random.Random(5), 12)
ROTTEN = 3


class Source:
    """An encoder that counts what it is asked for; one block cannot be read."""

    def __init__(self) -> None:
        self.encoder = BlockEncoder(
            IMAGE.manifest, self._read, Seal(bytes(32), IMAGE.manifest.digest, int(TSI, 16), L), L
        )
        self.objects = self.encoder.manifest_object(), self.encoder.disk_object()
        self.reads = 0

    def _read(self, sbn: int) -> bytes:
        self.reads += 1
        if sbn == ROTTEN:
            raise IntegrityError(f"block {sbn}", bytes(32), b"")
        return IMAGE.stored[sbn]

    def block(self, toi: int, sbn: int, esis: range) -> BlockBuffer:
        """A block in which these symbols have come."""
        k = self.objects[toi].source_block_length(sbn)
        block = BlockBuffer(bytearray((k + 64) * L))
        block.reset(toi, sbn, k)
        seal = Seal(bytes(32), IMAGE.manifest.digest, int(TSI, 16), L)
        sealed = self.encoder.encode(Transmission(toi, sbn, k, esis, is_first_pass=False))
        seal.open_batch(sealed.datagrams, L + 34, lambda *_: (block.symbols, block.ledger))
        return block


@asynccontextmanager
async def lane(*, tells: bool = True) -> AsyncIterator[tuple[Source, CatchUpLane, CatchUpSource]]:
    source = Source()
    with ThreadPoolExecutor(2) as executor:
        lane = CatchUpLane(
            LOOPBACK,
            tsi=TSI,
            objects=source.objects,
            encode=source.encoder.encode,
            executor=executor,
            rate_bits_per_second=10**9,
            on_damaged=lambda *_: None,
            symbol_digests=source.encoder.symbol_digests if tells else None,
        )
        async with lane, CatchUpSource(lane.url, TSI, L, None) as client:
            yield source, lane, client


@pytest.mark.parametrize("toi", [0, 1])
async def test_of_any_symbol_that_a_block_may_have_the_digest_is_told(toi: int) -> None:
    async with lane() as (source, lane_, client):
        k = source.objects[toi].source_block_length(0)
        stored = IMAGE.stored[0] if toi else IMAGE.manifest.read(0, 1 << 18)
        told = await client.fetch_digests(toi, 0, range(k + 64))
        assert told is not None
        assert told[: k * SYMBOL_DIGEST_LENGTH] == digests_of(stored, L)
        assert len(told) == (k + 64) * SYMBOL_DIGEST_LENGTH
        for esis in (range(k), range(0, k, 1), range(1)):
            assert await client.fetch_digests(toi, 0, esis) == told[: len(esis) * SYMBOL_DIGEST_LENGTH]
        assert lane_.digests_served == 4
        assert lane_.datagrams_sent == lane_.requests_invalid == 0


async def test_a_receiver_finds_the_false_symbols() -> None:
    async with lane() as (source, _, client):
        k = source.objects[1].source_block_length(5)
        for esis in (range(k), range(k, 2 * k), range(k + 40, k + 40 + min(k, 24))):
            block = source.block(1, 5, esis)
            for slot in (esi_and_slot[1] for esi_and_slot in block.present_slots()[::3]):
                block.symbols[slot * L + 7] ^= 1
            told = await client.fetch_digests(1, 5, esis_to_compare(block))
            assert told is not None
            assert false_symbols(block, L, told) == [esi for esi, _ in block.present_slots()][::3]


async def test_a_room_that_asks_for_the_same_costs_one_read() -> None:
    async with lane() as (source, lane_, client):
        k = source.objects[1].source_block_length(5)
        for _ in range(20):
            assert await client.fetch_digests(1, 5, range(k))
        assert (source.reads, lane_.digests_served) == (1, 20)


async def test_of_a_block_that_is_damaged_nothing_is_told() -> None:
    async with lane() as (source, lane_, client):
        assert await client.fetch_digests(1, ROTTEN, range(source.objects[1].source_block_length(ROTTEN))) is None
        assert lane_.digests_served == 0


@pytest.mark.parametrize(
    ("toi", "sbn", "esis", "tells"),
    [(1, 99, range(4), True), (1, 5, range(254), True), (1, 5, range(4), False)],
    ids=["no such block", "no such symbols", "not told"],
)
async def test_what_there_is_not(toi: int, sbn: int, esis: range, tells: bool) -> None:
    async with lane(tells=tells) as (_, lane_, client):
        with pytest.raises(TransportError, match=r"answers 40[04] for /v1/sessions/"):
            await client.fetch_digests(toi, sbn, esis)
        assert (lane_.digests_served, lane_.requests_invalid) == (0, 1)


async def test_the_loop_fetches_digests_and_symbols_as_they_are_wanted() -> None:
    async with lane() as (source, _, client):
        k = source.objects[1].source_block_length(5)
        wants = [Want(1, 5, range(k), wants_digests=True), Want(1, 5)]
        answers: dict[Want, bytes | None] = {}

        class DoneError(Exception):
            pass

        def fetched(want: Want, answer: bytes | None) -> None:
            answers[want] = answer
            if len(answers) == 2:
                raise DoneError

        with pytest.raises(ExceptionGroup):
            await CatchUpLoop(lambda: wants.pop() if wants else None, fetched).run(client)
        digests = answers[Want(1, 5, range(k), wants_digests=True)]
        assert digests == digests_of(IMAGE.stored[5], L)
        assert len(answers[Want(1, 5)] or b"") > len(IMAGE.stored[5])
