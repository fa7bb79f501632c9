import asyncio
import itertools
import logging
import random
import socket
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import SimpleNamespace

import msgspec
import pytest

from broadcaster.announcement import build_announcement
from broadcaster.encoder import BlockEncoder
from broadcaster.transmission import Transmission
from protocol.errors import TransportError
from protocol.link.interfaces import resolve_interface
from protocol.messages import FecOti
from protocol.seal import Seal
from protocol.wire import HEADER_LENGTH, TAG_LENGTH
from receiver import datagram_reader
from receiver.arming import Arming
from receiver.datagram_reader import CAUGHT_UP_FILL, FAST_FILL, MAX_BATCHES_PER_WAKE, DatagramReader, open_group
from receiver.events import BlockDecodable
from receiver.session import ReceiverSession
from tests.simulator.image import ENCODING_SYMBOL_LENGTH as L
from tests.simulator.image import draw_image

IMAGE = draw_image(random.Random(2), 40)
TSI = 0x5EA1
DATAGRAM = HEADER_LENGTH + L + TAG_LENGTH
ANNOUNCEMENT = build_announcement(
    IMAGE.manifest,
    tsi=TSI,
    image_key=bytes(32),
    image_signature=bytes(64),
    source="",
    group="239.192.0.1",
    port=7000,
    oti=FecOti(encoding_symbol_length=L),
)


class GroupSocket:
    """A socket with batches that wait; a byte on a real one wakes the loop."""

    def __init__(self) -> None:
        self.waiting: deque[bytes] = deque()
        self.fill_ratio = 0.0
        self.is_buffer_capped = False
        self.is_member = True
        self.drop_count = 0
        self.reads = 0
        self._bell, self._ringer = socket.socketpair()

    def fileno(self) -> int:
        return self._bell.fileno()

    def ring(self) -> None:
        self._ringer.send(b"1")

    def receive(self) -> tuple[memoryview, int] | None:
        self.reads += 1
        return (memoryview(self.waiting.popleft()), DATAGRAM) if self.waiting else None

    def leave(self) -> None:
        self.is_member = False

    def rejoin(self) -> None:
        self.is_member = True

    def close(self) -> None:
        self._bell.close()
        self._ringer.close()


class Seat:
    """A session that waits for its manifest, behind a reader."""

    def __init__(self) -> None:
        self.socket = GroupSocket()
        self.session = ReceiverSession(
            ANNOUNCEMENT,
            receiver_id="0" * 32,
            seat="seat",
            target="memory",
            arming=Arming(0.0, 0.0, is_held=False),
            rng=random.Random(1),
            now=0.0,
        )
        seal = Seal(bytes(32), IMAGE.manifest.digest, TSI, L)
        self.arrivals = 0
        self.reader = DatagramReader(self.socket, self.session, seal, self._arrived)  # type: ignore[arg-type]  # all of the socket that it looks at
        self._encoder = BlockEncoder(IMAGE.manifest, IMAGE.stored.__getitem__, seal, L)
        self.k = self._encoder.manifest_object().source_block_length(0)

    def _arrived(self) -> None:
        self.arrivals += 1

    def batch(self) -> bytes:
        """The manifest."""
        return bytes(self._encoder.encode(Transmission(0, 0, self.k, range(self.k), is_first_pass=True)).datagrams)


async def turns_until(is_so: Callable[[], bool]) -> None:
    """Let the loop turn until it is so."""
    for _ in range(10_000):
        if is_so():
            return
        await asyncio.sleep(0)
    raise AssertionError("never")


@pytest.fixture
def seat() -> Iterator[Seat]:
    seat = Seat()
    yield seat
    seat.socket.close()


@pytest.mark.asyncio
async def test_a_batch_is_opened_into_its_block(seat: Seat) -> None:
    batch = seat.batch()
    seat.socket.waiting.append(batch)
    with seat.reader as reader:
        assert reader.catch_up()
    event = seat.session.next_event()
    assert isinstance(event, BlockDecodable)
    assert seat.session.counters.bytes_received == len(batch)
    assert (seat.session.counters.datagrams_rejected, seat.arrivals) == (0, 1)


@pytest.mark.asyncio
async def test_what_is_forged_is_counted_and_opens_nothing(seat: Seat) -> None:
    forged = bytearray(seat.batch())
    for start in range(0, len(forged), DATAGRAM):
        forged[start + HEADER_LENGTH] ^= 0x01
    seat.socket.waiting.append(bytes(forged))
    with seat.reader as reader:
        reader.catch_up()
    assert seat.session.next_event() is None
    assert seat.session.counters.datagrams_rejected == seat.k
    assert seat.session.counters.bytes_received == 0


@pytest.mark.asyncio
async def test_one_wake_up_ends_however_much_waits(seat: Seat) -> None:
    seat.socket.waiting.extend([bytes(DATAGRAM)] * (MAX_BATCHES_PER_WAKE + 5))
    seat.socket.fill_ratio = 1.0
    with seat.reader as reader:
        assert not reader.catch_up()
        assert len(seat.socket.waiting) == 5
        assert reader.catch_up()
    assert seat.session.counters.buffer_fill_ratio == 1.0
    assert seat.arrivals == 2


@pytest.mark.asyncio
async def test_one_wake_up_ends_however_long_each_batch_takes(seat: Seat, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = itertools.count(step=datagram_reader.LONGEST_WAKE)
    monkeypatch.setattr(datagram_reader, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    seat.socket.waiting.extend([bytes(DATAGRAM)] * 3)
    seat.socket.fill_ratio = 1.0
    with seat.reader as reader:
        assert not reader.catch_up()
        assert len(seat.socket.waiting) == 2


@pytest.mark.asyncio
@pytest.mark.parametrize(("fill_ratio", "is_caught_up"), [(CAUGHT_UP_FILL, True), (CAUGHT_UP_FILL * 1.01, False)])
async def test_little_that_waits_keeps_nothing_from_being_asked_for(
    seat: Seat, fill_ratio: float, is_caught_up: bool
) -> None:
    seat.socket.waiting.extend([bytes(DATAGRAM)] * (MAX_BATCHES_PER_WAKE + 1))
    seat.socket.fill_ratio = fill_ratio
    with seat.reader as reader:
        assert reader.catch_up() is is_caught_up


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("fill_ratio", "pause"),
    [(FAST_FILL, datagram_reader.SHORT_COALESCE_SECONDS), (FAST_FILL / 2, datagram_reader.COALESCE_SECONDS)],
)
async def test_it_pauses_after_reading_and_shorter_when_they_come_fast(
    seat: Seat, monkeypatch: pytest.MonkeyPatch, fill_ratio: float, pause: float
) -> None:
    pauses: list[float] = []
    loop = asyncio.get_running_loop()
    monkeypatch.setattr(loop, "call_later", lambda seconds, call: pauses.append(seconds))
    seat.socket.fill_ratio = fill_ratio
    seat.socket.ring()
    with seat.reader:
        await turns_until(lambda: bool(pauses))
        reads = seat.socket.reads
        for _ in range(5):
            await asyncio.sleep(0)
    assert (pauses, seat.socket.reads) == ([pause], reads)


@pytest.mark.asyncio
async def test_after_the_pause_it_reads_again_unless_it_was_closed(seat: Seat, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datagram_reader, "COALESCE_SECONDS", 0.0)
    seat.socket.ring()
    with seat.reader:
        await turns_until(lambda: seat.socket.reads >= 3)
    reads = seat.socket.reads
    for _ in range(5):
        await asyncio.sleep(0)
    assert seat.socket.reads == reads


@pytest.mark.asyncio
async def test_a_small_receive_buffer_is_read_without_a_pause(seat: Seat, monkeypatch: pytest.MonkeyPatch) -> None:
    seat.socket.is_buffer_capped = True
    seat.socket.ring()
    loop = asyncio.get_running_loop()
    monkeypatch.setattr(loop, "call_later", lambda seconds, call: pytest.fail("it paused"))
    with seat.reader:
        await turns_until(lambda: seat.socket.reads >= 3)


@pytest.mark.asyncio
async def test_it_keeps_the_receiver_in_the_group_and_counts_what_the_kernel_dropped(seat: Seat) -> None:
    seat.socket.drop_count = 7
    seat.session.last_status.must_leave_group = True
    with seat.reader as reader:
        reader.keep(time.monotonic())
        assert not seat.socket.is_member
        seat.session.last_status.must_leave_group = False
        reader.keep(time.monotonic())
        assert seat.socket.is_member
    assert seat.session.counters.buffer_drops == 7


@pytest.mark.asyncio
async def test_a_flood_of_forgeries_is_warned_of(seat: Seat, caplog: pytest.LogCaptureFixture) -> None:
    seat.session.counters.datagrams_rejected = 1_000_000
    seat.reader.keep(time.monotonic() + 2.0)
    assert "forged datagrams a second come to the group" in caplog.text


@pytest.mark.system
def test_the_group_is_opened_for_this_session_only(caplog: pytest.LogCaptureFixture) -> None:
    wireless = replace(resolve_interface("lo"), is_wireless=True)
    with caplog.at_level(logging.WARNING), open_group(ANNOUNCEMENT, wireless) as group:
        assert group.is_filtering
        assert group.is_buffer_capped == ("sysctl -w net.core.rmem_max" in caplog.text)
    assert "lo is a Wi-Fi interface" in caplog.text
    with pytest.raises(TransportError):
        open_group(msgspec.structs.replace(ANNOUNCEMENT, group="192.0.2.1"), wireless)
