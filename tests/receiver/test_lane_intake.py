import asyncio
import random
from collections.abc import Iterable

import pytest

from broadcaster.announcement import build_announcement
from broadcaster.encoder import BlockEncoder
from broadcaster.transmission import Transmission
from protocol.messages import FecOti
from protocol.seal import Seal
from protocol.symbol_digests import SYMBOL_DIGEST_LENGTH, digests_of
from protocol.wire import HEADER_LENGTH, TAG_LENGTH
from receiver.arming import Arming
from receiver.deployment import Deployment
from receiver.events import BlockDecodable, ObjectCompleted, Want
from receiver.lane_intake import LaneIntake
from receiver.session import ReceiverSession
from tests.receiver.memory_device import MemoryDevice
from tests.simulator.image import ENCODING_SYMBOL_LENGTH as L
from tests.simulator.image import draw_image

IMAGE = draw_image(random.Random(2), 40)
TSI = 0x5EA1


class Seat:
    """A session that waits for its manifest, with the lane's answers played by hand; its symbols are real."""

    def __init__(self, catch_up_url: str = "https://192.0.2.1:8885") -> None:
        announcement = build_announcement(
            IMAGE.manifest,
            tsi=TSI,
            image_key=bytes(32),
            image_signature=bytes(64),
            source="192.0.2.1",
            group="239.192.0.1",
            port=7000,
            oti=FecOti(encoding_symbol_length=L),
            catch_up_url=catch_up_url,
        )
        self.session = ReceiverSession(
            announcement,
            receiver_id="0" * 32,
            seat="seat",
            target="memory",
            arming=Arming(0.0, 0.0, is_held=False),
            rng=random.Random(1),
            now=0.0,
        )
        self.seal = Seal(bytes(32), IMAGE.manifest.digest, TSI, L)
        self.encoder = BlockEncoder(IMAGE.manifest, IMAGE.stored.__getitem__, self.seal, L)
        self.k = self.encoder.manifest_object().source_block_length(0)
        self.arrivals = 0
        self.intake = LaneIntake(announcement, self.session, self.seal, tls=lambda: None, on_arrival=self._arrived)
        self._deployment = Deployment(announcement, lambda: MemoryDevice(1), begin_writing=lambda _: None)

    def _arrived(self) -> None:
        self.arrivals += 1

    def datagrams(self, esis: Iterable[int]) -> bytes:
        chosen = list(esis)
        return bytes(self.encoder.encode(Transmission(0, 0, self.k, chosen, is_first_pass=True)).datagrams)

    def group_brings(self, datagrams: bytes) -> None:
        self.seal.open_batch(datagrams, HEADER_LENGTH + L + TAG_LENGTH, self.session.find_block)
        self.session.batch_opened(len(datagrams), 0.0)

    def lie(self, esi: int) -> bytes:
        """A symbol that nobody but an insider can make."""
        out = bytearray(HEADER_LENGTH + L + TAG_LENGTH)
        self.seal.seal_symbols(
            out, bytes(L), toi=0, sbn=0, source_block_length=self.k, esis=[esi], last_symbol_length=L
        )
        return bytes(out)

    def store(self) -> bool:
        """What the worker makes of the block that is decodable."""
        event = self.session.next_event()
        assert isinstance(event, BlockDecodable)
        is_stored = self._deployment.store_block(event.block)
        if is_stored:
            self.session.block_stored(event.block, 0.0)
        else:
            self.session.block_rejected(event.block, 0.0)
        return is_stored

    def want(self) -> Want:
        want = self.session.next_want(0.0)
        assert want is not None
        return want


@pytest.fixture
def seat() -> Seat:
    """It was lied to about two symbols."""
    seat = Seat()
    assert seat.k > 5
    seat.group_brings(seat.lie(1))
    seat.group_brings(seat.lie(seat.k + 30))
    seat.group_brings(seat.datagrams(range(seat.k)))
    assert not seat.store()
    return seat


def digests(seat: Seat, want: Want) -> bytes:
    assert want.esis is not None
    assert want.wants_digests
    return seat.encoder.symbol_digests(Transmission(0, 0, seat.k, want.esis, is_first_pass=False))


def test_the_false_symbols_are_dropped_and_fresh_ones_bring_the_block_home(seat: Seat) -> None:
    want = seat.want()
    seat.intake.fetched(want, digests(seat, want))
    assert (seat.session.poison.false_symbols, seat.arrivals) == (2, 1)
    block = seat.session.find_block(0, 0, seat.k)
    assert block is not None
    seat.session.batch_opened(0, 0.0)
    seat.group_brings(seat.datagrams([seat.k + 31, seat.k + 32]))
    assert seat.store()
    assert seat.session.next_event() == ObjectCompleted(0)


def test_a_block_of_which_all_symbols_are_true_starts_over(seat: Seat) -> None:
    """What the lane says is a hint: it cannot make a wrong block a right one, only cost a round."""
    want = seat.want()
    block = seat.session.suspect(want)
    assert block is not None
    wrong = bytes(block.symbols)
    lying = bytearray((seat.k + 31) * SYMBOL_DIGEST_LENGTH)
    for esi, slot in block.present_slots():
        place = esi * SYMBOL_DIGEST_LENGTH
        lying[place : place + SYMBOL_DIGEST_LENGTH] = digests_of(wrong[slot * L : (slot + 1) * L], L)
    seat.intake.fetched(want, bytes(lying))
    assert seat.session.poison.false_symbols == 0
    assert seat.session.backlog_bytes == 0
    seat.group_brings(seat.datagrams(range(seat.k)))
    assert seat.store()


def test_digests_that_are_too_few_cost_a_round_and_nothing_else(seat: Seat) -> None:
    want = seat.want()
    seat.intake.fetched(want, digests(seat, want)[:-SYMBOL_DIGEST_LENGTH])
    assert seat.session.backlog_bytes == 0
    seat.group_brings(seat.datagrams(range(seat.k)))
    assert seat.store()


def test_a_block_that_the_broadcaster_does_not_have_is_let_go(seat: Seat) -> None:
    seat.intake.fetched(seat.want(), None)
    assert (seat.session.backlog_bytes, seat.arrivals) == (0, 1)


def test_the_whole_block_comes_by_the_lane_when_it_was_wrong_three_times(seat: Seat) -> None:
    for again in range(2):
        want = seat.want()
        seat.intake.fetched(want, digests(seat, want))
        for _ in range(2):
            seat.group_brings(seat.lie(seat.k + 40 + again) + seat.lie(seat.k + 50 + again))
        assert not seat.store()
    want = seat.want()
    assert want == Want(0, 0)
    seat.intake.fetched(want, seat.datagrams(range(seat.k)))
    assert seat.store()
    assert seat.session.counters.catch_up_bytes > seat.k * L


@pytest.mark.asyncio
async def test_without_a_lane_there_is_nothing_to_run() -> None:
    await Seat(catch_up_url="").intake.run()


@pytest.mark.asyncio
async def test_a_lane_that_is_none_is_said_and_nothing_is_fetched(caplog: pytest.LogCaptureFixture) -> None:
    intake = Seat(catch_up_url="ftp://192.0.2.1").intake
    running = asyncio.create_task(intake.run())
    await asyncio.sleep(0)
    assert not running.done(), "it is not needed yet"
    intake.need()
    await running
    assert "this seat cannot catch up" in caplog.text
