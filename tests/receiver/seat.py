"""One seat with the network and the worker played by hand, symbols without payload, for tests of its session."""

import random
from collections.abc import Iterable

from protocol import PROTOCOL_VERSION
from protocol.blocks import REPAIR_COUNT, REPAIR_ESIS, SLOT_STEP, SYMBOL_COUNT, BlockBuffer
from protocol.manifest import CHUNK_SIZE, Manifest, ManifestHeader, StoredChunk, build_manifest
from protocol.messages import (
    MissingBlocks,
    ReceiverReport,
    RepairRequest,
    SessionPhase,
    decode_message,
    encode_message,
    topic_of,
)
from protocol.wire import ENCODING_SYMBOL_LENGTH as L
from protocol.wire import MAX_REPAIR_SYMBOLS
from receiver.arming import Arming
from receiver.events import BlockDecodable, Event, ObjectCompleted, Want
from receiver.session import ReceiverSession
from tests.sample_messages import announcement, receiver_id, status

K = 10
MANIFEST_K = 2
DATAGRAM = L + 34
ROOM_FOR_ONE_BLOCK = (SLOT_STEP + MAX_REPAIR_SYMBOLS) * L


def manifest_of(block_count: int) -> Manifest:
    """An image whose blocks are all K symbols long."""
    chunks = [StoredChunk(sbn, sbn * CHUNK_SIZE, CHUNK_SIZE, K * L, bytes(32), bytes(32)) for sbn in range(block_count)]
    header = ManifestHeader(
        format=PROTOCOL_VERSION,
        image_id="5a" * 16,
        name="sample",
        version=1,
        created="2026-11-21T08:00:00Z",
        source="sample.img",
        disk_size=max(1, block_count) * CHUNK_SIZE,
        logical_sector_size=512,
        partition_table="none",
        partitions=(),
        chunk_size=CHUNK_SIZE,
        codec="zstd",
        stored_chunk_count=0,
        stored_bytes=0,
        zero_ranges=(),
        rows_digest="",
    )
    return build_manifest(header, chunks)


def add_symbols(ledger: bytearray, esis: Iterable[int], k: int = K) -> None:
    """Mark symbols as present, as the seal does it: none twice, none beyond what the block needs."""
    for esi in esis:
        if ledger[esi] or ledger[SYMBOL_COUNT] == k:
            continue
        ledger[esi] = 1
        ledger[SYMBOL_COUNT] += 1
        if esi >= k:
            ledger[REPAIR_ESIS + ledger[REPAIR_COUNT]] = esi
            ledger[REPAIR_COUNT] += 1


class Seat:
    """A session and what happens to it."""

    def __init__(
        self,
        *,
        buffer_limit: int = 100 * ROOM_FOR_ONE_BLOCK,
        target: str = "/dev/sda",
        countdown: float = 0.0,
        catch_up_url: str = "",
        is_held: bool = False,
    ) -> None:
        self.session = ReceiverSession(
            announcement(catch_up_url=catch_up_url),
            receiver_id=receiver_id(1),
            seat="seat-1",
            target=target,
            arming=Arming(countdown, 0.0, is_held=is_held),
            rng=random.Random(1),
            now=0.0,
            buffer_limit=buffer_limit,
        )

    def arrive(self, sbn: int, esis: Iterable[int], *, toi: int = 1, k: int = K, now: float = 0.0) -> bool:
        """A batch with symbols of one block comes from the group; False if they are not wanted."""
        esis = list(esis)
        is_wanted = self._open(toi, sbn, esis, k)
        self.session.batch_opened(len(esis) * DATAGRAM, now)
        return is_wanted

    def begin(self, sbns: Iterable[int], now: float = 0.0) -> None:
        """One symbol of each of these blocks comes."""
        for sbn in sbns:
            assert self.arrive(sbn, [0], now=now)

    def fetch(self, want: Want, esis: Iterable[int] | None = None, *, k: int = K, now: float = 0.0) -> bool:
        """The catch-up lane answers ``want``, with other symbols than those if ``esis`` says so."""
        esis = list(want.esis or range(k)) if esis is None else list(esis)
        is_wanted = self._open(want.toi, want.sbn, esis, k, is_multicast=False)
        self.session.want_fetched(want, len(esis) * DATAGRAM, now)
        return is_wanted

    def _open(self, toi: int, sbn: int, esis: list[int], k: int, *, is_multicast: bool = True) -> bool:
        find = self.session.find_block if is_multicast else self.session.find_fetched_block
        found = find(toi, sbn, k)
        if found is not None:
            add_symbols(found[1], esis, k)
        return found is not None

    def events(self) -> list[Event]:
        events = []
        while (event := self.session.next_event()) is not None:
            events.append(event)
        return events

    def decodable(self) -> list[BlockBuffer]:
        """The blocks that the worker is to store; other events must not be there."""
        blocks = []
        for event in self.events():
            assert isinstance(event, BlockDecodable)
            blocks.append(event.block)
        return blocks

    def store(self, now: float = 0.0) -> list[int]:
        """The worker stores everything that is decodable; gives the sbns. Other events must not be there."""
        blocks = self.decodable()
        for block in blocks:
            self.session.block_stored(block, now)
        return [block.sbn for block in blocks]

    def messages(self, now: float) -> list[ReceiverReport | RepairRequest | MissingBlocks]:
        messages = []
        while (message := self.session.next_message(now)) is not None:
            assert decode_message(topic_of(message), encode_message(message)) == message
            messages.append(message)
        return messages

    def requests(self, now: float) -> list[RepairRequest]:
        return [message for message in self.messages(now) if isinstance(message, RepairRequest)]

    def inventories(self, now: float) -> list[MissingBlocks]:
        return [message for message in self.messages(now) if isinstance(message, MissingBlocks)]

    def wants(self, now: float) -> tuple[dict[int, int], list[tuple[int, int]]]:
        """What it asks the group for of the disk at ``now``: deficits by sbn, absent ranges."""
        requests = [request for request in self.requests(now) if request.toi]
        assert len(requests) <= 1
        return (dict(requests[0].deficits), list(requests[0].absent)) if requests else ({}, [])

    def wants_of_lane(self, now: float) -> list[Want]:
        """All that it would fetch at ``now``."""
        wants = []
        while (want := self.session.next_want(now)) is not None:
            wants.append(want)
        return wants

    def lost(self) -> tuple[int, int]:
        """Symbols expected, and lost."""
        return self.session.first_pass.symbols_expected, self.session.first_pass.symbols_lost

    def load_manifest(self, block_count: int, now: float = 0.0) -> None:
        assert self.arrive(0, range(MANIFEST_K), toi=0, k=MANIFEST_K, now=now)
        assert self._complete(now) == [ObjectCompleted(0)]
        self.session.manifest_loaded(manifest_of(block_count), now)

    def _complete(self, now: float) -> list[Event]:
        self.store(now)
        return self.events()


def receiving_seat(
    block_count: int,
    *,
    buffer_limit: int = 100 * ROOM_FOR_ONE_BLOCK,
    now: float = 0.0,
    has_scanned: bool = True,
    catch_up_url: str = "",
) -> Seat:
    """A seat that has the manifest before the first pass of the disk begins, and found nothing on its disk."""
    seat = Seat(buffer_limit=buffer_limit, catch_up_url=catch_up_url)
    seat.session.receive_message(status(1, phase=SessionPhase.MANIFEST), now)
    seat.load_manifest(block_count, now)
    if has_scanned:
        seat.session.scan_ended(now)
    return seat


def verifying_seat(block_count: int = 1) -> Seat:
    """A seat that has stored everything."""
    seat = receiving_seat(block_count)
    for sbn in range(block_count):
        seat.arrive(sbn, range(K))
    seat.store()
    assert seat.events() == [ObjectCompleted(1)]
    return seat
